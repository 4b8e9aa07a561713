//! {{description}}: one question, one answer. `{"model", "question", "stream"}` becomes `{"answer", "words"}`, or in a
//! stream `{"word"}` for each word and `{"words"}` at the end.

mod client;
mod upstream;

use plugway_sdk::{NoSettings, Plugin, Problem};

const DIALECT: &str = "{{name}}";

struct Ask;

impl Plugin for Ask {
    type Settings = NoSettings;
    const DESCRIPTION: &'static str = "{{description}}";

    fn new(_: NoSettings) -> Result<Self, Problem> {
        Ok(Ask)
    }
}

plugway_sdk::export!(Ask: format_upstream, format_client);

#[cfg(test)]
plugway_sdk::cases!(Ask: format_upstream, format_client);
