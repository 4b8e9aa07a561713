//! How hard to think.
//!
//! `thinking` and `output_config.effort` are Anthropic's own and go through as they are. `reasoning_effort` is
//! OpenAI's, and a hint: it is said as well as the model can be told, and dropped and named where that would make
//! Anthropic refuse the whole request.

use crate::wire::{Content, Request, Thinking, Turn};
use crate::{Settings, ThinkingStyle};
use plugway_sdk::chat::{Json, Text, TextOr};
use serde_json::Number;

/// The smallest budget that Anthropic takes; it must also be less than `max_tokens`.
const SMALLEST_BUDGET: u64 = 1024;

pub(crate) fn apply<'a>(
    settings: &Settings,
    effort: Option<Text<'a>>,
    turns: &[Turn<'_>],
    request: &mut Request<'a>,
    dropped: &mut Vec<String>,
) {
    let own_effort = request.output_config.as_ref().is_some_and(|config| config.effort.is_some());
    let Some(effort) = effort.filter(|_| request.thinking.is_none() && !own_effort) else { return };
    if effort == "none" {
        return;
    }
    let forced = request.tool_choice.as_ref().is_some_and(|choice| matches!(&*choice.kind, "any" | "tool"));
    let adaptive = is_adaptive(settings.thinking, &request.model);
    let said = !forced
        && match adaptive {
            true => think_adaptively(&effort, request),
            false => !continues_without_thinking(turns) && think_within_budget(&effort, settings, request),
        };
    if said {
        drop_sampling(request, dropped);
    } else {
        dropped.push("reasoning_effort".to_owned());
    }
}

fn think_adaptively(effort: &str, request: &mut Request<'_>) -> bool {
    let effort = match effort {
        "minimal" | "low" => "low",
        "medium" => "medium",
        "high" => "high",
        "xhigh" => "xhigh",
        "max" => "max",
        _ => return false,
    };
    request.thinking = Some(Json::of(&Thinking { kind: "adaptive".into(), ..Thinking::default() }));
    request.output_config.get_or_insert_default().effort = Some(effort.into());
    true
}

/// A budget is part of `max_tokens`: where the caller gave no bound it comes on top of the default, else it takes at
/// most three quarters, so that there is room for an answer.
fn think_within_budget(effort: &str, settings: &Settings, request: &mut Request<'_>) -> bool {
    let wanted = match effort {
        "minimal" => SMALLEST_BUDGET,
        "low" => 2 * SMALLEST_BUDGET,
        "medium" => 8 * SMALLEST_BUDGET,
        "high" => 16 * SMALLEST_BUDGET,
        "xhigh" | "max" => 24 * SMALLEST_BUDGET,
        _ => return false,
    };
    let budget = match request.max_tokens {
        Some(limit) if limit <= SMALLEST_BUDGET => return false,
        Some(limit) => wanted.min((limit / 4 * 3).max(SMALLEST_BUDGET)),
        None => wanted,
    };
    request.max_tokens.get_or_insert(settings.default_max_tokens + budget);
    let thinking = Thinking { kind: "enabled".into(), budget_tokens: Some(budget), ..Thinking::default() };
    request.thinking = Some(Json::of(&thinking));
    true
}

/// Thinking is refused together with a changed temperature or `top_k`, and with a `top_p` below 0.95.
fn drop_sampling(request: &mut Request<'_>, dropped: &mut Vec<String>) {
    let number = |number: &Option<Number>| number.as_ref().and_then(Number::as_f64);
    if number(&request.temperature).is_some_and(|temperature| temperature != 1.0) {
        request.temperature = None;
        dropped.push("temperature".to_owned());
    }
    if request.top_k.take().is_some() {
        dropped.push("top_k".to_owned());
    }
    if number(&request.top_p).is_some_and(|share| share < 0.95) {
        request.top_p = None;
        dropped.push("top_p".to_owned());
    }
}

/// With a budget, Anthropic wants the turn that called the tools to begin with the thinking that led to it. A caller
/// whose earlier turns were answered without has none to hand back.
fn continues_without_thinking(turns: &[Turn<'_>]) -> bool {
    let [.., asking, answering] = turns else { return false };
    asking.role == "assistant"
        && kinds(answering).any(|kind| kind == "tool_result")
        && !kinds(asking).any(|kind| kind == "thinking" || kind == "redacted_thinking")
}

fn kinds<'t>(turn: &'t Turn<'_>) -> impl Iterator<Item = &'t str> {
    let blocks = match &turn.content {
        Some(Content::Full(blocks)) => &blocks[..],
        Some(TextOr::Text(_)) | None => &[],
    };
    blocks.iter().map(|block| &*block.kind)
}

fn is_adaptive(style: ThinkingStyle, model: &str) -> bool {
    match style {
        ThinkingStyle::Budget => false,
        ThinkingStyle::Adaptive => true,
        ThinkingStyle::Auto => version(model).is_some_and(|version| version >= (4, 6)),
    }
}

/// The version in a model's name, whatever a cloud puts around it: `us.anthropic.claude-opus-4-6-v1` has 4.6,
/// `claude-sonnet-4-20250514` has 4.0, `claude-3-7-sonnet-latest` has 3.7.
fn version(model: &str) -> Option<(u32, u32)> {
    let (_, name) = model.split_once("claude-")?;
    let mut numbers = name
        .split(['-', '.', '@', ':'])
        .skip_while(|word| word.parse::<u32>().is_err())
        .map_while(|word| word.parse::<u32>().ok().filter(|_| word.len() <= 2));
    Some((numbers.next()?, numbers.next().unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn finds_the_version_in_a_models_name() {
        for (model, expected) in [
            ("claude-opus-4-6", Some((4, 6))),
            ("us.anthropic.claude-opus-4-6-v1:0", Some((4, 6))),
            ("claude-sonnet-4-5-20250929", Some((4, 5))),
            ("claude-sonnet-4-20250514", Some((4, 0))),
            ("claude-opus-4@20250514", Some((4, 0))),
            ("claude-3-7-sonnet-latest", Some((3, 7))),
            ("claude-sonnet-5", Some((5, 0))),
            ("anthropic/claude-haiku-4.5", Some((4, 5))),
            ("my-own-model", None),
        ] {
            assert_eq!(version(model), expected, "{model}");
        }
    }
}
