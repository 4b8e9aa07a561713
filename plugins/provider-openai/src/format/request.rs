//! A canonical request as OpenAI's own: without the extension members. The table is in `README.md` beside this crate's
//! manifest.

use super::members::{Member, Members};
use super::message;
use plugway_sdk::chat::{Extra, Json, Text};
use plugway_sdk::{Problem, Translated};

pub(super) fn encode(model: &str, body: &str) -> Result<Translated, Problem> {
    let Members(mut members) = serde_json::from_str(body)?;
    let has_effort = members.iter().any(|(name, member)| *name == "reasoning_effort" && !is_null(member));
    let mut dropped = Vec::new();
    let mut kept = Vec::with_capacity(members.len());
    for (name, member) in members.drain(..) {
        let member = match member {
            Member::Messages(messages) => Some(Member::Messages(message::encode_all(messages, &mut dropped)?)),
            Member::Tools(tools) => Some(Member::Tools(encode_tools(tools, &mut dropped)?)),
            Member::Other(_) if name == "model" && !model.is_empty() => Some(Member::Other(Json::of(&model))),
            Member::Other(value) => encode_member(&name, value, has_effort, &mut dropped)?.map(Member::Other),
        };
        kept.extend(member.map(|member| (name, member)));
    }
    let body = serde_json::to_string(&Members(kept)).expect("members can be written");
    Ok(Translated { body, dropped })
}

pub(super) fn encode_as_it_is(model: &str, body: &str) -> Result<Translated, Problem> {
    let mut members: Extra<'_> = serde_json::from_str(body)?;
    if !model.is_empty() {
        members.set("model", Json::of(&model));
    }
    Ok(Translated::exact(serde_json::to_string(&members).expect("members can be written")))
}

/// A problem with something that would change the meaning if it were left out.
pub(super) fn cannot_say(at: String, what: &str) -> Problem {
    Problem::invalid(format!("{at}: this model's API cannot take {what}")).at(at)
}

/// A top-level member; None where it is left out.
fn encode_member<'a>(
    name: &str,
    value: Json<'a>,
    has_effort: bool,
    dropped: &mut Vec<String>,
) -> Result<Option<Json<'a>>, Problem> {
    match name {
        // Versions of a dialect that is not spoken here.
        message::CACHE_MARK | "anthropic_beta" | "anthropic_version" => {}
        // An effort beside it says the same; thinking as the model sees fit is what models do unasked.
        "thinking" if has_effort || kind(&value) == "adaptive" => {}
        "output_config" => dropped.extend(lost_of_output_config(&value, has_effort)),
        "inference_geo" if matches!(value.text(), "null" | "\"global\"") => {}
        "inference_geo" => return Err(cannot_say(name.to_owned(), "a place where it must run")),
        "mcp_servers" if !value.is_blank() => return Err(cannot_say(name.to_owned(), "servers with tools")),
        "thinking" | "top_k" | "container" | "context_management" | "speed" if !value.is_null() => {
            dropped.push(name.to_owned());
        }
        "thinking" | "top_k" | "container" | "context_management" | "speed" | "mcp_servers" => {}
        _ => return Ok(Some(value)),
    }
    Ok(None)
}

fn lost_of_output_config(config: &Json<'_>, has_effort: bool) -> Vec<String> {
    let members = config.read::<Extra<'_>>().unwrap_or_default();
    let lost = members.iter().filter(|(name, value)| !(value.is_null() || has_effort && *name == "effort"));
    lost.map(|(name, _)| format!("output_config.{name}")).collect()
}

fn encode_tools<'a>(mut tools: Vec<Extra<'a>>, dropped: &mut Vec<String>) -> Result<Vec<Extra<'a>>, Problem> {
    for (position, tool) in tools.iter_mut().enumerate() {
        let kind: Text<'_> = tool.get("type").and_then(|kind| kind.read().ok()).unwrap_or_default();
        if !matches!(&*kind, "function" | "custom" | "") {
            return Err(cannot_say(format!("tools[{position}].type"), &format!("the tool `{}`", &*kind)));
        }
        tool.take(message::CACHE_MARK);
        // Of another dialect's own: how its service treats the tool, not what the tool is.
        if let Some(native) = tool.take("native") {
            message::name_members(&format!("tools[{position}]"), &native, dropped);
        }
    }
    Ok(tools)
}

fn is_null(member: &Member<'_>) -> bool {
    matches!(member, Member::Other(value) if value.is_null())
}

fn kind<'s>(value: &'s Json<'_>) -> Text<'s> {
    let members = value.read::<Extra<'s>>().unwrap_or_default();
    let kind = members.get("type").and_then(|kind| kind.in_body()).and_then(|kind| serde_json::from_str(kind).ok());
    kind.unwrap_or_default()
}
