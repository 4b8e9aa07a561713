//! adapt: Candidate → Outbound. The provider says where and how, the upstream half of a format says what.

use super::call::{Call, Gateway};
use super::decode::Request;
use super::headers;
use super::problem;
use super::route::Candidate;
use super::scrub::Scrub;
use super::send::{self, Destination, Outbound};
use super::stream::MAX_STATE_BYTES;
use super::url;
use crate::chat::{self, Members};
use crate::error::{Failure, FailureKind};
use crate::plugins::Configured;
use crate::plugins::api::provider::{self, Acquisition, Edit, Framing, LocalReply, Outgoing, Step};
use bytes::Bytes;
use http::Method;
use std::time::Duration;

/// Side requests, waits and acquisitions of one plan. A provider that needs more is going round in circles.
const MAX_STEPS: usize = 16;
const MAX_WAIT: Duration = Duration::from_secs(60);

/// What came of planning.
pub enum Adapted {
    Send(Box<Outbound>),
    /// The provider answers by itself.
    Local(LocalReply),
}

pub async fn adapt(
    gateway: &Gateway,
    call: &Call,
    request: &Request,
    candidate: &Candidate,
) -> Result<Adapted, Failure> {
    let ready = candidate.ready()?;
    let plugin = &ready.plugin;
    let mut planned = plan_input(call, request, candidate).await?;
    let mut step = plugin.plan(call.moment, &planned).await.map_err(problem::from_call)?;
    for _ in 0..MAX_STEPS {
        step = match step {
            Step::Send(outgoing) => {
                let outbound = outbound(call, request, candidate, outgoing).await?;
                return Ok(Adapted::Send(Box::new(outbound)));
            }
            Step::Reply(reply) => return Ok(Adapted::Local(reply)),
            Step::Wait(pause) => {
                check_state(plugin, &pause.state)?;
                tokio::time::sleep(Duration::from_millis(pause.milliseconds.into()).min(MAX_WAIT)).await;
                plugin.resume(call.moment, &pause.state, None).await.map_err(problem::from_call)?
            }
            Step::Fetch(fetch) => {
                check_state(plugin, &fetch.state)?;
                let reply = side_request(gateway, call, candidate, fetch.request).await?;
                plugin.resume(call.moment, &fetch.state, Some(&reply)).await.map_err(problem::from_call)?
            }
            Step::Acquire(acquisition) => {
                if planned.credentials.contains(&acquisition.credential) {
                    return Err(problem::from_call(plugin.broke_contract("it acquires a credential that it has")));
                }
                // One that is derived from a derived one could wait for itself.
                if acquisition.request.auth.as_ref().is_some_and(|auth| auth.credential != headers::API_KEY) {
                    return Err(problem::from_call(
                        plugin.broke_contract("it acquires with another credential than api_key"),
                    ));
                }
                acquire(gateway, call, candidate, &acquisition).await?;
                planned.credentials.push(acquisition.credential);
                plugin.plan(call.moment, &planned).await.map_err(problem::from_call)?
            }
        };
    }
    Err(problem::from_call(plugin.broke_contract(format!("its plan has more than {MAX_STEPS} steps"))))
}

fn check_state(plugin: &Configured, state: &str) -> Result<(), Failure> {
    match state.len() <= MAX_STATE_BYTES {
        true => Ok(()),
        false => Err(problem::from_call(plugin.broke_contract("its state is larger than 256 KiB"))),
    }
}

async fn plan_input(call: &Call, request: &Request, candidate: &Candidate) -> Result<provider::Call, Failure> {
    let ready = candidate.ready()?;
    let wanted = &ready.capabilities.body_members;
    let members = match wanted.is_empty() {
        true => "{}".to_owned(),
        false => {
            let body = request.canonical(call).await?;
            Members::of(body.as_bytes()).map_err(|error| Failure::invalid(error.to_string()))?.pick(wanted)
        }
    };
    Ok(provider::Call {
        operation: request.kind.operation.name().to_owned(),
        model: candidate.model.clone(),
        streaming: request.kind.streaming,
        dialect: call.dialect().to_owned(),
        attempt: 0,
        now_ms: call.moment.now_ms,
        credentials: candidate.key().map(|_| headers::API_KEY.to_owned()).into_iter().collect(),
        members,
    })
}

/// The request as it is planned: its place, its headers, and its body in the upstream's dialect.
async fn outbound(
    call: &Call,
    request: &Request,
    candidate: &Candidate,
    outgoing: Outgoing,
) -> Result<Outbound, Failure> {
    let plugin = &candidate.ready()?.plugin;
    let body = match outgoing.body {
        provider::Body::Empty => Bytes::new(),
        provider::Body::Replaced(text) => text.into(),
        provider::Body::Translated => in_dialect(call, request, candidate, &outgoing.dialect).await?,
        provider::Body::Edited(edits) => {
            let body = in_dialect(call, request, candidate, &outgoing.dialect).await?;
            edit(plugin, &body, &edits)?
        }
    };
    let over = candidate.target.config.path_overrides.get(&request.kind);
    let destination = destination(candidate, &outgoing.method, &outgoing.path, over)?;
    Ok(Outbound {
        destination,
        headers: headers::of_plugin(plugin, &outgoing.headers)?,
        auth: outgoing.auth,
        body,
        dialect: outgoing.dialect,
        framing: match (request.kind.streaming, outgoing.framing) {
            (false, _) | (true, Framing::None) => None,
            (true, Framing::Sse) => Some(crate::framing::Framing::Sse),
            (true, Framing::Ndjson) => Some(crate::framing::Framing::NdJson),
            (true, Framing::AwsEventStream) => Some(crate::framing::Framing::AwsEventStream),
        },
    })
}

