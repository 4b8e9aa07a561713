//! `plugway explain`

use super::{Exit, USUAL_CONFIG, config_file, small_runtime};
use crate::config;
use crate::pipeline::{self, Question};
use crate::reload;
use crate::snapshot::Live;
use clap::Args;
use serde_json::json;
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;

#[derive(Args)]
pub struct Explain {
    /// The model that is asked for, as a caller writes it.
    #[arg(required_unless_present = "request")]
    model: Option<String>,
    /// A request in place of a short chat: a file with the chat request's JSON, or with `{"method", "path", "headers",
    /// "body"}`; - is standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "model")]
    request: Option<PathBuf>,
    /// The configuration; `plugway.yaml` in this folder where there is one.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub fn explain(arguments: Explain) -> Exit {
    let Explain { model, request, config } = arguments;
    let Some(file) = config_file(config) else {
        eprintln!("plugway: there is no {USUAL_CONFIG} in this folder; name the configuration with --config FILE");
        return Exit::Usage;
    };
    let text = match request {
        None => {
            Ok(json!({"model": model, "messages": [{"role": "user", "content": "Hello"}]}).to_string().into_bytes())
        }
        Some(file) => read(&file),
    };
    let text = match text {
        Ok(text) => text,
        Err(message) => return refused(Exit::Usage, &message),
    };
    let loaded = match config::load(&file) {
        Ok(loaded) => loaded,
        Err(error) => return refused(Exit::Config, &error.to_string()),
    };
    match small_runtime() {
        Ok(runtime) => runtime.block_on(answer(loaded.config, &text)),
        Err(error) => refused(Exit::Unavailable, &error.to_string()),
    }
}

async fn answer(config: config::Config, text: &[u8]) -> Exit {
    let snapshot = match reload::look(config).await {
        Ok(looked) => looked.snapshot,
        Err(error) => return refused(Exit::Unavailable, &error.to_string()),
    };
    let explained = match Question::read(text) {
        Ok(question) => pipeline::explain(Arc::new(Live::new(snapshot)), question).await,
        Err(failure) => Err(failure),
    };
    match explained {
        Ok(answer) => {
            println!("{answer:#}");
            Exit::Fine
        }
        Err(failure) => {
            println!("{:#}", failure.body());
            Exit::Refused
        }
    }
}

fn read(file: &PathBuf) -> Result<Vec<u8>, String> {
    let mut text = Vec::new();
    let read = match file.as_os_str() == "-" {
        true => std::io::stdin().read_to_end(&mut text).map(drop),
        false => std::fs::read(file).map(|read| text = read),
    };
    read.map(|()| text).map_err(|error| format!("{}: {error}", file.display()))
}

fn refused(exit: Exit, message: &str) -> Exit {
    eprintln!("plugway: {message}");
    exit
}
