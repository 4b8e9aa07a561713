//! `/api/providers`: the providers that there are, and changes of those that do not come from the configuration file.

use super::reply::{Failed, Kind};
use super::{Api, body};
use crate::config::{self, Shown};
use crate::reload::Change;
use crate::snapshot::{Snapshot, Target};
use axum::Json;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header::LOCATION;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

type Named = Result<Path<String>, PathRejection>;

pub async fn list(State(api): State<Api>) -> Json<Value> {
    let snapshot = api.gateway.live.current();
    let providers: Vec<Value> = snapshot.providers().map(|target| describe(&snapshot, target)).collect();
    let mut list = json!({"providers": providers});
    if let Some(trouble) = &snapshot.config.store_trouble {
        list["store_trouble"] = trouble.as_str().into();
    }
    Json(list)
}

pub async fn show(State(api): State<Api>, name: Named) -> Result<Json<Value>, Failed> {
    let name = named(name)?;
    let snapshot = api.gateway.live.current();
    let target = snapshot
        .provider(&name)
        .ok_or_else(|| Failed::new(Kind::NotFound, "provider_not_found", format!("there is no provider `{name}`")))?;
    Ok(Json(describe(&snapshot, target)))
}

pub async fn create(State(api): State<Api>, body: Body) -> Result<Response, Failed> {
    let (name, block) = config::submitted(&body::read(&api, body).await?, None)?;
    api.changes.make(Change::Create { name: name.clone(), block }).await?;
    let mut response = (StatusCode::CREATED, Json(as_it_is(&api, &name))).into_response();
    let address = format!("/api/providers/{}", utf8_percent_encode(&name, NON_ALPHANUMERIC));
    if let Ok(address) = HeaderValue::from_str(&address) {
        response.headers_mut().insert(LOCATION, address);
    }
    Ok(response)
}

pub async fn replace(State(api): State<Api>, name: Named, body: Body) -> Result<Json<Value>, Failed> {
    let name = named(name)?;
    let (name, block) = config::submitted(&body::read(&api, body).await?, Some(&name))?;
    api.changes.make(Change::Replace { name: name.clone(), block }).await?;
    Ok(Json(as_it_is(&api, &name)))
}

pub async fn remove(State(api): State<Api>, name: Named) -> Result<StatusCode, Failed> {
    api.changes.make(Change::Remove { name: named(name)? }).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub async fn other_method() -> Failed {
    Failed::new(Kind::WrongMethod, "method_not_allowed", "this takes other methods; the header `allow` has them")
}

fn named(name: Named) -> Result<String, Failed> {
    name.map(|Path(name)| name)
        .map_err(|_| Failed::new(Kind::Invalid, "invalid_provider", "the name in the address is not UTF-8"))
}

fn as_it_is(api: &Api, name: &str) -> Value {
    let snapshot = api.gateway.live.current();
    // Somebody else may have removed it by now.
    snapshot.provider(name).map_or_else(|| json!({"provider": name}), |target| describe(&snapshot, target))
}

/// Its block, secrets masked, and what has become of it.
fn describe(snapshot: &Snapshot, target: &Target) -> Value {
    let provider = &target.config;
    let shown = snapshot.config.shown.get(&provider.name);
    let Shown { block, hides_stored } = shown.cloned().unwrap_or_default();
    let mut described = Value::Object(block.unwrap_or_default());
    described["provider"] = provider.name.as_str().into();
    described["source"] = provider.owner.name().into();
    described["state"] = if target.ready.is_ok() { "ready" } else { "trouble" }.into();
    if let Err(trouble) = &target.ready {
        described["trouble"] = trouble.as_str().into();
    }
    if hides_stored {
        described["hides_stored"] = true.into();
    }
    described
}
