//! adapt: Candidate → Outbound. The provider says where and how, the upstream half of a format says what.

mod foresee;
mod side;

pub use foresee::{Foreseen, foresee};

use super::attempt::Attempt;
use super::call::Call;
use super::decode::Native;
use super::headers;
use super::limit::within;
use super::problem;
use super::route::Candidate;
use super::send::{Destination, Lent, Outbound, Payload};
use super::url;
use crate::chat::{self, Members};
use crate::config::PathOverride;
use crate::error::{Failure, FailureKind};
use crate::form;
use crate::plugins::Configured;
use crate::plugins::api::provider::{self, Edit, Framing, LocalReply, Outgoing, Step};
use http::Method;
use std::sync::Arc;
use std::time::Duration;

/// Side requests, waits and acquisitions of one plan. A provider that needs more is going round in circles.
const MAX_STEPS: usize = 16;
/// Of one wait, as the contract says.
const MAX_WAIT_MS: u32 = 60_000;

/// What came of planning, and the hints that the translation dropped.
pub enum Adapted {
    Send {
        outbound: Box<Outbound>,
        dropped: Vec<String>,
    },
    /// The provider answers by itself.
    Local {
        reply: LocalReply,
        dropped: Vec<String>,
    },
}

pub async fn adapt(attempt: &Attempt<'_>) -> Result<Adapted, Failure> {
    let config = &attempt.candidate.target.config;
    let late = || format!("the provider `{}` was not ready for the request", config.name);
    within(config.network.timeouts.request, "plan_timeout", late, plan(attempt)).await
}

async fn plan(attempt: &Attempt<'_>) -> Result<Adapted, Failure> {
    let plugin = &attempt.candidate.ready.plugin;
    let moment = attempt.call.moment;
    let mut lent = attempt.gateway.upstreams.derived().live(attempt.candidate);
    let mut planned = plan_input(attempt, &lent).await?;
    let (mut acquired, mut steps) = (Vec::new(), 0);
    let mut step = plugin.plan(moment, &planned).await.map_err(problem::from_call)?;
    loop {
        let is_last = matches!(step, Step::Send(_) | Step::Reply(_));
        if steps == MAX_STEPS && !is_last {
            return Err(problem::from_call(plugin.broke_contract(format!("its plan has more than {MAX_STEPS} steps"))));
        }
        steps += 1;
        step = match step {
            Step::Send(outgoing) => return outbound(attempt, outgoing, lent).await,
            Step::Reply(reply) => {
                let dropped = attempt.request.lost_in_decoding().to_vec();
                attempt.call.may_drop(&dropped)?;
                return Ok(Adapted::Local { reply, dropped });
            }
            Step::Wait(pause) => {
                wait(plugin, pause.milliseconds).await?;
                plugin.resume(moment, &pause.state, None).await.map_err(problem::from_call)?
            }
            Step::Fetch(fetch) => {
                let reply = side::request(attempt, fetch.request, &lent).await?;
                plugin.resume(moment, &fetch.state, Some(&reply)).await.map_err(problem::from_call)?
            }
            Step::Acquire(acquisition) => {
                if acquired.contains(&acquisition.credential) || acquisition.credential == headers::API_KEY {
                    return Err(problem::from_call(plugin.broke_contract("it acquires a credential that it has")));
                }
                let new = side::acquire(attempt, &acquisition).await?;
                lent.retain(|old| old.name != new.name);
                lent.push(new);
                if !planned.credentials.contains(&acquisition.credential) {
                    planned.credentials.push(acquisition.credential.clone());
                }
                acquired.push(acquisition.credential);
                plugin.plan(moment, &planned).await.map_err(problem::from_call)?
            }
        };
    }
}

async fn wait(plugin: &Configured, milliseconds: u32) -> Result<(), Failure> {
    if milliseconds > MAX_WAIT_MS {
        let what = format!("it wants to wait for {milliseconds} ms; at most {MAX_WAIT_MS} are waited at once");
        return Err(problem::from_call(plugin.broke_contract(what)));
    }
    tokio::time::sleep(Duration::from_millis(milliseconds.into())).await;
    Ok(())
}

async fn plan_input(attempt: &Attempt<'_>, lent: &[Lent]) -> Result<provider::Call, Failure> {
    let Attempt { call, request, candidate, .. } = attempt;
    let wanted = &candidate.ready.capabilities.body_members;
    let members = match wanted.is_empty() {
        true => "{}".to_owned(),
        false => {
            let body = &request.canonical(call).await?.body;
            Members::of(body.as_bytes()).map_err(|error| Failure::invalid(error.to_string()))?.pick(wanted)
        }
    };
    let configured = candidate.key().map(|_| headers::API_KEY.to_owned());
    let derived = lent.iter().map(|lent| lent.name.clone());
    Ok(provider::Call {
        operation: candidate.kind.operation.name().to_owned(),
        model: candidate.model.clone(),
        streaming: candidate.kind.streaming,
        dialect: call.dialect().to_owned(),
        attempt: attempt.number,
        now_ms: call.moment.now_ms,
        credentials: configured.into_iter().chain(derived).collect(),
        members,
    })
}

