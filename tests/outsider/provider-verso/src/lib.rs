//! Verso writes text: where a call is sent, and how it is said.

use plugway_sdk::chat::{self, Chunk, Delta, DeltaChoice, Head, Usage};
use plugway_sdk::{Call, Capabilities, Event, Header, Outgoing, Plugin, Problem, ProblemKind, Progress};
use plugway_sdk::{Provider, Step, Translated, UpstreamFormat};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// What a configuration may say under `settings`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    account: Option<String>,
}

struct Verso {
    path: String,
}

impl Plugin for Verso {
    type Settings = Settings;
    const DESCRIPTION: &'static str = "Verso writes text";

    fn settings_schema() -> Value {
        let account = json!({
            "type": "string", "minLength": 1, "description": "the account that pays; without it, the key's own",
        });
        json!({"type": "object", "properties": {"account": account}, "additionalProperties": false})
    }

    fn new(Settings { account }: Settings) -> Result<Self, Problem> {
        let path = match account.as_deref() {
            None => "/2/compose".to_owned(),
            Some("") => {
                return Err(
                    Problem::invalid("account: must not be empty; leave it out for the key's own").at("account")
                );
            }
            Some(account) => format!("/2/compose?account={}", in_query(account)),
        };
        Ok(Verso { path })
    }
}