fn destination(
    candidate: &Candidate,
    method: &str,
    path: &str,
    over: Option<&crate::config::PathOverride>,
) -> Result<Destination, Failure> {
    let ready = candidate.ready()?;
    let broke = |what: String| problem::from_call(ready.plugin.broke_contract(what));
    // `CONNECT` above all would make another connection of it than the operator meant.
    const METHODS: [Method; 5] = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
    let known = METHODS.into_iter().find(|known| known.as_str() == method);
    let method = known.ok_or_else(|| broke(format!("{method:?} is no method that is sent")))?;
    let url = url::join(ready.base_url.as_ref(), path, over).map_err(|error| match error {
        url::UrlError::NoBase => Failure::new(
            FailureKind::Unavailable,
            format!("the provider `{}` has no address", candidate.target.config.name),
        )
        .detail(format!("providers.{}: {error}", candidate.target.config.name)),
        url::UrlError::NotAPath(_) | url::UrlError::Climbs(_) | url::UrlError::BadCharacters(_) => {
            broke(error.to_string())
        }
    })?;
    Ok(Destination { method, url })
}

/// The body in the dialect that the upstream speaks. Where that is the caller's, it is what came.
async fn in_dialect(call: &Call, request: &Request, candidate: &Candidate, dialect: &str) -> Result<Bytes, Failure> {
    if dialect == call.dialect()
        && let Some(native) = request.native()
    {
        return Ok(native.clone());
    }
    let canonical = request.canonical(call).await?;
    let format = match call.snapshot.upstream_format(dialect) {
        // Ours as it is: a policy changed it, or nobody knows what its upstreams do not take.
        None if dialect == chat::DIALECT => return Ok(canonical.clone().into()),
        Some(_) if dialect == chat::DIALECT && call.is_canonical() => return Ok(canonical.clone().into()),
        Some(_) | None => upstream_format(call, candidate, dialect)?,
    };
    let operation = request.kind.operation.name();
    let translated =
        format.encode_request(call.moment, operation, &candidate.model, canonical).await.map_err(problem::from_call)?;
    request.drop_hints(call, translated.dropped)?;
    problem::checked_object(format, translated.body).map(Bytes::from)
}

pub fn upstream_format<'a>(
    call: &'a Call,
    candidate: &Candidate,
    dialect: &str,
) -> Result<&'a std::sync::Arc<Configured>, Failure> {
    call.snapshot.upstream_format(dialect).ok_or_else(|| {
        let name = &candidate.target.config.name;
        Failure::new(FailureKind::Unavailable, format!("the provider `{name}` cannot be used now"))
            .code("plugin_missing")
            .detail(format!("providers.{name}: no format plugin in the plugins folder speaks `{dialect}`"))
    })
}

fn edit(plugin: &Configured, body: &Bytes, edits: &[Edit]) -> Result<Bytes, Failure> {
    for edit in edits {
        let is_json = |text: &String| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
        if !edit.value.as_ref().is_none_or(is_json) {
            let what = format!("its edit of the member `{}` is not JSON", edit.member);
            return Err(problem::from_call(plugin.broke_contract(what)));
        }
    }
    let edits: Vec<(&str, Option<&str>)> =
        edits.iter().map(|edit| (edit.member.as_str(), edit.value.as_deref())).collect();
    let members = Members::of(body).map_err(|error| Failure::invalid(error.to_string()))?;
    Ok(members.edit(&edits).into())
}

/// A request whose answer the plugin reads.
async fn side_request(
    gateway: &Gateway,
    call: &Call,
    candidate: &Candidate,
    outgoing: Outgoing,
) -> Result<provider::HttpReply, Failure> {
    let reply = exchange(gateway, call, candidate, outgoing).await?;
    let scrub = Scrub::of(gateway, candidate);
    let headers = reply.headers.iter().filter(|(name, _)| super::hygiene::may_come_down(name));
    Ok(provider::HttpReply {
        status: reply.status.as_u16(),
        headers: headers::for_plugin(headers, &scrub),
        body: String::from_utf8_lossy(&scrub.bytes(reply.body)).into_owned(),
    })
}

async fn exchange(
    gateway: &Gateway,
    call: &Call,
    candidate: &Candidate,
    outgoing: Outgoing,
) -> Result<send::WholeReply, Failure> {
    let plugin = &candidate.ready()?.plugin;
    let body = match outgoing.body {
        provider::Body::Replaced(text) => Bytes::from(text),
        provider::Body::Empty => Bytes::new(),
        provider::Body::Translated | provider::Body::Edited(_) => {
            return Err(problem::from_call(plugin.broke_contract("a side request cannot carry the caller's body")));
        }
    };
    let outbound = Outbound {
        destination: destination(candidate, &outgoing.method, &outgoing.path, None)?,
        headers: headers::of_plugin(plugin, &outgoing.headers)?,
        auth: outgoing.auth,
        body,
        dialect: outgoing.dialect,
        framing: None,
    };
    let request = headers::finish(gateway, call, candidate, outbound).await?;
    send::whole(gateway, call, candidate, request).await
}

/// Gets a derived credential, unless one that still lives is at hand. The plugin never sees it.
async fn acquire(
    gateway: &Gateway,
    call: &Call,
    candidate: &Candidate,
    acquisition: &Acquisition,
) -> Result<(), Failure> {
    let slot = gateway.upstreams.derived().slot(candidate, &acquisition.credential);
    // Whoever comes while it is being got waits for the same flight.
    let mut credential = slot.lock().await;
    if credential.is_alive() {
        return Ok(());
    }
    let reply = exchange(gateway, call, candidate, acquisition.request.clone()).await?;
    credential.renew(&reply, acquisition)
}