/// The request as it is planned: its place, its headers, and its body in the upstream's dialect.
async fn outbound(attempt: &Attempt<'_>, outgoing: Outgoing, lent: Vec<Lent>) -> Result<Adapted, Failure> {
    let Attempt { candidate, .. } = attempt;
    let plugin = &candidate.ready.plugin;
    let (body, dropped) = match outgoing.body {
        provider::Body::Empty => (Payload::none(), Vec::new()),
        provider::Body::Replaced(text) => (Payload::json(text), Vec::new()),
        provider::Body::Translated => in_dialect(attempt, &outgoing.dialect, &[]).await?,
        provider::Body::Edited(edits) => in_dialect(attempt, &outgoing.dialect, &checked(plugin, edits)?).await?,
    };
    let over = candidate.target.config.path_overrides.get(&candidate.kind);
    let destination = destination(candidate, &outgoing.method, &outgoing.path, over)?;
    let outbound = Box::new(Outbound {
        destination,
        headers: headers::of_plugin(plugin, &outgoing.headers)?,
        auth: outgoing.auth,
        lent,
        body,
        dialect: outgoing.dialect,
        framing: match (candidate.kind.streaming, outgoing.framing) {
            (false, _) | (true, Framing::None) => None,
            (true, Framing::Sse) => Some(crate::framing::Framing::Sse),
            (true, Framing::Ndjson) => Some(crate::framing::Framing::NdJson),
            (true, Framing::AwsEventStream) => Some(crate::framing::Framing::AwsEventStream),
        },
    });
    Ok(Adapted::Send { outbound, dropped })
}

fn destination(
    candidate: &Candidate,
    method: &str,
    path: &str,
    over: Option<&PathOverride>,
) -> Result<Destination, Failure> {
    let ready = &candidate.ready;
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
        .code("provider_unavailable")
        .detail(format!("providers.{}: {error}", candidate.target.config.name)),
        url::UrlError::NotAPath(_) | url::UrlError::Climbs(_) | url::UrlError::BadCharacters(_) => {
            broke(error.to_string())
        }
    })?;
    Ok(Destination { method, url })
}

/// The body in the dialect that the upstream speaks, with these edits, and the hints that were lost on the way. Where the
/// dialect is the caller's, it is what came.
async fn in_dialect(
    attempt: &Attempt<'_>,
    dialect: &str,
    edits: &[form::Edit],
) -> Result<(Payload, Vec<String>), Failure> {
    let Attempt { call, request, candidate, .. } = attempt;
    if dialect == call.dialect()
        && let Some(native) = request.native_asking(call, candidate.kind.streaming)?
    {
        return Ok((native.payload(edits)?, Vec::new()));
    }
    let canonical = request.canonical_asking(call, candidate.kind.streaming).await?;
    let mut dropped = canonical.dropped.clone();
    let format = match call.snapshot.upstream_format(dialect) {
        // Ours as it is: a policy changed it, or nobody knows what its upstreams do not take.
        None if dialect == chat::DIALECT => None,
        Some(_) if dialect == chat::DIALECT && call.is_canonical() => None,
        Some(_) | None => Some(upstream_format(call, candidate, dialect)?),
    };
    let body = match format {
        None => canonical.body.clone(),
        Some(format) => {
            let operation = candidate.kind.operation.name();
            let translated = format.encode_request(call.moment, operation, &candidate.model, &canonical.body).await;
            let translated = translated.map_err(problem::from_call)?;
            dropped.extend(translated.dropped.into_iter().filter(|hint| !canonical.dropped.contains(hint)));
            problem::checked_request(format, translated.body)?
        }
    };
    call.may_drop(&dropped)?;
    Ok((Native::Json(body.into()).payload(edits)?, dropped))
}

pub fn upstream_format<'a>(
    call: &'a Call,
    candidate: &Candidate,
    dialect: &str,
) -> Result<&'a Arc<Configured>, Failure> {
    call.snapshot.upstream_format(dialect).ok_or_else(|| {
        let name = &candidate.target.config.name;
        Failure::new(FailureKind::Unavailable, format!("the provider `{name}` cannot be used now"))
            .code("plugin_missing")
            .detail(format!("providers.{name}: no format plugin in the plugins folder speaks `{dialect}`"))
    })
}

/// Edits of a plugin, all of them JSON.
fn checked(plugin: &Configured, edits: Vec<Edit>) -> Result<Vec<form::Edit>, Failure> {
    for edit in &edits {
        let is_json = |text: &String| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
        if !edit.value.as_ref().is_none_or(is_json) {
            let what = format!("its edit of the member `{}` is not JSON", edit.member);
            return Err(problem::from_call(plugin.broke_contract(what)));
        }
    }
    Ok(edits.into_iter().map(|edit| (edit.member, edit.value)).collect())
}
