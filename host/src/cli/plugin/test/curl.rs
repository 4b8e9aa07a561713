//! Plans as curl commands, to try them by hand.

use super::Plugin;
use crate::cli::Exit;
use crate::cli::plugin::cases::{self, Case};
use crate::pipeline::join_url;
use crate::plugins::{Moment, Outcome};
use serde_json::{Map, Value, json};

pub async fn print(plugin: &Plugin, cases: &[Case]) -> Exit {
    let mut exit = Exit::Fine;
    let plans: Vec<&Case> = cases.iter().filter(|case| case.pair.function == "plan").collect();
    if plans.is_empty() {
        eprintln!("plugway: there is no case of `plan`, so that there is no request to print");
        return Exit::Refused;
    }
    for case in plans {
        match command(plugin, case).await {
            Ok(command) => println!("# {}\n{command}\n", case.pair.case),
            Err(reason) => {
                eprintln!("plugway: {}: {reason}", case.name());
                exit = Exit::Refused;
            }
        }
    }
    exit
}

async fn command(plugin: &Plugin, case: &Case) -> Result<String, String> {
    let mut instance = cases::instance(plugin, case.settings().as_deref()).await?;
    let step = cases::run(&mut instance, &case.call, &[]).await?.answer;
    let request = step.get("send").or(step["fetch"].get("request")).or(step["acquire"].get("request"));
    let Some(request) = request else {
        return Ok(format!(
            "# it sends nothing; its step is {}",
            plugway_sdk::cases::kit::layout::text(&step).trim_end()
        ));
    };
    let base = default_base_url(plugin, case).await?;
    let path = request["path"].as_str().unwrap_or_default();
    let mut url = match base.map(|base| base.parse::<http::Uri>()) {
        Some(Ok(base)) => join_url(Some(&base), path, None).map_err(|error| error.to_string())?.to_string(),
        Some(Err(error)) => return Err(format!("its default base URL is none: {error}")),
        None => format!("$BASE_URL{path}"),
    };
    let mut lines = vec![format!("curl -X {}", request["method"].as_str().unwrap_or("POST"))];
    for header in request["headers"].as_array().into_iter().flatten() {
        let part = |at: usize| header[at].as_str().unwrap_or_default();
        lines.push(format!("-H {}", quoted(&format!("{}: {}", part(0), part(1)))));
    }
    if let Some(name) = request["auth"]["credential"].as_str() {
        let secret = format!("${}", name.to_ascii_uppercase().replace('-', "_"));
        let placement = &request["auth"]["placement"];
        match (placement["header"].as_str(), placement["query"].as_str()) {
            (Some(header), _) => lines.push(format!("-H \"{header}: {secret}\"")),
            (_, Some(query)) => url.push_str(&format!("{}{query}={secret}", if url.contains('?') { '&' } else { '?' })),
            (None, None) => lines.push(format!("-H \"authorization: Bearer {secret}\"")),
        }
    }
    if let Some(body) = body(case, &request["body"]) {
        lines.push("-H 'content-type: application/json'".to_owned());
        lines.push(format!("-d {}", quoted(&body)));
    }
    lines.insert(1, format!("\"{url}\""));
    Ok(lines.join(" \\\n  "))
}

/// Where it goes when the configuration does not say.
async fn default_base_url(plugin: &Plugin, case: &Case) -> Result<Option<String>, String> {
    let Some(function) = plugin.function("get-capabilities") else { return Err("it is no provider".to_owned()) };
    let mut instance = cases::instance(plugin, case.settings().as_deref()).await?;
    let called = instance.call(Moment::NONE, &function, &Map::new()).await?;
    let Outcome::Answer(capabilities) = called.outcome else { return Ok(None) };
    Ok(capabilities["default_base_url"].as_str().map(str::to_owned))
}

/// A small chat where the plan takes the caller's own body, with what the case says of it and the plan's edits.
fn body(case: &Case, planned: &Value) -> Option<String> {
    if planned == "empty" {
        return None;
    }
    if let Some(replaced) = planned.get("replaced") {
        return Some(replaced.as_str().map_or_else(|| replaced.to_string(), str::to_owned));
    }
    let mut body = json!({"model": "some-model", "messages": [{"role": "user", "content": "Hello!"}]});
    let input = &case.pair.input;
    if let Some(model) = input.get("model") {
        body["model"] = model.clone();
    }
    if input["streaming"] == true {
        body["stream"] = json!(true);
    }
    let members = body.as_object_mut()?;
    members.extend(input["members"].as_object().cloned().unwrap_or_default());
    for edit in planned["edited"].as_array().into_iter().flatten() {
        let member = edit["member"].as_str().unwrap_or_default();
        match edit.get("value") {
            Some(value) => _ = members.insert(member.to_owned(), value.clone()),
            None => _ = members.remove(member),
        }
    }
    Some(body.to_string())
}

/// For a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
