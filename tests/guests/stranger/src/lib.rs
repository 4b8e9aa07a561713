//! A provider that asks the host for something it does not offer: the bytes of a secret.

use plugway_sdk::{Call, Capabilities, NoSettings, Outgoing, Plugin, Problem, Provider, Step};

mod vault {
    wit_bindgen::generate!({
        inline: "
            package acme:vault@1.0.0;
            interface secrets { read: func(name: string) -> string; }
            world vault { import secrets; }
        ",
    });
}

struct Stranger;

impl Plugin for Stranger {
    type Settings = NoSettings;
    const DESCRIPTION: &'static str = "Asks for the bytes of a secret";

    fn new(_: NoSettings) -> Result<Self, Problem> {
        Ok(Stranger)
    }
}

impl Provider for Stranger {
    fn capabilities(&self) -> Capabilities {
        Capabilities::of(["chat_completion"]).key_less()
    }

    fn plan(&self, _: &Call) -> Result<Step, Problem> {
        let secret = vault::acme::vault::secrets::read("api_key");
        Ok(Outgoing::post(format!("/{secret}")).into())
    }
}

plugway_sdk::export!(Stranger: provider);
