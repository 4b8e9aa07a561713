//! An answer that is no JSON on its way to the caller. There is no event that could say what fails after its first byte, so
//! the transfer is broken off: nobody may take half of it for the whole.

use super::course::Course;
use super::reply_body::Broken;
use crate::pipeline::receive::ByteReply;
use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::unfold;

pub struct ByteFlow {
    course: Course,
    reply: Box<ByteReply>,
}

impl ByteFlow {
    pub fn new(course: Course, reply: Box<ByteReply>) -> Self {
        ByteFlow { course, reply }
    }

    pub fn into_stream(self) -> impl Stream<Item = Result<Bytes, Broken>> + Send {
        unfold(self, |mut flow| async move {
            let next = flow.next().await?;
            Some((next, flow))
        })
    }

    async fn next(&mut self) -> Option<Result<Bytes, Broken>> {
        if self.course.is_over() {
            return None;
        }
        let in_time = self.course.in_time(self.reply.next()).await;
        match in_time.unwrap_or_else(|| Err(self.course.call.out_of_time("the answer went on"))) {
            Ok(Some(bytes)) => {
                self.course.record.first_token();
                Some(Ok(bytes))
            }
            Ok(None) => {
                self.course.complete();
                None
            }
            Err(failure) => {
                self.course.fail(&failure);
                Some(Err(Broken))
            }
        }
    }
}