fn in_query(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

impl Provider for Verso {
    // The service's page names no host, so a configuration must: there is no `base_url` here.
    fn capabilities(&self) -> Capabilities {
        Capabilities::of(["chat_completion", "chat_completion_stream"])
    }

    // Framing is server-sent events, as is the default.
    fn plan(&self, _call: &Call) -> Result<Step, Problem> {
        Ok(Outgoing::post(&self.path).dialect(Self::DIALECT).secret_header("verso-key", "api_key").into())
    }
}

/// What Verso lacks and a caller would miss.
const ESSENTIAL: [&str; 8] =
    ["tools", "functions", "audio", "web_search_options", "mcp_servers", "container", "logprobs", "response_format"];

/// What is said, by a member of Verso's or because Verso does nothing else.
const SAID: [&str; 12] = [
    "model",
    "messages",
    "stream",
    "stream_options",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "stop",
    "n",
    "modalities",
    "response_format",
    "tools",
];

/// Canonical names for Verso's, of members that an error's `at` names.
const MEMBERS: [(&str, &str); 5] = [
    ("lines", "messages"),
    ("voice", "model"),
    ("limit", "max_completion_tokens"),
    ("heat", "temperature"),
    ("halt", "stop"),
];

/// The beginning of all chunks of a stream, once the first has been written.
#[derive(Default, Serialize, Deserialize)]
struct Writing {
    head: Option<String>,
}

impl UpstreamFormat for Verso {
    const DIALECT: &'static str = "verso";
    type State = Writing;

    fn encode_request(&self, _operation: &str, model: &str, body: &str) -> Result<Translated, Problem> {
        let mut body: Map<String, Value> = serde_json::from_str(body)?;
        body.retain(|_, value| !value.is_null());
        if let Some(name) = ESSENTIAL.into_iter().find(|name| body.get(*name).is_some_and(is_wanted)) {
            return Err(Problem::invalid(format!("{name}: Verso has no such thing")).at(name));
        }
        if body.get("n").is_some_and(|n| *n != 1) {
            return Err(Problem::invalid("n: Verso gives one answer at a time").at("n"));
        }
        if body.get("modalities").is_some_and(|modalities| *modalities != json!(["text"])) {
            return Err(Problem::invalid("modalities: Verso writes only text").at("modalities"));
        }

        let mut dropped: Vec<String> = body.keys().filter(|name| !SAID.contains(&name.as_str())).cloned().collect();
        let stream = body.get("stream").is_some_and(|stream| *stream == true);
        let mut said = json!({"voice": model, "lines": lines(body.get("messages"), &mut dropped)?, "stream": stream});
        if let Some(limit) = body.get("max_completion_tokens").or(body.get("max_tokens")) {
            said["limit"] = limit.clone();
        }
        if let Some(temperature) = body.get("temperature") {
            said["heat"] = heat(temperature)?;
        }
        if let Some(halt) = body.get("stop").map(halt).transpose()?.filter(|halt| !halt.is_empty()) {
            said["halt"] = json!(halt);
        }
        Ok(Translated { body: said.to_string(), dropped })
    }

    fn decode_reply(&self, _operation: &str, body: &str) -> Result<String, Problem> {
        let unreadable = || Problem::upstream("Verso's answer cannot be read");
        let body: Value = serde_json::from_str(body).map_err(|_| unreadable())?;
        let (Some(text), Some(stopped)) = (body["text"].as_str(), body["stopped"].as_str()) else {
            return Err(unreadable());
        };
        let mut answer = json!({
            "id": body["id"], "object": "chat.completion", "created": chat::now(), "model": body["voice"],
            "choices": [{
                "index": 0, "message": {"role": "assistant", "content": text},
                "finish_reason": finish(stopped), "native_finish_reason": stopped,
            }],
        });
        if let Some(usage) = usage(&body["cost"]) {
            answer["usage"] = json!(usage);
        }
        Ok(answer.to_string())
    }

    fn decode_problem(&self, status: u16, headers: &[Header], body: &str) -> Problem {
        let said: Value = serde_json::from_str(body).unwrap_or_default();
        let mut problem = fault(ProblemKind::of_status(status), &said["fault"]).retry_after(headers);
        if !said["fault"].is_object() {
            problem.detail = Some(format!("status {status}: {}", body.chars().take(200).collect::<String>()));
        }
        let wait = headers.iter().find(|header| header.name.eq_ignore_ascii_case("verso-wait-ms"));
        if let Some(milliseconds) = wait.and_then(|header| header.value.trim().parse().ok()) {
            problem.retry_after_ms = Some(milliseconds);
        }
        problem
    }

    fn decode_event(
        &self,
        _operation: &str,
        writing: &mut Writing,
        event: &Event,
        chunks: &mut Vec<String>,
    ) -> Result<Progress, Problem> {
        if !matches!(event.name.as_str(), "open" | "piece" | "close" | "fault") {
            return Ok(Progress::Open);
        }
        let unreadable = || Problem::upstream(format!("Verso's event `{}` cannot be read", event.name));
        let data: Value = serde_json::from_str(&event.data).map_err(|_| unreadable())?;
        if event.name == "fault" {
            return Ok(Progress::Failed(fault(ProblemKind::Upstream, &data)));
        }
        let head = writing.head(&data, chunks);
        match event.name.as_str() {
            "piece" => chunks.push(head.content(data["t"].as_str().ok_or_else(unreadable)?)),
            "close" => {
                let stopped = data["stopped"].as_str().ok_or_else(unreadable)?;
                let end = DeltaChoice {
                    finish_reason: Some(finish(stopped).into()),
                    native_finish_reason: Some(stopped.into()),
                    ..DeltaChoice::default()
                };
                chunks.push(head.chunk(&Chunk { choices: vec![end], ..Chunk::default() }));
                if let Some(usage) = usage(&data["cost"]) {
                    chunks.push(head.chunk(&Chunk { usage: Some(usage), ..Chunk::default() }));
                }
                return Ok(Progress::Complete);
            }
            _ => {}
        }
        Ok(Progress::Open)
    }
}

impl Writing {
    /// The head of the stream's chunks. With the first event comes the chunk that has the role.
    fn head(&mut self, data: &Value, chunks: &mut Vec<String>) -> Head {
        if let Some(text) = &self.head {
            return Head::of_text(text);
        }
        let text = |name: &str| data[name].as_str().unwrap_or_default();
        let head = Head::new(text("id"), text("voice"), chat::now());
        let delta = Delta { role: Some("assistant".into()), content: Some("".into()), ..Delta::default() };
        chunks.push(head.delta(&delta));
        self.head = Some(head.text().to_owned());
        head
    }
}

/// Whether a member asks for something: not `false`, an empty list, or text for a format.
fn is_wanted(value: &Value) -> bool {
    *value != false && *value != json!([]) && value["type"] != "text"
}

/// One line for each message, so that a place in Verso's errors is one in the caller's request.
fn lines(messages: Option<&Value>, dropped: &mut Vec<String>) -> Result<Vec<Value>, Problem> {
    let messages = messages.and_then(Value::as_array).filter(|messages| !messages.is_empty());
    let messages = messages.ok_or_else(|| Problem::invalid("messages: there must be some").at("messages"))?;
    let mut is_beginning = true;
    let mut line = |(at, message): (usize, &Value)| {
        let wrong = |member: &str, why: &str| {
            let path = format!("messages[{at}].{member}");
            Err(Problem::invalid(format!("{path}: {why}")).at(path))
        };
        let by = match message["role"].as_str() {
            Some("system" | "developer") if is_beginning => "stage",
            Some("system" | "developer") => return wrong("role", "Verso takes stage directions only at the beginning"),
            Some("user") => "user",
            Some("assistant") => "verso",
            _ => return wrong("role", "nobody at Verso has this role"),
        };
        is_beginning = by == "stage";
        let nothing = Map::new();
        for (name, value) in message.as_object().unwrap_or(&nothing) {
            match name.as_str() {
                "role" | "content" => {}
                _ if value.is_null() || *value == json!([]) => {}
                "tool_calls" | "function_call" | "audio" => return wrong(name, "Verso writes only text"),
                "refusal" if message["content"].is_null() => {}
                _ => drop_once(dropped, format!("messages.{name}")),
            }
        }
        let text = match &message["content"] {
            Value::String(text) => text.clone(),
            Value::Array(parts) => {
                let mut joined = String::new();
                for (place, part) in parts.iter().enumerate() {
                    let text = match part["type"].as_str() {
                        Some(kind @ ("text" | "refusal")) => part[kind].as_str(),
                        _ => None,
                    };
                    let Some(text) = text else {
                        return wrong(&format!("content[{place}]"), "Verso takes only text");
                    };
                    joined.push_str(text);
                    let members = part.as_object().unwrap_or(&nothing).iter();
                    let others =
                        members.filter(|(name, value)| *name != "type" && part["type"] != **name && !value.is_null());
                    others.for_each(|(name, _)| drop_once(dropped, format!("messages.content.{name}")));
                }
                joined
            }
            Value::Null if message["refusal"].is_string() => message["refusal"].as_str().unwrap_or_default().to_owned(),
            _ => return wrong("content", "there must be some text"),
        };
        Ok(json!({"by": by, "text": text}))
    };
    messages.iter().enumerate().map(&mut line).collect()
}

/// However many messages have it, a member is named once: the names go out in one header.
fn drop_once(dropped: &mut Vec<String>, name: String) {
    if !dropped.contains(&name) {
        dropped.push(name);
    }
}

/// From 0 to 2 there, from 0 to 100 here.
fn heat(temperature: &Value) -> Result<Value, Problem> {
    match temperature.as_f64() {
        Some(degrees @ 0.0..=2.0) => Ok(json!((degrees * 50.0).round() as u64)),
        _ => Err(Problem::invalid("temperature: must be a number from 0 to 2").at("temperature")),
    }
}

fn halt(stop: &Value) -> Result<Vec<&str>, Problem> {
    let halt: Option<Vec<&str>> = match stop {
        Value::String(text) => Some(vec![text]),
        Value::Array(texts) => texts.iter().map(Value::as_str).collect(),
        _ => None,
    };
    match halt {
        Some(halt) if halt.len() <= 4 => Ok(halt),
        Some(_) => Err(Problem::invalid("stop: Verso takes at most four texts").at("stop")),
        None => Err(Problem::invalid("stop: must be a text or a list of texts").at("stop")),
    }
}

fn finish(stopped: &str) -> &'static str {
    match stopped {
        "limit" => "length",
        "refused" => "content_filter",
        _ => "stop",
    }
}

