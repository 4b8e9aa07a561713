//! Answers that are no JSON, such as sound. They have no dialect and are never held as a whole.

use super::Answer;
use crate::error::Failure;
use crate::pipeline::attempt::Attempt;
use crate::pipeline::hygiene;
use crate::pipeline::limit::within;
use crate::pipeline::scrub::Scrub;
use crate::pipeline::send::{UpstreamBody, UpstreamReply};
use crate::pipeline::tries::Verdict;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};

/// Such an answer, its first bytes read.
pub struct ByteReply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    first: Option<Bytes>,
    body: UpstreamBody,
    scrub: Scrub,
    /// On who gave it, until it ends.
    pub verdict: Option<Verdict>,
}

impl ByteReply {
    /// The next bytes; None at the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        let bytes = match self.first.take() {
            Some(first) => Some(first),
            None => self.more().await?,
        };
        Ok(bytes.map(|bytes| self.scrub.answer(bytes)))
    }

    async fn more(&mut self) -> Result<Option<Bytes>, Failure> {
        let bytes = self.body.next().await.map_err(|failure| self.scrub.failure(failure));
        match &bytes {
            Ok(Some(_)) => {}
            Ok(None) => self.verdict.take().into_iter().for_each(Verdict::well),
            Err(failure) => self.verdict.take().into_iter().for_each(|verdict| verdict.failed(failure)),
        }
        bytes
    }

    /// Whether people could read it.
    pub fn is_text(&self) -> bool {
        let kind = super::content_type(&self.headers);
        kind.starts_with("text/") || kind == "application/x-subrip"
    }
}

/// Up to the first bytes.
pub async fn receive(attempt: &Attempt<'_>, scrub: &Scrub, reply: UpstreamReply) -> Result<Answer, Failure> {
    let UpstreamReply { status, headers, mut body } = reply;
    let limit = attempt.candidate.target.config.network.timeouts.request;
    let first = within(limit, "upstream_timeout", || "nothing of the provider's answer came", body.next()).await?;
    let headers = hygiene::downwards(headers);
    let reply = ByteReply { status, headers, first, body, scrub: scrub.clone(), verdict: None };
    Ok(Answer::Bytes(Box::new(reply)))
}
