//! The folders under `cases/`: `<function>.in.json` is what goes in, `<function>.out.json` what must come out.

use super::{CHAT, format, parse, read_stream};
use plugway_sdk::export::encode_events;
use plugway_sdk::{ClientFormat, Event, Header, Problem, ProblemKind, Progress, UpstreamFormat};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

#[test]
fn every_case_gives_what_it_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    let (mut count, mut wrong) = (0, Vec::new());
    for case in fs::read_dir(&folder).expect("there are cases").flatten() {
        for file in fs::read_dir(case.path()).unwrap().flatten() {
            let name = file.file_name().into_string().unwrap();
            let Some(function) = name.strip_suffix(".in.json") else { continue };
            let input = parse(&fs::read_to_string(file.path()).unwrap());
            let out = case.path().join(format!("{function}.out.json"));
            let actual = run(function, &input);
            if std::env::var_os("UPDATE_CASES").is_some() && !out.exists() {
                fs::write(&out, format!("{actual:#}\n")).unwrap();
            }
            let expected = fs::read_to_string(&out).map_or(Value::Null, |text| parse(&text));
            if actual != expected {
                wrong.push(format!("{}\nexpected {expected:#}\nactual {actual:#}", out.display()));
            }
            count += 1;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(count > 20, "only {count} cases were found");
}

fn run(function: &str, input: &Value) -> Value {
    match function {
        "encode-request" => {
            let model = input["model"].as_str().unwrap_or("a-model");
            translated(format().encode_request(CHAT, model, &input.to_string()))
        }
        "decode-request" => {
            let model = input["model"].as_str().unwrap_or("a-model");
            translated(format().decode_request(CHAT, model, input["stream"] == true, &input.to_string()))
        }
        "decode-reply" => result(format().decode_reply(CHAT, &input.to_string())),
        "encode-reply" => result(format().encode_reply(CHAT, &input.to_string())),
        "decode-problem" => decode_problem(input),
        "encode-problem" => encode_problem(input),
        "decode-events" => {
            let events: Vec<Value> = input.as_array().unwrap().iter().map(|event| event["data"].clone()).collect();
            let (mut chunks, progress) = read_stream(&events, &[]);
            if let Progress::Failed(problem) = progress {
                chunks.push(json!({"problem": problem_json(&problem)}));
            }
            Value::Array(chunks)
        }
        "encode-events" => {
            let chunks: Vec<String> = input.as_array().unwrap().iter().map(Value::to_string).collect();
            let encoded = encode_events(&format(), CHAT, "", &chunks, &Progress::Complete).unwrap();
            let event = |event: Event| json!({"name": event.name, "data": parse(&event.data)});
            encoded.events.into_iter().map(event).collect()
        }
        other => panic!("no function is called {other}"),
    }
}

fn translated(translated: Result<plugway_sdk::Translated, Problem>) -> Value {
    match translated {
        Ok(translated) => json!({"body": parse(&translated.body), "dropped": translated.dropped}),
        Err(problem) => json!({"problem": problem_json(&problem)}),
    }
}

fn result(result: Result<String, Problem>) -> Value {
    result.map_or_else(|problem| json!({"problem": problem_json(&problem)}), |text| parse(&text))
}

fn decode_problem(input: &Value) -> Value {
    let headers: Vec<Header> = input["headers"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| Header { name: name.clone(), value: value.as_str().unwrap().to_owned() })
        .collect();
    let body = match &input["body"] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    problem_json(&format().decode_problem(input["status"].as_u64().unwrap() as u16, &headers, &body))
}

fn encode_problem(input: &Value) -> Value {
    let problem = &input["problem"];
    let kind = KINDS.iter().find(|(name, _)| problem["kind"] == *name).expect("a kind").1;
    let text = |member: &str| problem[member].as_str().map(str::to_owned);
    let problem =
        Problem { param: text("param"), code: text("code"), ..Problem::new(kind, text("message").unwrap_or_default()) };
    let status = input["status"].as_u64().unwrap() as u16;
    parse(&format().encode_problem(status, &problem, input["request_id"].as_str().unwrap()))
}

const KINDS: [(&str, ProblemKind); 12] = [
    ("invalid-request", ProblemKind::InvalidRequest),
    ("unauthenticated", ProblemKind::Unauthenticated),
    ("forbidden", ProblemKind::Forbidden),
    ("not-found", ProblemKind::NotFound),
    ("too-large", ProblemKind::TooLarge),
    ("refused", ProblemKind::Refused),
    ("rate-limited", ProblemKind::RateLimited),
    ("unsupported", ProblemKind::Unsupported),
    ("upstream", ProblemKind::Upstream),
    ("overloaded", ProblemKind::Overloaded),
    ("timeout", ProblemKind::Timeout),
    ("internal", ProblemKind::Internal),
];

fn problem_json(problem: &Problem) -> Value {
    let kind = KINDS.iter().find(|(_, kind)| *kind == problem.kind).expect("every kind has a name").0;
    let members = [
        ("kind", Some(json!(kind))),
        ("message", Some(json!(problem.message))),
        ("param", problem.param.as_ref().map(|param| json!(param))),
        ("code", problem.code.as_ref().map(|code| json!(code))),
        ("retry_after_ms", problem.retry_after_ms.map(|milliseconds| json!(milliseconds))),
    ];
    Value::Object(members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect())
}
