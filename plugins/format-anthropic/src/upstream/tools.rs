//! Tools and the choice among them.

use crate::wire;
use plugway_sdk::Problem;
use plugway_sdk::chat::{Json, TextOr, Tool, ToolChoice};
use serde_json::json;

pub(crate) fn encode<'a>(tools: Vec<Tool<'a>>, dropped: &mut Vec<String>) -> Result<Vec<wire::Tool<'a>>, Problem> {
    tools.into_iter().enumerate().map(|(position, tool)| encode_one(tool, position, dropped)).collect()
}

fn encode_one<'a>(tool: Tool<'a>, position: usize, dropped: &mut Vec<String>) -> Result<wire::Tool<'a>, Problem> {
    let at = |member: &str| format!("tools[{position}].{member}");
    // OpenAI's custom tools take free text. Anthropic's tool of the same name has a schema, and goes through.
    if tool.kind == "custom" && tool.extra.get("custom").is_some() {
        return Err(
            Problem::invalid(format!("{}: this model's API knows no free-text tools", at("type"))).at(at("type"))
        );
    }
    if tool.kind != "function" {
        let mut native =
            wire::Tool { kind: Some(tool.kind), cache_control: tool.cache_control, ..wire::Tool::default() };
        native.extra = tool.extra;
        return Ok(native);
    }
    let Some(function) = tool.function else {
        return Err(Problem::invalid(format!("{}: is missing", at("function"))).at(at("function")));
    };
    for (name, _) in tool.extra.iter().chain(function.extra.iter()).filter(|(_, value)| !value.is_blank()) {
        dropped.push(at(name));
    }
    let mut encoded = wire::Tool {
        name: Some(function.name),
        description: function.description,
        // A function without parameters takes none.
        input_schema: Some(function.parameters.unwrap_or_else(|| Json::of(&json!({"type": "object"})))),
        // Anthropic's own default is the same as leaving it out.
        strict: function.strict.filter(|strict| *strict),
        cache_control: tool.cache_control,
        ..wire::Tool::default()
    };
    if let Some(native) = &tool.native {
        encoded.extra.extend(wire::members(native));
    }
    Ok(encoded)
}

pub(crate) fn encode_choice<'a>(
    choice: Option<ToolChoice<'a>>,
    parallel: Option<bool>,
    has_tools: bool,
) -> Result<Option<wire::ToolChoice<'a>>, Problem> {
    let one_at_a_time = (parallel == Some(false) && has_tools).then_some(true);
    let of = |kind: &'static str| wire::ToolChoice { kind: kind.into(), ..wire::ToolChoice::default() };
    let mut encoded = match choice {
        None if one_at_a_time.is_none() => return Ok(None),
        // OpenAI lets a request without tools say this; Anthropic refuses a choice among none.
        Some(TextOr::Text(mode)) if !has_tools && (mode == "auto" || mode == "none") => return Ok(None),
        None => of("auto"),
        Some(TextOr::Text(mode)) => of(match &*mode {
            "auto" => "auto",
            "required" => "any",
            "none" => "none",
            other => {
                let message = format!("tool_choice: must be auto, none, required or a function, not `{other}`");
                return Err(Problem::invalid(message).at("tool_choice"));
            }
        }),
        Some(TextOr::Full(named)) => match named.function.filter(|_| named.kind == "function") {
            Some(function) => wire::ToolChoice { name: Some(function.name), ..of("tool") },
            None => {
                let message = format!("tool_choice.type: this model's API cannot say `{}`", named.kind);
                return Err(Problem::invalid(message).at("tool_choice.type"));
            }
        },
    };
    // Where nothing may be called there is nothing to keep apart, and Anthropic refuses the flag.
    if encoded.kind != "none" {
        encoded.disable_parallel_tool_use = one_at_a_time;
    }
    Ok(Some(encoded))
}
