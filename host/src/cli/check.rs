//! `plugway check`

use super::{Exit, USUAL_CONFIG, config_file, small_runtime};
use crate::config;
use crate::reload::{self, Looked};
use std::path::PathBuf;

pub fn check(named: Option<PathBuf>) -> Exit {
    let Some(file) = config_file(named) else {
        eprintln!("plugway: there is no {USUAL_CONFIG} in this folder; name the configuration with --config FILE");
        return Exit::Usage;
    };
    let loaded = match config::load(&file) {
        Ok(loaded) => loaded,
        Err(error) => {
            eprintln!("plugway: {error}");
            return Exit::Config;
        }
    };
    for warning in &loaded.warnings {
        println!("warning: {warning}");
    }
    let looked = small_runtime()
        .map_err(|error| error.to_string())
        .and_then(|runtime| runtime.block_on(reload::look(loaded.config)).map_err(|error| error.to_string()));
    match looked {
        Ok(looked) => report(&looked),
        Err(error) => {
            eprintln!("plugway: {error}");
            Exit::Unavailable
        }
    }
}

fn report(Looked { snapshot, refused, warnings }: &Looked) -> Exit {
    for warning in warnings {
        println!("warning: {warning}");
    }
    for (file, reason) in refused {
        println!("{}: {reason}", file.display());
    }
    for trouble in &snapshot.troubles {
        println!("{trouble}");
    }
    match snapshot.troubles.is_empty() && refused.is_empty() {
        true => {
            println!(
                "the configuration is good: {} plugins, {} providers",
                snapshot.plugins.len(),
                snapshot.providers().count()
            );
            Exit::Fine
        }
        false => Exit::Refused,
    }
}
