//! What a provider speaks: canonical requests out, Anthropic's answers, streams and errors in.

mod bedrock;
mod delta;
mod messages;
mod problem;
mod reply;
mod request;
mod stream;
mod thinking;
mod tools;

pub(crate) use stream::Reading;

use crate::{AnthropicMessages, models};
use plugway_sdk::{Event, Header, Problem, Progress, Translated, UpstreamFormat};

impl UpstreamFormat for AnthropicMessages {
    const DIALECT: &'static str = crate::DIALECT;
    type State = Reading;

    fn encode_request(&self, operation: &str, model: &str, body: &str) -> Result<Translated, Problem> {
        crate::only_chat(operation)?;
        request::encode(&self.settings, model, body)
    }

    fn decode_reply(&self, operation: &str, body: &str) -> Result<String, Problem> {
        if operation == models::OPERATION {
            return models::canonical(body);
        }
        crate::only_chat(operation)?;
        reply::decode(body)
    }

    fn decode_problem(&self, status: u16, headers: &[Header], body: &str) -> Problem {
        problem::decode(status, headers, body)
    }

    fn decode_event(
        &self,
        _operation: &str,
        reading: &mut Reading,
        event: &Event,
        chunks: &mut Vec<String>,
    ) -> Result<Progress, Problem> {
        stream::decode(reading, event, chunks)
    }
}
