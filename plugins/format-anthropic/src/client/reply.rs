//! An answer that was not streamed.

use crate::assistant::{self, Purpose};
use crate::finish::End;
use crate::path::Path;
use crate::wire::Message;
use crate::{broken_answer, usage};
use plugway_sdk::Problem;
use plugway_sdk::chat::Response;

pub(crate) fn encode(body: &str) -> Result<String, Problem> {
    let response: Response<'_> = serde_json::from_str(body).map_err(|error| broken_answer(&error))?;
    let Some(choice) = response.choices.into_iter().next() else {
        return Err(Problem::upstream("the upstream's answer is empty").detail("no choices"));
    };
    let end = End {
        finish_reason: choice.finish_reason.as_deref(),
        native_finish_reason: choice.native_finish_reason.as_deref(),
        stop_sequence: choice.stop_sequence.as_deref(),
        has_tool_calls: !choice.message.tool_calls.is_empty(),
    };
    let stop_reason = Some(end.stop_reason());
    // Losses are a matter of requests; an answer shows all that there is.
    let content = assistant::to_blocks(choice.message, Purpose::Reply, &Path::of("message"), &mut Vec::new())
        .map_err(|problem| Problem::upstream("the upstream's answer cannot be read").detail(problem.message))?;
    let message = Message {
        id: response.id,
        kind: "message".into(),
        role: "assistant".into(),
        model: response.model,
        content,
        stop_reason,
        stop_sequence: choice.stop_sequence,
        stop_details: choice.stop_details,
        container: response.container,
        usage: usage::anthropic(&response.usage.unwrap_or_default()),
        ..Message::default()
    };
    Ok(serde_json::to_string(&message).expect("a view can be written"))
}
