//! The stages that are tried again with the next candidate: adapt, headers, send, receive. Receiving ends at the commit
//! point, the first content of a stream; what fails before it costs the caller nothing.

use super::adapt::{self, Adapted};
use super::call::{Call, Gateway};
use super::decode::Request;
use super::headers::{self, Sealed};
use super::receive::{self, Answer};
use super::route::Candidate;
use super::send;
use crate::error::Failure;
use crate::telemetry::Record;
use std::time::{Duration, Instant};

/// One try of one candidate: what all of these stages may know.
pub struct Attempt<'a> {
    pub gateway: &'a Gateway,
    pub call: &'a Call,
    pub request: &'a Request,
    pub candidate: &'a Candidate,
    /// 0 for the first candidate.
    pub number: u32,
}

/// An answer, and the hints that got lost on the way to it.
pub struct Answered {
    pub answer: Answer,
    pub dropped: Vec<String>,
}

/// The first answer that a candidate gives; the first failure where none gives one.
pub async fn first_that_answers(
    gateway: &Gateway,
    call: &Call,
    request: &Request,
    candidates: &[Candidate],
    record: &mut Record,
) -> Result<Answered, Failure> {
    let mut first: Option<Failed<'_>> = None;
    for (number, candidate) in (0..).zip(candidates) {
        note(record, candidate);
        let attempt = Attempt { gateway, call, request, candidate, number };
        match attempt.run(record).await {
            Ok(answered) => {
                record.usage = answered.answer.usage();
                return Ok(answered);
            }
            Err(failure) => {
                // Where there is but one, its failure is the outcome, which is logged anyway.
                if candidates.len() > 1 {
                    failure.log_attempt(&call.id, &candidate.target.config.name, number);
                }
                let is_final = !failure.may_be_rescued();
                first.get_or_insert(Failed { candidate, failure, upstream_time: record.upstream_time });
                if is_final {
                    break;
                }
            }
        }
    }
    let Some(Failed { candidate, failure, upstream_time }) = first else {
        return Err(Failure::upstream("there was no provider to try"));
    };
    note(record, candidate);
    record.upstream_time = upstream_time;
    Err(failure)
}

/// A try that failed.
struct Failed<'a> {
    candidate: &'a Candidate,
    failure: Failure,
    upstream_time: Option<Duration>,
}

impl Attempt<'_> {
    async fn run(&self, record: &mut Record) -> Result<Answered, Failure> {
        let (outbound, dropped) = match adapt::adapt(self).await? {
            Adapted::Local { reply, dropped } => {
                return Ok(Answered { answer: receive::local(self, reply)?, dropped });
            }
            Adapted::Send { outbound, dropped } => (*outbound, dropped),
        };
        let expected = receive::Expected { dialect: outbound.dialect.clone(), framing: outbound.framing };
        let Sealed { request, scrub } = headers::finish(self, outbound).await?;
        let sent = Instant::now();
        let answer = async {
            let reply = send::send(self, request).await?;
            record.upstream_time = Some(sent.elapsed());
            receive::receive(self, expected, &scrub, reply).await
        };
        let answer = answer.await.map_err(|failure| scrub.failure(failure))?;
        Ok(Answered { answer, dropped })
    }
}

/// Whom the record is about.
fn note(record: &mut Record, candidate: &Candidate) {
    record.provider.clone_from(&candidate.target.config.name);
    record.key = candidate.key().map(|key| key.name.clone()).unwrap_or_default();
    record.plugin = format!("{:?}", candidate.ready.plugin.plugin);
    record.upstream_time = None;
}
