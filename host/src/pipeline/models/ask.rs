//! What models a service lists itself.

use super::KIND;
use crate::error::Failure;
use crate::pipeline::adapt::{self, Adapted};
use crate::pipeline::attempt::Attempt;
use crate::pipeline::call::{Call, Gateway};
use crate::pipeline::decode::Request;
use crate::pipeline::headers::{self, Sealed};
use crate::pipeline::limit::within;
use crate::pipeline::send;
use crate::pipeline::{receive, route};
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

async fn list(gateway: &Gateway, call: &Call, target: &Arc<Target>) -> Result<Vec<String>, Failure> {
    // The answer is for every caller, so nothing of this one goes into the question.
    let call = &call.of_its_own();
    let choice = route::choice(call, target, None, KIND)?;
    let key = choice.keys().next().filter(|_| !choice.ready.key_less);
    let candidate = &choice.candidate(key);
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
                return Err(Failure::of_status(status, format!("it answered with status {}", status.as_u16())));
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
