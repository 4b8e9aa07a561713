//! Runs plugins that are JavaScript files. An instance is given one script and is that script's plugin from then on.

mod kinds;
mod machine;
mod values;

use machine::Machine;
use plugway_sdk::bindings::plugin::exports::plugway::plugin::lifecycle;
use plugway_sdk::{Level, Problem};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use std::cell::RefCell;
use values::{Arguments, shown};

mod bindings {
    #![allow(unsafe_code, clippy::all)]
    wit_bindgen::generate!({
        inline: "package plugway:script-plugin; world script { export plugway:script/engine@0.1.0; }",
        path: ["../../wit/plugin", "../../wit/script"],
        with: { "plugway:plugin/types@0.1.0": plugway_sdk::bindings::plugin::plugway::plugin::types },
        generate_all,
    });
    #[cfg(target_arch = "wasm32")]
    export!(Component with_types_in self);
    #[cfg(target_arch = "wasm32")]
    use super::Component;
}

use bindings::exports::plugway::script::engine;

struct Component;

thread_local! {
    /// The script of this instance.
    static MACHINE: RefCell<Option<Machine>> = const { RefCell::new(None) };
}

/// One function of the script.
fn ask<T: DeserializeOwned>(function: &str, arguments: Arguments) -> Result<T, Problem> {
    MACHINE.with_borrow_mut(|machine| {
        machine.as_mut().expect("the host loads a script before it calls one").call(function, &arguments)
    })
}

impl engine::Guest for Component {
    fn extensions() -> Vec<String> {
        vec!["js".to_owned()]
    }

    fn load(name: String, source: String) -> Result<Vec<engine::Kind>, Problem> {
        // A script's own mistakes are answers; what panics is a mistake that only a call shows.
        std::panic::set_hook(Box::new(|panic| {
            let message = panic.payload_as_str().unwrap_or("a panic without words");
            plugway_sdk::log(Level::Error, message);
        }));
        let machine = Machine::start(&name, &source)?;
        MACHINE.set(Some(machine));
        let kinds: Vec<String> = ask("kinds", vec![])?;
        Ok(kinds.iter().filter_map(|kind| kind_called(kind)).collect())
    }
}

fn kind_called(name: &str) -> Option<engine::Kind> {
    Some(match name {
        "provider" => engine::Kind::Provider,
        "format-upstream" => engine::Kind::FormatUpstream,
        "format-client" => engine::Kind::FormatClient,
        "headers" => engine::Kind::Headers,
        "policy" => engine::Kind::Policy,
        _ => return None,
    })
}

/// What a script may say of itself.
#[derive(Deserialize)]
struct Manifest {
    name: Option<String>,
    version: Option<String>,
    description: Option<String>,
    settings: Option<Box<RawValue>>,
}

impl lifecycle::Guest for Component {
    fn describe() -> lifecycle::Manifest {
        let Some(file) = MACHINE.with_borrow(|machine| machine.as_ref().map(|machine| machine.name.clone())) else {
            return lifecycle::Manifest {
                name: env!("CARGO_PKG_NAME").to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                description: env!("CARGO_PKG_DESCRIPTION").to_owned(),
                settings_schema: "{}".to_owned(),
            };
        };
        let said: Manifest = ask("manifest", vec![]).expect("the manifest's members are plain values");
        lifecycle::Manifest {
            name: said.name.unwrap_or_else(|| file.clone()),
            version: said.version.unwrap_or_else(|| "0.0.0".to_owned()),
            description: said.description.unwrap_or_else(|| format!("The script {file}.js")),
            settings_schema: said.settings.map_or_else(|| "{}".to_owned(), |schema| schema.to_string()),
        }
    }

    fn configure(settings: String) -> Result<(), Problem> {
        if MACHINE.with_borrow(Option::is_none) {
            return Ok(());
        }
        ask("configure", vec![shown(&settings)])
    }
}

#[cfg(target_arch = "wasm32")]
plugway_sdk::bindings::plugin::export!(Component with_types_in plugway_sdk::bindings::plugin);

#[cfg(test)]
mod tests;
