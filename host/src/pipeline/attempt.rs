//! The stages that are tried again with the next candidate: adapt, headers, send, receive. Receiving ends at the commit
//! point, the first content of a stream; what fails before it costs the caller nothing.

use super::adapt::{self, Adapted};
use super::call::{Call, Gateway};
use super::decode::Request;
use super::headers;
use super::receive::{self, Answer};
use super::route::Candidate;
use super::send;
use crate::error::Failure;
use crate::telemetry::Record;

/// The first answer that a candidate gives; the first failure where none gives one.
pub async fn first_that_answers(
    gateway: &Gateway,
    call: &Call,
    request: &Request,
    candidates: Vec<Candidate>,
    record: &mut Record,
) -> Result<Answer, Failure> {
    let mut first: Option<Failure> = None;
    let last = candidates.len().saturating_sub(1);
    for (index, candidate) in candidates.into_iter().enumerate() {
        note(record, &candidate);
        match attempt(gateway, call, request, &candidate, record).await {
            Ok(answer) => return Ok(answer),
            Err(failure) => {
                let is_final = index == last || !failure.may_be_rescued();
                // The first is told when all have failed.
                if !is_final || first.is_some() {
                    failure.log(&call.id);
                }
                first.get_or_insert(failure);
                if is_final {
                    break;
                }
            }
        }
    }
    Err(first.unwrap_or_else(|| Failure::upstream("there was no provider to try")))
}

async fn attempt(
    gateway: &Gateway,
    call: &Call,
    request: &Request,
    candidate: &Candidate,
    record: &mut Record,
) -> Result<Answer, Failure> {
    let outbound = match adapt::adapt(gateway, call, request, candidate).await? {
        Adapted::Local(reply) => return receive::local(request, candidate, reply),
        Adapted::Send(outbound) => *outbound,
    };
    let expected = receive::Expected { dialect: outbound.dialect.clone(), framing: outbound.framing };
    let outgoing = headers::finish(gateway, call, candidate, outbound).await?;
    let sent = std::time::Instant::now();
    let reply = send::send(gateway, call, candidate, outgoing).await?;
    record.upstream_time = Some(sent.elapsed());
    receive::receive(gateway, call, request, candidate, expected, reply).await
}

/// Which provider, key and plugin a request went to last.
fn note(record: &mut Record, candidate: &Candidate) {
    record.provider.clone_from(&candidate.target.config.name);
    record.key = candidate.key().map(|key| key.name.clone()).unwrap_or_default();
    if let Ok(ready) = candidate.ready() {
        record.plugin = format!("{:?}", ready.plugin.plugin);
    }
}
