//! Reads as documentation of the configuration: what is accepted and what it means, what is refused and in which words.

mod elsewhere;
mod examples;
mod meaning;
mod proxy;
mod refused;
mod secrets;
mod stored;

use super::{Config, Loaded, Provider, parse};
use std::path::Path;
use std::sync::Arc;

/// The folder of the configuration in these tests.
const BASE: &str = "/etc/plugway";

/// The environment of these tests.
fn env(name: &str) -> Option<String> {
    let value = match name {
        "OPENAI_API_KEY" => "sk-from-the-environment",
        "EMPTY" => "",
        "TWO_LINES" => "first\nsecond",
        "HOME" => "/home/user",
        _ => return None,
    };
    Some(value.to_owned())
}

fn read(yaml: &str) -> Loaded {
    parse(yaml, Path::new(BASE), &env).unwrap_or_else(|mistakes| panic!("{mistakes}\nin\n{yaml}"))
}

fn config(yaml: &str) -> Config {
    read(yaml).config
}

/// The one provider of a configuration.
fn provider(yaml: &str) -> Arc<Provider> {
    let providers = config(yaml).providers;
    assert_eq!(providers.len(), 1, "in {yaml}");
    providers.into_values().next().expect("one provider")
}

/// What is said about a configuration that is refused, one string for each mistake.
fn refusal(yaml: &str) -> Vec<String> {
    match parse(yaml, Path::new(BASE), &env) {
        Ok(_) => panic!("accepted: {yaml}"),
        Err(mistakes) => mistakes.0.iter().map(ToString::to_string).collect(),
    }
}
