//! What a provider speaks: canonical requests out, Responses answers, streams and errors in.

mod messages;
mod problem;
mod reply;
mod request;
mod stream;

use crate::OpenAiResponses;
use plugway_sdk::{Event, Header, Problem, Progress, Translated, UpstreamFormat};
use stream::Reading;

impl UpstreamFormat for OpenAiResponses {
    const DIALECT: &'static str = crate::DIALECT;
    type State = Reading;

    fn encode_request(&self, operation: &str, model: &str, body: &str) -> Result<Translated, Problem> {
        crate::only_chat(operation)?;
        request::encode(model, body)
    }

    fn decode_reply(&self, operation: &str, body: &str) -> Result<String, Problem> {
        crate::only_chat(operation)?;
        reply::decode(body)
    }

    fn decode_problem(&self, status: u16, headers: &[Header], body: &str) -> Problem {
        problem::decode(status, body).retry_after(headers)
    }

    fn decode_event(
        &self,
        _operation: &str,
        reading: &mut Reading,
        event: &Event,
        chunks: &mut Vec<String>,
    ) -> Result<Progress, Problem> {
        reading.event(event, chunks)
    }
}