fn usage(cost: &Value) -> Option<Usage<'static>> {
    let (read, wrote) = (cost["read"].as_u64()?, cost["wrote"].as_u64()?);
    let total_tokens = read.saturating_add(wrote);
    Some(Usage { prompt_tokens: read, completion_tokens: wrote, total_tokens, ..Usage::default() })
}

/// A fault, in OpenAI's words where there are some. `otherwise` is what it is where its code is not known.
fn fault(otherwise: ProblemKind, fault: &Value) -> Problem {
    let code = fault["code"].as_str();
    let (kind, known) = match code {
        Some("no_key" | "dead_key") => (ProblemKind::Unauthenticated, Some("invalid_api_key")),
        Some("no_such_voice") => (ProblemKind::NotFound, Some("model_not_found")),
        Some("too_long") => (ProblemKind::InvalidRequest, Some("context_length_exceeded")),
        Some("bad_line") => (ProblemKind::InvalidRequest, code),
        Some("breathless") => (ProblemKind::RateLimited, Some("rate_limit_exceeded")),
        Some("asleep") => (ProblemKind::Overloaded, code),
        _ => (otherwise, code),
    };
    let mut problem = Problem::new(kind, fault["says"].as_str().unwrap_or("Verso failed without saying why"));
    problem.code = known.map(str::to_owned);
    problem.detail = code.map(|code| format!("Verso's code is {code}"));
    problem.param = fault["at"].as_str().map(|at| {
        let translated = MEMBERS.iter().find_map(|(theirs, ours)| Some(format!("{ours}{}", at.strip_prefix(theirs)?)));
        translated.unwrap_or_else(|| at.to_owned())
    });
    problem
}

plugway_sdk::export!(Verso: provider, format_upstream);

#[cfg(test)]
plugway_sdk::cases!(Verso: provider, format_upstream);
