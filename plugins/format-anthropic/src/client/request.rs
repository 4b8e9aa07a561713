//! Anthropic's request as a canonical one.

use super::messages;
use crate::wire::{OutputConfig, Request, Thinking, Tool, ToolChoice, members};
use plugway_sdk::chat::{
    self, Extra, Function, Json, JsonSchema, NamedFunction, NamedTool, ResponseFormat, StreamOptions, Text, TextOr,
};
use plugway_sdk::{Problem, Translated};

pub(crate) fn decode(model: &str, streaming: bool, body: &str) -> Result<Translated, Problem> {
    let request: Request<'_> = serde_json::from_str(body)?;
    let Some(max_tokens) = request.max_tokens else { return Err(required("max_tokens")) };
    let Some(turns) = request.messages else { return Err(required("messages")) };
    let mut extra = request.extra;
    let parallel = request.tool_choice.as_ref().and_then(|choice| choice.disable_parallel_tool_use);
    let (response_format, output_config) = output_config(request.output_config, &mut extra);
    let reasoning_effort = effort(request.thinking.as_ref(), output_config.as_ref());
    let mut chat = chat::Request {
        model: if request.model.is_empty() { model.into() } else { request.model },
        messages: messages::decode(request.system, turns)?,
        max_completion_tokens: Some(max_tokens),
        stop: (!request.stop_sequences.is_empty()).then_some(TextOr::Full(request.stop_sequences)),
        temperature: request.temperature,
        top_p: request.top_p,
        top_k: request.top_k,
        tools: request.tools.into_iter().map(tool).collect(),
        tool_choice: request.tool_choice.map(tool_choice).transpose()?,
        parallel_tool_calls: parallel.map(|disabled| !disabled),
        response_format,
        reasoning_effort,
        thinking: request.thinking,
        user: request.metadata.and_then(|metadata| metadata.user_id),
        ..chat::Request::default()
    };
    if streaming {
        chat.stream = Some(true);
        chat.stream_options = Some(StreamOptions { include_usage: Some(true), ..StreamOptions::default() });
    }
    chat.extra = extra;
    if let Some(config) = output_config.filter(|config| config.effort.is_some() || !config.extra.is_empty()) {
        chat.extra.push("output_config", Json::of(&config));
    }
    if let Some(tier) = request.service_tier {
        // The same two choices by OpenAI's names.
        let tier = if tier == "standard_only" { "default".into() } else { tier };
        chat.extra.push("service_tier", Json::of(&tier));
    }
    Ok(Translated::exact(serde_json::to_string(&chat).expect("a view can be written")))
}

fn required(member: &str) -> Problem {
    Problem::invalid(format!("{member}: Field required")).at(member)
}

/// The schema has a canonical name; the rest stays under its own. `output_format` was the schema's place in the beta.
fn output_config<'a>(
    config: Option<OutputConfig<'a>>,
    extra: &mut Extra<'a>,
) -> (Option<ResponseFormat<'a>>, Option<OutputConfig<'a>>) {
    let mut config = config.unwrap_or_default();
    let schema = match (config.format.take(), extra.take("output_format")) {
        (Some(format), _) => format.schema,
        (None, Some(beta)) => members(&beta).take("schema"),
        (None, None) => None,
    };
    let format = schema.map(|schema| ResponseFormat {
        kind: "json_schema".into(),
        // OpenAI wants a name, and Anthropic always holds to the schema.
        json_schema: Some(JsonSchema {
            name: "response".into(),
            schema: Some(schema),
            strict: Some(true),
            ..JsonSchema::default()
        }),
        ..ResponseFormat::default()
    });
    (format, Some(config))
}

/// What an upstream of another dialect is told about thinking; one of this dialect gets `thinking` and
/// `output_config` themselves.
fn effort(thinking: Option<&Json<'_>>, config: Option<&OutputConfig<'_>>) -> Option<Text<'static>> {
    let thinking = thinking.and_then(|thinking| thinking.read::<Thinking<'_>>().ok()).unwrap_or_default();
    if let Some(effort) = config.and_then(|config| config.effort.as_deref()) {
        return Some(if effort == "max" { "xhigh".into() } else { effort.to_owned().into() });
    }
    match (&*thinking.kind, thinking.budget_tokens.unwrap_or(0)) {
        ("enabled", 0..=2_048) => Some("low".into()),
        ("enabled", 2_049..=12_288) => Some("medium".into()),
        ("enabled", _) => Some("high".into()),
        // `adaptive` leaves it to the model, which is every model's default; `disabled` is not a word that models
        // without reasoning understand.
        _ => None,
    }
}

fn tool(tool: Tool<'_>) -> chat::Tool<'_> {
    // Anthropic's own tools (search, computer use, …) have a dated type and stay as they are.
    if tool.kind.as_ref().is_some_and(|kind| kind != "custom") {
        let Tool { kind, cache_control, name, description, input_schema, strict, extra } = tool;
        let mut native = chat::Tool { kind: kind.unwrap_or_default(), cache_control, ..chat::Tool::default() };
        for (member, value) in [
            ("name", name.map(|name| Json::of(&name))),
            ("description", description.map(|description| Json::of(&description))),
            ("input_schema", input_schema),
            ("strict", strict.map(|strict| Json::of(&strict))),
        ] {
            native.extra.extend(value.map(|value| (Text::from(member), value)));
        }
        native.extra.extend(extra);
        return native;
    }
    chat::Tool {
        kind: "function".into(),
        function: Some(Function {
            name: tool.name.unwrap_or_default(),
            description: tool.description,
            parameters: tool.input_schema,
            strict: tool.strict,
            ..Function::default()
        }),
        cache_control: tool.cache_control,
        native: (!tool.extra.is_empty()).then(|| Json::of(&tool.extra)),
        ..chat::Tool::default()
    }
}

fn tool_choice(choice: ToolChoice<'_>) -> Result<chat::ToolChoice<'_>, Problem> {
    Ok(match &*choice.kind {
        "auto" => TextOr::Text("auto".into()),
        "any" => TextOr::Text("required".into()),
        "none" => TextOr::Text("none".into()),
        "tool" => TextOr::Full(NamedTool {
            kind: "function".into(),
            function: Some(NamedFunction { name: choice.name.unwrap_or_default(), ..NamedFunction::default() }),
            ..NamedTool::default()
        }),
        other => {
            let message = format!("tool_choice.type: `{other}` must be auto, any, tool or none");
            return Err(Problem::invalid(message).at("tool_choice.type"));
        }
    })
}
