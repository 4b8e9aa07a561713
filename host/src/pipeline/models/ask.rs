//! What models a service lists itself.

use super::KIND;
use crate::error::{Failure, FailureKind};
use crate::pipeline::adapt::{self, Adapted};
use crate::pipeline::attempt::Attempt;
use crate::pipeline::call::{Call, Gateway};
use crate::pipeline::decode::Request;
use crate::pipeline::headers::{self, Sealed};
use crate::pipeline::limit::within;
use crate::pipeline::receive;
use crate::pipeline::route::{self, Candidate};
use crate::pipeline::send;
use crate::pipeline::tries::{self, Ring, Turned};
use crate::plugins::api::provider::LocalReply;
use crate::snapshot::Target;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// Of all services together: they are asked at the same time.
const LIMIT: Duration = Duration::from_secs(5);

/// None where it cannot be found out; the log says why.
pub async fn ask(gateway: &Gateway, call: &Call, target: &Arc<Target>) -> Option<Vec<String>> {
    let asked = list(gateway, call, target);
    match within(LIMIT, "upstream_timeout", || "it did not list its models", asked).await {
        Ok(names) => Some(names),
        Err(failure) => {
            failure.log_attempt(&call.id, &target.config.name, 0);
            None
        }
    }
}

/// By one key after the other, as a request would: one that was revoked hides no models.
async fn list(gateway: &Gateway, call: &Call, target: &Arc<Target>) -> Result<Vec<String>, Failure> {
    // The answer is for every caller, so nothing of this one goes into the question.
    let call = &call.of_its_own();
    let choice = route::choice(call, target, None, KIND)?;
    let (mut ring, mut first) = (Ring::of(&choice), None);
    loop {
        let key = match ring.turn() {
            Turned::Key(key) => key,
            Turned::Resting(pause) => return Err(first.unwrap_or_else(|| tries::resting(&choice, pause))),
            Turned::Spent => return Err(first.unwrap_or_else(|| Failure::upstream("there was no key to ask with"))),
        };
        match list_with(gateway, call, &choice.candidate(key)).await {
            Ok(names) => {
                target.vitals.keys.accepted(tries::slot(key));
                return Ok(names);
            }
            Err(failure) if is_the_keys(&failure, key, target, call, &mut ring) => _ = first.get_or_insert(failure),
            Err(failure) => return Err(failure),
        }
    }
}

/// Whether another key may fare better. What is learnt of this one is for everybody; of the provider nothing is, as many a
/// service has no list and serves well.
fn is_the_keys(failure: &Failure, key: Option<usize>, target: &Target, call: &Call, ring: &mut Ring<'_>) -> bool {
    let keys = &target.vitals.keys;
    let longest = call.snapshot.config.routing.longest_rest;
    match failure.kind {
        FailureKind::UpstreamCredential => keys.refused(tries::slot(key)),
        FailureKind::RateLimited => {
            if let Some(pause) = failure.retry_after_ms.map(Duration::from_millis) {
                keys.rest(tries::slot(key), pause.min(longest));
            }
        }
        FailureKind::Forbidden => {}
        FailureKind::InvalidRequest
        | FailureKind::NotFound
        | FailureKind::MethodNotAllowed
        | FailureKind::CallerTooSlow
        | FailureKind::TooLarge
        | FailureKind::Refused
        | FailureKind::Unsupported
        | FailureKind::Plugin
        | FailureKind::Unavailable
        | FailureKind::Internal
        | FailureKind::Upstream
        | FailureKind::ForbiddenAddress
        | FailureKind::Overloaded
        | FailureKind::Timeout => return false,
    }
    ring.refused(key);
    true
}

async fn list_with(gateway: &Gateway, call: &Call, candidate: &Candidate) -> Result<Vec<String>, Failure> {
    let request = &Request::of_nothing(KIND);
    let attempt = &Attempt { gateway, call, request, candidate, number: 0 };
    let body = match adapt::adapt(attempt).await? {
        Adapted::Local { reply: LocalReply::Whole(body), .. } => body,
        Adapted::Local { reply: LocalReply::Chunks(_), .. } => return Err(unreadable()),
        Adapted::Send { outbound, .. } => {
            let dialect = outbound.dialect.clone();
            let Sealed { request, scrub, .. } = headers::finish(attempt, *outbound).await?;
            let reply = send::send(attempt, request).await.map_err(|failure| scrub.failure(failure))?;
            if !reply.status.is_success() {
                let status = reply.status;
                let failure = Failure::of_status(status, format!("it answered with status {}", status.as_u16()));
                return Err(failure.retry_after_ms(receive::asked_for_ms(status, &reply.headers, call.moment.now_ms)));
            }
            let body = reply.body.whole().await.map_err(|failure| scrub.failure(failure))?;
            let text = String::from_utf8_lossy(&scrub.answer(body)).into_owned();
            receive::in_canonical_form(attempt, &dialect, text).await?
        }
    };
    names(&body).ok_or_else(unreadable)
}

/// Of `{"data": [{"id": …}]}`; some services leave out what is around the list.
fn names(body: &str) -> Option<Vec<String>> {
    let body: Value = serde_json::from_str(body).ok()?;
    let list = body.get("data").unwrap_or(&body).as_array()?;
    Some(list.iter().filter_map(|model| model.get("id")?.as_str()).map(str::to_owned).collect())
}

fn unreadable() -> Failure {
    Failure::upstream("its list of models cannot be read")
}
