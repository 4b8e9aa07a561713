//! One try of one candidate: adapt, headers, send, receive. Receiving ends at the commit point, the first content of a
//! stream; what fails before it costs the caller nothing.

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
use std::time::Instant;

/// One try of one candidate: what all of these stages may know.
pub struct Attempt<'a> {
    pub gateway: &'a Gateway,
    pub call: &'a Call,
    pub request: &'a Request,
    pub candidate: &'a Candidate,
    /// 0 for the first try.
    pub number: u32,
}

/// An answer, and the hints that got lost on the way to it.
pub struct Answered {
    pub answer: Answer,
    pub dropped: Vec<String>,
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
    pub async fn run(&self, record: &mut Record) -> Result<Answered, Failure> {
        match self.once(record).await? {
            // A derived credential may have been revoked before its time. It goes well with a new one, or never.
            Once::CredentialRefused(_) => self.once(record).await?.into_result(),
            once => once.into_result(),
        }
    }

    async fn once(&self, record: &mut Record) -> Result<Once, Failure> {
        let (outbound, dropped) = match adapt::adapt(self).await? {
            Adapted::Local { reply, dropped } => {
                return Ok(Once::Answered(Answered { answer: receive::local(self, reply).await?, dropped }));
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
