//! What a caller speaks: Anthropic's requests in, answers, streams and errors as Anthropic's clients expect them out.

mod messages;
mod pieces;
mod problem;
mod reply;
mod request;
mod stream;

pub(crate) use stream::Writing;

use crate::{AnthropicMessages, models};
use plugway_sdk::{ClientFormat, Event, Place, Problem, Route, Translated};

impl ClientFormat for AnthropicMessages {
    const DIALECT: &'static str = crate::DIALECT;
    type State = Writing;

    fn routes(&self) -> Vec<Route> {
        let count_tokens = Route {
            operation: "count_tokens".to_owned(),
            streaming: Place::Never,
            ..Route::chat("/v1/messages/count_tokens")
        };
        // OpenAI's callers find their own list at the same place; Anthropic's always send this header.
        let list = |path: &str| Route {
            method: "GET".to_owned(),
            operation: models::OPERATION.to_owned(),
            model: Place::Never,
            streaming: Place::Never,
            ..Route::chat(path)
        };
        let lists = ["/v1/models with anthropic-version", "/v1/models/{*id} with anthropic-version"].map(list);
        [Route::chat("/v1/messages"), count_tokens].into_iter().chain(lists).collect()
    }

    fn decode_request(&self, operation: &str, model: &str, streaming: bool, body: &str) -> Result<Translated, Problem> {
        crate::only_chat(operation)?;
        request::decode(model, streaming, body)
    }

    fn encode_reply(&self, operation: &str, body: &str) -> Result<String, Problem> {
        if operation == models::OPERATION {
            return models::anthropic(body);
        }
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
        stream::encode(writing, chunk, events)
    }

    fn encode_end(&self, _operation: &str, writing: &mut Writing, events: &mut Vec<Event>) -> Result<(), Problem> {
        stream::finish(writing, events);
        Ok(())
    }

    fn encode_failure(&self, _operation: &str, _writing: &mut Writing, problem: &Problem, events: &mut Vec<Event>) {
        stream::fail(problem, events);
    }

    fn encode_problem(&self, status: u16, problem: &Problem, request_id: &str) -> String {
        problem::encode(Some(status), problem, Some(request_id))
    }
}
