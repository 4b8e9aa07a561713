//! How Amazon Bedrock wraps this dialect: each event's JSON in Base64 inside a `chunk` event, errors as events named
//! after an exception.

use super::problem;
use crate::base64;
use crate::broken_answer;
use plugway_sdk::{Event, Problem, ProblemKind};
use serde::Deserialize;

pub(crate) enum Unwrapped {
    Data(String),
    Failed(Problem),
}

#[derive(Deserialize)]
struct Wrapping<'a> {
    bytes: Option<&'a str>,
    #[serde(default, alias = "Message")]
    message: Option<String>,
}

/// None for an event that is not wrapped.
pub(crate) fn unwrap(event: &Event) -> Result<Option<Unwrapped>, Problem> {
    let failed = event.name.ends_with("Exception");
    if event.name != "chunk" && !failed {
        return Ok(None);
    }
    let wrapping: Wrapping<'_> = serde_json::from_str(&event.data).map_err(|error| broken_answer(&error))?;
    if failed {
        return Ok(Some(Unwrapped::Failed(exception(&event.name, wrapping.message.unwrap_or_default()))));
    }
    // A host or provider that has unwrapped it already hands on the plain event under the same name.
    let Some(bytes) = wrapping.bytes else { return Ok(None) };
    let data = base64::decode(bytes).and_then(|bytes| String::from_utf8(bytes).ok());
    let data = data.ok_or_else(|| Problem::upstream("the upstream's answer cannot be read").detail("no Base64"))?;
    Ok(Some(Unwrapped::Data(data)))
}

fn exception(name: &str, message: String) -> Problem {
    let kind = match name {
        "throttlingException" => ProblemKind::RateLimited,
        "serviceUnavailableException" => ProblemKind::Overloaded,
        "modelTimeoutException" => ProblemKind::Timeout,
        "validationException" => ProblemKind::InvalidRequest,
        _ => ProblemKind::Upstream,
    };
    let message = if message.is_empty() { problem::silent(None) } else { message };
    Problem::new(kind, message).detail(name)
}

#[cfg(test)]
mod tests {
    use super::{Unwrapped, unwrap};
    use crate::base64;
    use plugway_sdk::{Event, ProblemKind};

    #[test]
    fn an_event_comes_out_of_its_wrapping() {
        let inner = r#"{"type":"message_stop"}"#;
        let event = Event::named("chunk", format!(r#"{{"bytes":"{}","p":"abc"}}"#, base64::encode(inner.as_bytes())));
        assert!(matches!(unwrap(&event), Ok(Some(Unwrapped::Data(data))) if data == inner));
    }

    #[test]
    fn an_exception_is_a_problem() {
        let event = Event::named("throttlingException", r#"{"message":"Too many requests"}"#);
        let Ok(Some(Unwrapped::Failed(problem))) = unwrap(&event) else { panic!("it failed") };
        assert_eq!((problem.kind, problem.message.as_str()), (ProblemKind::RateLimited, "Too many requests"));
    }

    #[test]
    fn a_plain_event_stays_as_it_is() {
        for event in [Event::named("ping", "{}"), Event::data(r#"{"type":"ping"}"#), Event::named("chunk", "{}")] {
            assert!(matches!(unwrap(&event), Ok(None)));
        }
    }
}
