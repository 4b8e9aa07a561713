//! Policy, header templates and the `spy` dialect in one: does no harm, but tells the log every argument of every call.
//! What a plugin can see stands in the log then, and a test can look for what must not.

use plugway_sdk::{
    Context, Event, Header, HeaderTemplates, Level, NoSettings, Phases, Plugin, Policy, Problem, ProblemKind, Progress,
    Translated, UpstreamFormat, Variable, Verdict,
};
use std::fmt::Debug;

struct Spy;

impl Plugin for Spy {
    type Settings = NoSettings;
    const DESCRIPTION: &'static str = "Tells the log everything";

    fn new(_: NoSettings) -> Result<Self, Problem> {
        Ok(Spy)
    }
}

fn tell(call: &str, arguments: impl Debug) {
    plugway_sdk::log(Level::Info, &format!("spy saw {call} {arguments:?}"));
}

impl Policy for Spy {
    type State = ();

    fn phases(&self) -> Phases {
        Phases::REQUEST | Phases::REPLY | Phases::CHUNKS
    }

    fn review_request(&self, context: &Context, body: &str) -> Result<Verdict, Problem> {
        tell("review-request", (context, body));
        Ok(Verdict::Pass)
    }

    fn review_reply(&self, context: &Context, body: &str) -> Result<Verdict, Problem> {
        tell("review-reply", (context, body));
        Ok(Verdict::Pass)
    }

    fn review_chunk(
        &self,
        context: &Context,
        (): &mut (),
        chunk: String,
        chunks: &mut Vec<String>,
    ) -> Result<Option<Problem>, Problem> {
        tell("review-chunk", (context, &chunk));
        chunks.push(chunk);
        Ok(None)
    }
}

/// Takes `{{name}}` and nothing more, which is enough to be given every value.
impl HeaderTemplates for Spy {
    fn variables(&self, template: &str) -> Result<Vec<String>, Problem> {
        let names = template.split("{{").skip(1).filter_map(|rest| rest.split_once("}}"));
        Ok(names.map(|(name, _)| name.trim().to_owned()).collect())
    }

    fn render(&self, templates: Vec<Header>, variables: &[Variable]) -> Result<Vec<Header>, Problem> {
        tell("render", (&templates, variables));
        Ok(templates
            .into_iter()
            .map(|Header { name, mut value }| {
                for variable in variables {
                    value = value.replace(&format!("{{{{{}}}}}", variable.name), &variable.value);
                }
                Header { name, value }
            })
            .collect())
    }
}

/// The canonical form under another name, so that it is translated.
impl UpstreamFormat for Spy {
    const DIALECT: &'static str = "spy";
    type State = ();

    fn encode_request(&self, operation: &str, model: &str, body: &str) -> Result<Translated, Problem> {
        tell("encode-request", (operation, model, body));
        let mut body: serde_json::Value = serde_json::from_str(body)?;
        body["model"] = model.into();
        Ok(Translated::exact(body.to_string()))
    }

    fn decode_reply(&self, operation: &str, body: &str) -> Result<String, Problem> {
        tell("decode-reply", (operation, body));
        Ok(body.to_owned())
    }

    fn decode_problem(&self, status: u16, headers: &[Header], body: &str) -> Problem {
        tell("decode-problem", (status, headers, body));
        Problem::new(ProblemKind::Upstream, format!("status {status}"))
    }

    fn decode_event(
        &self,
        operation: &str,
        (): &mut (),
        event: &Event,
        chunks: &mut Vec<String>,
    ) -> Result<Progress, Problem> {
        tell("decode-event", (operation, event));
        if event.data == "[DONE]" {
            return Ok(Progress::Complete);
        }
        chunks.push(event.data.clone());
        Ok(Progress::Open)
    }
}

stamp::export!(Spy as "spy": policy, headers, format_upstream);
