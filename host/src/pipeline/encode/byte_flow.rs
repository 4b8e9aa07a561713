//! An answer that is no JSON on its way to the caller. There is no event that could say what fails after its first byte, so
//! the transfer is broken off: nobody may take half of it for the whole.

use super::curfew::Curfew;
use super::reply_body::Broken;
use crate::pipeline::call::Call;
use crate::pipeline::receive::ByteReply;
use crate::telemetry::{Outcome, Record};
use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::unfold;
use std::sync::Arc;

pub struct ByteFlow {
    call: Arc<Call>,
    reply: Box<ByteReply>,
    record: Record,
    curfew: Curfew,
    ended: bool,
}

impl ByteFlow {
    pub fn new(call: Arc<Call>, reply: Box<ByteReply>, record: Record) -> Self {
        let curfew = Curfew::at(call.deadline);
        ByteFlow { call, reply, record, curfew, ended: false }
    }

    pub fn into_stream(self) -> impl Stream<Item = Result<Bytes, Broken>> + Send {
        unfold(self, |mut flow| async move {
            let next = flow.next().await?;
            Some((next, flow))
        })
    }

    async fn next(&mut self) -> Option<Result<Bytes, Broken>> {
        if self.ended {
            return None;
        }
        let in_time = self.curfew.before(self.reply.next()).await;
        match in_time.unwrap_or_else(|| Err(self.call.out_of_time("the answer went on"))) {
            Ok(Some(bytes)) => {
                self.record.first_token();
                Some(Ok(bytes))
            }
            Ok(None) => {
                self.ended = true;
                self.record.outcome = Outcome::Complete;
                None
            }
            Err(failure) => {
                self.ended = true;
                failure.log(&self.call.id);
                self.record.outcome = Outcome::Failed;
                self.record.error = Some(failure.message.to_string());
                Some(Err(Broken))
            }
        }
    }
}
