//! Requests beside the request: what a provider must know, or get, before it can plan.

use crate::error::{Failure, FailureKind};
use crate::pipeline::attempt::Attempt;
use crate::pipeline::headers::{self, Sealed};
use crate::pipeline::hygiene;
use crate::pipeline::problem;
use crate::pipeline::receive;
use crate::pipeline::scrub::Scrub;
use crate::pipeline::send::{self, Lent, Outbound, Payload, UpstreamReply};
use crate::plugins::api::provider::{Acquisition, Body, HttpReply, Outgoing};
use http::StatusCode;

/// A request whose answer the plugin reads.
pub async fn request(attempt: &Attempt<'_>, outgoing: Outgoing, lent: &[Lent]) -> Result<HttpReply, Failure> {
    let Exchange { reply, scrub, lent } = exchange(attempt, outgoing, lent.to_vec()).await?;
    let UpstreamReply { status, headers, body } = reply;
    if let Some(lent) = lent.filter(|_| status == StatusCode::UNAUTHORIZED) {
        lent.give_up().await;
    }
    let headers = scrub.headers(headers);
    let body = body.whole().await.map_err(|failure| scrub.failure(failure))?;
    Ok(HttpReply {
        status: status.as_u16(),
        headers: headers::for_plugin(headers.iter().filter(|(name, _)| hygiene::may_be_read(name))),
        body: String::from_utf8_lossy(&scrub.report(body)).into_owned(),
    })
}

/// Gets a derived credential, unless a fresh one is at hand. The plugin never sees it.
pub async fn acquire(attempt: &Attempt<'_>, acquisition: &Acquisition) -> Result<Lent, Failure> {
    // One that is derived from a derived one could wait for itself.
    if acquisition.request.auth.as_ref().is_some_and(|auth| auth.credential != headers::API_KEY) {
        let what = "it acquires with another credential than api_key";
        return Err(problem::from_call(attempt.candidate.ready.plugin.broke_contract(what)));
    }
    let name = &acquisition.credential;
    let slot = attempt.gateway.upstreams.derived().slot(attempt.candidate, name);
    // Whoever comes while it is being got waits for the same flight.
    let mut credential = slot.lock().await;
    if let Some(lent) = credential.lend(name, &slot) {
        return Ok(lent);
    }
    let Exchange { reply, scrub, .. } = exchange(attempt, acquisition.request.clone(), Vec::new()).await?;
    if !reply.status.is_success() {
        return Err(scrub.failure(refused(attempt, name, &reply)));
    }
    // A derived credential is in there, and must not be scrubbed away.
    let renewed = match reply.body.whole().await {
        Ok(body) => credential.renew(&body, acquisition, &slot),
        Err(failure) => Err(failure),
    };
    renewed.map_err(|failure| scrub.failure(failure))
}

/// A credential that is not given out. What is said of the key is said so; all else is the trouble of whoever gives it out,
/// and never the fault of the caller's request, which is not in the question.
fn refused(attempt: &Attempt<'_>, name: &str, reply: &UpstreamReply) -> Failure {
    let status = reply.status;
    let message = format!("the credential `{name}` could not be got: the reply has status {}", status.as_u16());
    let patience_ms = receive::asked_for_ms(status, &reply.headers, attempt.call.moment.now_ms);
    let failure = match status {
        StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            Failure::new(FailureKind::UpstreamCredential, message)
        }
        status => {
            let failure = Failure::of_status(status, message);
            let kind = if failure.may_be_rescued() { failure.kind } else { FailureKind::Upstream };
            Failure { kind, ..failure }
        }
    };
    failure.retry_after_ms(patience_ms)
}

/// What was answered, and what it was asked with.
struct Exchange {
    /// As it came.
    reply: UpstreamReply,
    scrub: Scrub,
    lent: Option<Lent>,
}

async fn exchange(attempt: &Attempt<'_>, outgoing: Outgoing, lent: Vec<Lent>) -> Result<Exchange, Failure> {
    let plugin = &attempt.candidate.ready.plugin;
    let body = match outgoing.body {
        Body::Replaced(text) => Payload::json(text),
        Body::Empty => Payload::none(),
        Body::Translated | Body::Edited(_) => {
            return Err(problem::from_call(plugin.broke_contract("a side request cannot carry the caller's body")));
        }
    };
    let outbound = Outbound {
        destination: super::destination(attempt.candidate, &outgoing.method, &outgoing.path, None)?,
        headers: headers::of_plugin(plugin, &outgoing.headers)?,
        auth: outgoing.auth,
        lent,
        body,
        dialect: outgoing.dialect,
        framing: None,
    };
    let Sealed { request, scrub, lent } = headers::finish(attempt, outbound).await?;
    match send::send(attempt, request).await {
        Ok(reply) => Ok(Exchange { reply, scrub, lent }),
        Err(failure) => Err(scrub.failure(failure)),
    }
}
