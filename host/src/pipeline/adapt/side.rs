//! Requests beside the request: what a provider must know, or get, before it can plan.

use crate::error::Failure;
use crate::pipeline::attempt::Attempt;
use crate::pipeline::headers::{self, Sealed};
use crate::pipeline::hygiene;
use crate::pipeline::problem;
use crate::pipeline::scrub::Scrub;
use crate::pipeline::send::{self, Lent, Outbound, Payload, WholeReply};
use crate::plugins::api::provider::{Acquisition, Body, HttpReply, Outgoing};
use http::StatusCode;

/// A request whose answer the plugin reads.
pub async fn request(attempt: &Attempt<'_>, outgoing: Outgoing) -> Result<HttpReply, Failure> {
    let (WholeReply { status, headers, body }, scrub, lent) = exchange(attempt, outgoing).await?;
    if let Some(lent) = lent.filter(|_| status == StatusCode::UNAUTHORIZED) {
        lent.give_up().await;
    }
    let headers = scrub.headers(headers);
    Ok(HttpReply {
        status: status.as_u16(),
        headers: headers::for_plugin(headers.iter().filter(|(name, _)| hygiene::may_be_read(name))),
        body: String::from_utf8_lossy(&scrub.report(body)).into_owned(),
    })
}

/// Gets a derived credential, unless a fresh one is at hand. The plugin never sees it.
pub async fn acquire(attempt: &Attempt<'_>, acquisition: &Acquisition) -> Result<(), Failure> {
    // One that is derived from a derived one could wait for itself.
    if acquisition.request.auth.as_ref().is_some_and(|auth| auth.credential != headers::API_KEY) {
        let what = "it acquires with another credential than api_key";
        return Err(problem::from_call(attempt.candidate.ready.plugin.broke_contract(what)));
    }
    let slot = attempt.gateway.upstreams.derived().slot(attempt.candidate, &acquisition.credential);
    // Whoever comes while it is being got waits for the same flight.
    let mut credential = slot.lock().await;
    if credential.is_fresh() {
        return Ok(());
    }
    let (reply, scrub, _) = exchange(attempt, acquisition.request.clone()).await?;
    credential.renew(&reply, acquisition).map_err(|failure| scrub.failure(failure))
}

/// The reply as it came: a derived credential is in there, and must not be scrubbed away.
async fn exchange(attempt: &Attempt<'_>, outgoing: Outgoing) -> Result<(WholeReply, Scrub, Option<Lent>), Failure> {
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
        body,
        dialect: outgoing.dialect,
        framing: None,
    };
    let Sealed { request, scrub, lent } = headers::finish(attempt, outbound).await?;
    match send::whole(attempt, request).await {
        Ok(reply) => Ok((reply, scrub, lent)),
        Err(failure) => Err(scrub.failure(failure)),
    }
}
