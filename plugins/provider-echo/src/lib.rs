//! Answers every chat by itself, with what it was last told: for a first `curl`, for demonstrations, and for tests that
//! need an upstream but no network.
//!
//! Any model name will do. Usage is counted in words, which is near enough to tokens to see that accounting works.

mod answer;
mod message;

use answer::Answer;
use message::{Message, last_said};
use plugway_sdk::{Call, Capabilities, LocalReply, NoSettings, Plugin, Problem, Provider, Step};
use serde::Deserialize;

pub struct Echo;

impl Plugin for Echo {
    type Settings = NoSettings;
    const DESCRIPTION: &'static str = env!("CARGO_PKG_DESCRIPTION");

    fn new(_: NoSettings) -> Result<Self, Problem> {
        Ok(Echo)
    }
}

/// What is read of the body; the host sends no more than `capabilities` asks for.
#[derive(Deserialize)]
struct Members {
    #[serde(default)]
    messages: Vec<Message>,
}

impl Provider for Echo {
    fn capabilities(&self) -> Capabilities {
        Capabilities::of(["chat_completion", "chat_completion_stream"]).key_less().reads(["messages"])
    }

    fn plan(&self, call: &Call) -> Result<Step, Problem> {
        let Members { messages } = read(&call.members)?;
        let Some(said) = last_said(&messages) else {
            return Err(Problem::invalid("there is no message to echo").at("messages"));
        };
        let answer = Answer::new(call, &messages, said.text());
        Ok(Step::Reply(match call.streaming {
            true => LocalReply::Chunks(answer.chunks()),
            false => LocalReply::Whole(answer.whole()),
        }))
    }
}

fn read(members: &str) -> Result<Members, Problem> {
    serde_json::from_str(members)
        .map_err(|error| Problem::invalid("the messages cannot be read").at("messages").detail(error.to_string()))
}

plugway_sdk::export!(Echo: provider);

#[cfg(test)]
plugway_sdk::cases!(Echo: provider);
