//! OpenAI's dialect, for upstreams: what is left to translate where the canonical form is spoken already.
//!
//! A caller of this dialect reaches its upstreams untranslated. A request that was another dialect's has Plugway's
//! extension members, though, and OpenAI itself and the stricter services answer what they do not know with 400.
//! Answers and streams are canonical as they come.

mod members;
mod message;
mod problem;
mod request;

use crate::OpenAi;
use plugway_sdk::{Event, Header, Problem, Progress, Translated, UpstreamFormat};

impl UpstreamFormat for OpenAi {
    const DIALECT: &'static str = "openai-chat";
    type State = ();

    fn encode_request(&self, operation: &str, model: &str, body: &str) -> Result<Translated, Problem> {
        match operation {
            "chat_completion" => request::encode(model, body),
            // The extension members are those of chats, and elsewhere some of their names mean other things.
            _ => request::encode_as_it_is(model, body),
        }
    }

    fn decode_reply(&self, _operation: &str, body: &str) -> Result<String, Problem> {
        problem::look_for_one(body)?;
        Ok(body.to_owned())
    }

    fn decode_problem(&self, status: u16, headers: &[Header], body: &str) -> Problem {
        problem::decode(status, body).retry_after(headers)
    }

    fn decode_event(
        &self,
        _operation: &str,
        _state: &mut (),
        event: &Event,
        chunks: &mut Vec<String>,
    ) -> Result<Progress, Problem> {
        match event.data.trim() {
            "[DONE]" => return Ok(Progress::Complete),
            // Some servers keep the line alive with empty events.
            "" => return Ok(Progress::Open),
            chunk => problem::look_for_one(chunk)?,
        }
        chunks.push(event.data.clone());
        Ok(Progress::Open)
    }
}

#[cfg(test)]
mod tests {
    use crate::OpenAi;
    use plugway_sdk::{Plugin, UpstreamFormat};

    /// Cases compare JSON as values, where order does not show.
    #[test]
    fn what_stays_keeps_its_order_and_its_text() {
        let format = OpenAi::new(Default::default()).expect("no setting is needed");
        let body = r#"{"z":1e2,"top_k":4,"messages":[{"content":"Hi","cache_control":{},"role":"user","x":[ 1 ]}],"model":"a","a":{}}"#;
        let translated = format.encode_request("chat_completion", "b", body).expect("it can be said");
        assert_eq!(
            translated.body,
            r#"{"z":1e2,"messages":[{"content":"Hi","role":"user","x":[ 1 ]}],"model":"b","a":{}}"#
        );
        assert_eq!(translated.dropped, ["top_k"]);
    }
}
