//! A canonical request as Anthropic's.

use super::{messages, thinking, tools};
use crate::Settings;
use crate::wire::{self, Metadata, OutputConfig, OutputFormat};
use plugway_sdk::chat::{Extra, Json, Request, ResponseFormat, Stop, Text, TextOr};
use plugway_sdk::{Problem, Translated};
use serde_json::Number;

/// Members of Anthropic's own that a canonical request may carry under their own names.
const PASSED: [&str; 8] = [
    "anthropic_beta",
    "anthropic_version",
    "cache_control",
    "container",
    "context_management",
    "inference_geo",
    "mcp_servers",
    "speed",
];

/// Members whose loss would change what the answer is, or how many there are.
const REFUSED: [(&str, &str); 4] = [
    ("audio", "this model's API cannot answer in audio"),
    ("functions", "write `tools` instead; this model's API does not know the older form"),
    ("function_call", "write `tool_choice` instead; this model's API does not know the older form"),
    ("web_search_options", "write the model's own search tool into `tools` instead"),
];

pub(crate) fn encode(settings: &Settings, model: &str, body: &str) -> Result<Translated, Problem> {
    let mut chat: Request<'_> = serde_json::from_str(body)?;
    let mut dropped = Vec::new();
    refuse(&chat)?;

    let mut extra = std::mem::take(&mut chat.extra);
    let mut request = wire::Request {
        model: if model.is_empty() { chat.model } else { model.into() },
        max_tokens: chat.max_completion_tokens.or(chat.max_tokens),
        stop_sequences: stop_sequences(chat.stop),
        temperature: temperature(chat.temperature, &mut dropped),
        top_p: chat.top_p,
        top_k: chat.top_k,
        stream: chat.stream.filter(|stream| *stream),
        thinking: chat.thinking,
        output_config: output_config(&mut extra)?,
        ..wire::Request::default()
    };
    let conversation = messages::encode(chat.messages, &mut dropped)?;
    request.system = conversation.system;
    request.tools = tools::encode(chat.tools, &mut dropped)?;
    request.tool_choice = tools::encode_choice(chat.tool_choice, chat.parallel_tool_calls, !request.tools.is_empty())?;
    if let Some(format) = chat.response_format {
        set_format(&mut request, format, &mut dropped)?;
    }
    request.metadata = metadata(chat.user, &mut extra, &mut dropped);
    request.service_tier = service_tier(&mut extra, &mut dropped);
    pass_or_drop(extra, &mut request.extra, &mut dropped);
    thinking::apply(settings, chat.reasoning_effort, &conversation.turns, &mut request, &mut dropped);
    request.messages = Some(conversation.turns);
    request.max_tokens.get_or_insert(settings.default_max_tokens);
    Ok(Translated { body: serde_json::to_string(&request).expect("a view can be written"), dropped })
}

fn refuse(chat: &Request<'_>) -> Result<(), Problem> {
    if chat.n.is_some_and(|n| n != 1) {
        return Err(Problem::invalid("n: this model's API gives one answer at a time").at("n"));
    }
    for (member, why) in REFUSED {
        if chat.extra.get(member).is_some_and(|value| !value.is_blank()) {
            return Err(Problem::invalid(format!("{member}: {why}")).at(member));
        }
    }
    let modalities = chat.extra.get("modalities").and_then(|value| value.read::<Vec<Text<'_>>>().ok());
    if modalities.is_some_and(|modalities| modalities.iter().any(|modality| *modality != "text")) {
        return Err(Problem::invalid("modalities: this model's API answers in text only").at("modalities"));
    }
    Ok(())
}

fn stop_sequences(stop: Option<Stop<'_>>) -> Vec<Text<'_>> {
    match stop {
        Some(TextOr::Text(sequence)) => vec![sequence],
        Some(TextOr::Full(sequences)) => sequences,
        None => Vec::new(),
    }
}

/// Anthropic's scale ends at 1 and the canonical one at 2. What lies above is sent as the nearest there is and named.
fn temperature(temperature: Option<Number>, dropped: &mut Vec<String>) -> Option<Number> {
    if temperature.as_ref().and_then(Number::as_f64).is_some_and(|degrees| degrees > 1.0) {
        dropped.push("temperature".to_owned());
        return Some(1.into());
    }
    temperature
}

/// `output_config` of a caller that knows Anthropic.
fn output_config<'a>(extra: &mut Extra<'a>) -> Result<Option<OutputConfig<'a>>, Problem> {
    let Some(config) = extra.take("output_config") else { return Ok(None) };
    let mut read = OutputConfig::default();
    for (name, value) in wire::members(&config) {
        match &*name {
            "effort" => read.effort = value.read::<String>().ok().map(Text::from),
            _ => read.extra.push(name, value),
        }
    }
    Ok(Some(read))
}

