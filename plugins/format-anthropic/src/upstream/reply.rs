//! An answer that was not streamed.

use crate::assistant::{self, Purpose};
use crate::wire::Message;
use crate::{broken_answer, finish, usage};
use plugway_sdk::Problem;
use plugway_sdk::chat::{self, Choice, Response};

pub(crate) fn decode(body: &str) -> Result<String, Problem> {
    let message: Message<'_> = serde_json::from_str(body).map_err(|error| broken_answer(&error))?;
    if message.kind != "message" {
        let detail = format!("an object of type `{}`", message.kind);
        return Err(Problem::upstream("the upstream's answer is no message").detail(detail));
    }
    Ok(serde_json::to_string(&canonical(message)).expect("a view can be written"))
}

pub(crate) fn canonical(message: Message<'_>) -> Response<'_> {
    let choice = Choice {
        message: assistant::from_blocks(message.content, Purpose::Reply),
        finish_reason: message.stop_reason.as_deref().map(|reason| finish::canonical(reason).into()),
        native_finish_reason: message.stop_reason,
        stop_sequence: message.stop_sequence,
        stop_details: message.stop_details,
        ..Choice::default()
    };
    let mut response = Response {
        id: message.id,
        object: "chat.completion".into(),
        created: chat::now(),
        model: message.model,
        choices: vec![choice],
        usage: Some(usage::canonical(message.usage)),
        container: message.container,
        ..Response::default()
    };
    response.extra = message.extra;
    response
}
