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
use http::StatusCode;
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

/// What came of sending a request once.
enum Once {
    Answered(Answered),
    /// The upstream does not take the derived credential, which is given up.
    CredentialRefused(Failure),
}

impl Once {
    fn into_result(self) -> Result<Answered, Failure> {
        match self {
            Once::Answered(answered) => Ok(answered),
            Once::CredentialRefused(failure) => Err(failure),
        }
    }
}

impl Attempt<'_> {
    async fn run(&self, record: &mut Record) -> Result<Answered, Failure> {
        match self.once(record).await? {
            // A derived credential may have been revoked before its time. It goes well with a new one, or never.
            Once::CredentialRefused(_) => self.once(record).await?.into_result(),
            once => once.into_result(),
        }
    }

    async fn once(&self, record: &mut Record) -> Result<Once, Failure> {
        let (outbound, dropped) = match adapt::adapt(self).await? {
            Adapted::Local { reply, dropped } => {
                return Ok(Once::Answered(Answered { answer: receive::local(self, reply)?, dropped }));
            }
            Adapted::Send { outbound, dropped } => (*outbound, dropped),
        };
        let expected = receive::Expected { dialect: outbound.dialect.clone(), framing: outbound.framing };
        let Sealed { request, scrub, lent } = headers::finish(self, outbound).await?;
        let sent = Instant::now();
        let mut refused = None;
        let answer = async {
            let reply = send::send(self, request).await?;
            record.upstream_time = Some(sent.elapsed());
            refused = lent.filter(|_| reply.status == StatusCode::UNAUTHORIZED);
            receive::receive(self, expected, &scrub, reply).await
        };
        let answer = answer.await.map_err(|failure| scrub.failure(failure));
        match (answer, refused) {
            (Ok(answer), _) => Ok(Once::Answered(Answered { answer, dropped })),
            (Err(failure), None) => Err(failure),
            (Err(failure), Some(lent)) => {
                lent.give_up().await;
                Ok(Once::CredentialRefused(failure))
            }
        }
    }
}

/// Whom the record is about.
fn note(record: &mut Record, candidate: &Candidate) {
    record.provider.clone_from(&candidate.target.config.name);
    record.key = candidate.key().map(|key| key.name.clone()).unwrap_or_default();
    record.plugin = format!("{:?}", candidate.ready.plugin.plugin);
    record.upstream_time = None;
}