fn set_format<'a>(
    request: &mut wire::Request<'a>,
    format: ResponseFormat<'a>,
    dropped: &mut Vec<String>,
) -> Result<(), Problem> {
    match &*format.kind {
        "text" => return Ok(()),
        "json_schema" => {}
        "json_object" => {
            let message = "response_format.type: this model's API gives JSON by a schema only; write `json_schema`";
            return Err(Problem::invalid(message).at("response_format.type"));
        }
        other => {
            let message = format!("response_format.type: this model's API does not know `{other}`");
            return Err(Problem::invalid(message).at("response_format.type"));
        }
    }
    let schema = format.json_schema.unwrap_or_default();
    // The name is a label and says nothing to the model; the description is advice.
    if schema.description.is_some() {
        dropped.push("response_format.json_schema.description".to_owned());
    }
    let Some(schema) = schema.schema else {
        let at = "response_format.json_schema.schema";
        return Err(Problem::invalid(format!("{at}: is missing")).at(at));
    };
    let format = OutputFormat { kind: "json_schema".into(), schema: Some(schema), ..OutputFormat::default() };
    let config = request.output_config.get_or_insert_default();
    config.extra.take("format");
    config.format = Some(format);
    Ok(())
}

/// Who is asking. OpenAI has had three names for it.
fn metadata<'a>(user: Option<Text<'a>>, extra: &mut Extra<'a>, dropped: &mut Vec<String>) -> Option<Metadata<'a>> {
    let own = extra.take("metadata");
    let members = own.as_ref().map(wire::members).unwrap_or_default();
    let mut named = None;
    for (name, value) in members {
        match value.read::<String>() {
            Ok(id) if name == "user_id" => named = Some(Text::from(id)),
            _ => dropped.push(format!("metadata.{name}")),
        }
    }
    let safety = extra.take("safety_identifier").and_then(|id| id.read::<String>().ok()).map(Text::from);
    let user_id = user.or(named).or(safety)?;
    Some(Metadata { user_id: Some(user_id), ..Metadata::default() })
}

/// `default` is OpenAI's word for what Anthropic calls `standard_only`; the other tiers exist on one side only.
fn service_tier<'a>(extra: &mut Extra<'a>, dropped: &mut Vec<String>) -> Option<Text<'a>> {
    match &*extra.take("service_tier")?.read::<String>().unwrap_or_default() {
        "auto" => Some("auto".into()),
        "default" | "standard_only" => Some("standard_only".into()),
        _ => {
            dropped.push("service_tier".to_owned());
            None
        }
    }
}

/// What is left are hints that Anthropic lacks and members that nobody here knows. Both are named, unless they say
/// nothing (`"frequency_penalty": 0`).
fn pass_or_drop<'a>(extra: Extra<'a>, passed: &mut Extra<'a>, dropped: &mut Vec<String>) {
    const SAYS_NOTHING: [&str; 1] = ["modalities"];
    for (name, value) in extra {
        if PASSED.contains(&&*name) {
            passed.push(name, value);
        } else if !value.is_blank() && !SAYS_NOTHING.contains(&&*name) && !is_default(&name, &value) {
            dropped.push(name.into_string());
        }
    }
}

fn is_default(name: &str, value: &Json<'_>) -> bool {
    matches!((name, value.text()), ("repetition_penalty", "1" | "1.0") | ("verbosity", "\"medium\""))
}
