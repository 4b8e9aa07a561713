//! What a caller speaks: Responses requests in, answers, streams and errors as OpenAI's clients expect them out.

mod input;
mod items;
mod problem;
mod reply;
mod request;
mod state;
mod stream;

use crate::OpenAiResponses;
use plugway_sdk::{ClientFormat, Event, Problem, Route, Translated};
use state::Writing;

impl ClientFormat for OpenAiResponses {
    const DIALECT: &'static str = crate::DIALECT;
    type State = Writing;

    fn routes(&self) -> Vec<Route> {
        vec![Route { operation: "responses".to_owned(), ..Route::chat("/v1/responses") }]
    }

    fn decode_request(&self, operation: &str, model: &str, streaming: bool, body: &str) -> Result<Translated, Problem> {
        crate::only_chat(operation)?;
        request::decode(model, streaming, body)
    }

    fn encode_reply(&self, operation: &str, body: &str) -> Result<String, Problem> {
        crate::only_chat(operation)?;
        reply::encode(body)
    }

    fn encode_chunk(
        &self,
        _operation: &str,
        writing: &mut Writing,
        chunk: &str,
        events: &mut Vec<Event>,
    ) -> Result<(), Problem> {
        writing.chunk(chunk, events)
    }

    fn encode_end(&self, _operation: &str, writing: &mut Writing, events: &mut Vec<Event>) -> Result<(), Problem> {
        writing.end(events);
        Ok(())
    }

    fn encode_failure(&self, _operation: &str, writing: &mut Writing, problem: &Problem, events: &mut Vec<Event>) {
        writing.fail(problem, events);
    }

    fn encode_problem(&self, _status: u16, problem: &Problem, _request_id: &str) -> String {
        problem::reply(problem)
    }
}
