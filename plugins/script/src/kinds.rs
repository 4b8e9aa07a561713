//! The contract's calls, each as a call of the script's function.

use crate::values::{
    EventValue, NewEvent, PresetValue, ProblemValue, ProgressValue, ReplyValue, StepValue, Text, TranslatedValue,
    from_pairs, json, pairs, plain, request, shown, texts,
};
use crate::{Component, ask};
use plugway_sdk::bindings::format_client::exports::plugway::format::client as wit_client;
use plugway_sdk::bindings::format_upstream::exports::plugway::format::upstream as wit_upstream;
use plugway_sdk::bindings::headers::exports::plugway::headers::headers as wit_headers;
use plugway_sdk::bindings::policy::exports::plugway::policy::policy as wit_policy;
use plugway_sdk::bindings::provider::exports::plugway::provider::provider as wit_provider;
use plugway_sdk::{
    Call, Capabilities, Context, Event, Header, HttpReply, Phases, Problem, Progress, Route, Step, Translated,
    Variable, Verdict,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// What a function without a way to refuse returns, or a panic with the script's words.
fn sure<T>(answer: Result<T, Problem>) -> T {
    answer.unwrap_or_else(|problem| panic!("a problem where the contract has none: {}", problem.message))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CapabilitiesValue {
    operations: Vec<String>,
    body_members: Vec<String>,
    presets: Vec<PresetValue>,
    default_base_url: Option<String>,
    needs_key: bool,
}

#[derive(Serialize)]
struct CallValue<'c> {
    operation: &'c str,
    model: &'c str,
    streaming: bool,
    dialect: &'c str,
    attempt: u32,
    now_ms: u64,
    credentials: &'c [String],
    members: Box<RawValue>,
}

impl wit_provider::Guest for Component {
    fn get_capabilities() -> Capabilities {
        let value: CapabilitiesValue = sure(ask("capabilities", vec![]));
        Capabilities {
            operations: value.operations,
            body_members: value.body_members,
            presets: value.presets.into_iter().map(Into::into).collect(),
            default_base_url: value.default_base_url,
            needs_key: value.needs_key,
        }
    }

    fn plan(call: Call) -> Result<Step, Problem> {
        let value = CallValue {
            operation: &call.operation,
            model: &call.model,
            streaming: call.streaming,
            dialect: &call.dialect,
            attempt: call.attempt,
            now_ms: call.now_ms,
            credentials: &call.credentials,
            members: json(&call.members)?,
        };
        ask::<StepValue>("plan", vec![plain(&value)]).map(Into::into)
    }

    fn resume(state: String, reply: Option<HttpReply>) -> Result<Step, Problem> {
        let reply = plain(&reply.as_ref().map(ReplyValue::from));
        ask::<StepValue>("resume", vec![shown(&state), reply]).map(Into::into)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DecodedValue {
    state: Text,
    chunks: Vec<Text>,
    progress: ProgressValue,
}

impl wit_upstream::Guest for Component {
    fn dialect() -> String {
        sure(ask("dialect", vec![]))
    }

    fn encode_request(operation: String, model: String, body: String) -> Result<Translated, Problem> {
        let given = vec![plain(&operation), plain(&model), request(&body)?];
        ask::<TranslatedValue>("encodeRequest", given).map(Into::into)
    }

    fn decode_reply(operation: String, body: String) -> Result<String, Problem> {
        ask::<Text>("decodeReply", vec![plain(&operation), json(&body)?]).map(|Text(text)| text)
    }

    fn decode_problem(status: u16, headers: Vec<Header>, body: String) -> Problem {
        let given = vec![plain(&status), plain(&pairs(&headers)), shown(&body)];
        match ask::<ProblemValue>("decodeProblem", given) {
            Ok(problem) => problem.into(),
            // Thrown instead of returned, which comes to the same.
            Err(problem) => problem,
        }
    }

    fn decode_events(
        operation: String,
        state: String,
        events: Vec<Event>,
        end: bool,
    ) -> Result<wit_upstream::Decoded, Problem> {
        let events: Vec<EventValue<'_>> = events.iter().map(Into::into).collect();
        let given = vec![plain(&operation), shown(&state), plain(&events), plain(&end)];
        let decoded: DecodedValue = ask("decodeEvents", given)?;
        Ok(wit_upstream::Decoded {
            state: decoded.state.0,
            chunks: texts(decoded.chunks),
            progress: decoded.progress.into(),
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RouteValue {
    method: String,
    path: String,
    operation: String,
    model: PlaceValue,
    streaming: PlaceValue,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum PlaceValue {
    Member(String),
    Parameter(String),
    Always,
    Never,
}

impl From<PlaceValue> for wit_client::Place {
    fn from(value: PlaceValue) -> Self {
        match value {
            PlaceValue::Member(name) => wit_client::Place::Member(name),
            PlaceValue::Parameter(name) => wit_client::Place::Parameter(name),
            PlaceValue::Always => wit_client::Place::Always,
            PlaceValue::Never => wit_client::Place::Never,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EncodedValue {
    state: Text,
    events: Vec<NewEvent>,
}

impl wit_client::Guest for Component {
    fn dialect() -> String {
        sure(ask("dialect", vec![]))
    }

    fn routes() -> Vec<Route> {
        let routes: Vec<RouteValue> = sure(ask("routes", vec![]));
        let route = |RouteValue { method, path, operation, model, streaming }| Route {
            method,
            path,
            operation,
            model: model.into(),
            streaming: streaming.into(),
        };
        routes.into_iter().map(route).collect()
    }

    fn decode_request(operation: String, model: String, streaming: bool, body: String) -> Result<Translated, Problem> {
        let given = vec![plain(&operation), plain(&model), plain(&streaming), request(&body)?];
        ask::<TranslatedValue>("decodeRequest", given).map(Into::into)
    }

    fn encode_reply(operation: String, body: String) -> Result<String, Problem> {
        ask::<Text>("encodeReply", vec![plain(&operation), json(&body)?]).map(|Text(text)| text)
    }

    fn encode_events(
        operation: String,
        state: String,
        chunks: Vec<String>,
        progress: Progress,
    ) -> Result<wit_client::Encoded, Problem> {
        let progress = plain(&ProgressValue::from(&progress));
        let given = vec![plain(&operation), shown(&state), list(&chunks)?, progress];
        let encoded: EncodedValue = ask("encodeEvents", given)?;
        Ok(wit_client::Encoded { state: encoded.state.0, events: encoded.events.into_iter().map(Into::into).collect() })
    }

    fn encode_problem(status: u16, problem: Problem, request_id: String) -> String {
        let given = vec![plain(&status), plain(&ProblemValue::from(&problem)), plain(&request_id)];
        sure(ask::<Text>("encodeProblem", given)).0
    }
}

fn list(texts: &[String]) -> Result<Box<RawValue>, Problem> {
    let values: Vec<_> = texts.iter().map(|text| json(text)).collect::<Result<_, _>>()?;
    Ok(plain(&values))
}

impl wit_headers::Guest for Component {
    fn variables(template: String) -> Result<Vec<String>, Problem> {
        ask("variables", vec![plain(&template)])
    }

    fn render(templates: Vec<Header>, variables: Vec<Variable>) -> Result<Vec<Header>, Problem> {
        let variables: Vec<_> = variables.iter().map(|variable| (&variable.name, &variable.value)).collect();
        ask("render", vec![plain(&pairs(&templates)), plain(&variables)]).map(from_pairs)
    }
}

#[derive(Deserialize)]
struct PhasesValue {
    request: bool,
    reply: bool,
    chunks: bool,
}

#[derive(Serialize)]
struct ContextValue<'c> {
    request_id: &'c str,
    operation: &'c str,
    model: &'c str,
    streaming: bool,
    now_ms: u64,
}

impl<'c> From<&'c Context> for ContextValue<'c> {
    fn from(context: &'c Context) -> Self {
        let Context { request_id, operation, model, streaming, now_ms } = context;
        ContextValue { request_id, operation, model, streaming: *streaming, now_ms: *now_ms }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum VerdictValue {
    Pass,
    Change(Text),
    Refuse(ProblemValue),
}

impl From<VerdictValue> for Verdict {
    fn from(value: VerdictValue) -> Self {
        match value {
            VerdictValue::Pass => Verdict::Pass,
            VerdictValue::Change(Text(body)) => Verdict::Change(body),
            VerdictValue::Refuse(problem) => Verdict::Refuse(problem.into()),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReviewedValue {
    state: Text,
    chunks: Vec<Text>,
    refusal: Option<ProblemValue>,
}

impl wit_policy::Guest for Component {
    fn get_phases() -> Phases {
        let PhasesValue { request, reply, chunks } = sure(ask("phases", vec![]));
        let given = [(request, Phases::REQUEST), (reply, Phases::REPLY), (chunks, Phases::CHUNKS)];
        given
            .into_iter()
            .filter_map(|(wanted, phase)| wanted.then_some(phase))
            .fold(Phases::empty(), |all, one| all | one)
    }

    fn review_request(context: Context, body: String) -> Result<Verdict, Problem> {
        review("reviewRequest", &context, &body)
    }

    fn review_reply(context: Context, body: String) -> Result<Verdict, Problem> {
        review("reviewReply", &context, &body)
    }

    fn review_chunks(
        context: Context,
        state: String,
        chunks: Vec<String>,
        end: bool,
    ) -> Result<wit_policy::Reviewed, Problem> {
        let given = vec![plain(&ContextValue::from(&context)), shown(&state), list(&chunks)?, plain(&end)];
        let reviewed: ReviewedValue = ask("reviewChunks", given)?;
        Ok(wit_policy::Reviewed {
            state: reviewed.state.0,
            chunks: texts(reviewed.chunks),
            refusal: reviewed.refusal.map(Into::into),
        })
    }
}

fn review(function: &str, context: &Context, body: &str) -> Result<Verdict, Problem> {
    let given = vec![plain(&ContextValue::from(context)), json(body)?];
    ask::<VerdictValue>(function, given).map(Into::into)
}

#[cfg(target_arch = "wasm32")]
mod exports {
    use super::Component;

    plugway_sdk::bindings::provider::export!(Component with_types_in plugway_sdk::bindings::provider);
    plugway_sdk::bindings::format_upstream::export!(Component with_types_in plugway_sdk::bindings::format_upstream);
    plugway_sdk::bindings::format_client::export!(Component with_types_in plugway_sdk::bindings::format_client);
    plugway_sdk::bindings::headers::export!(Component with_types_in plugway_sdk::bindings::headers);
    plugway_sdk::bindings::policy::export!(Component with_types_in plugway_sdk::bindings::policy);
}
