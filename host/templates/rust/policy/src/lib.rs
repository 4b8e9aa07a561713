//! {{description}}: refuses questions that contain one of some words.

use plugway_sdk::{Context, Phases, Plugin, Policy, Problem, ProblemKind, Verdict};
use serde::Deserialize;
use serde_json::{Value, json};

/// What a configuration may say under `settings`.
#[derive(Deserialize)]
struct Settings {
    words: Vec<String>,
}

struct Words {
    words: Vec<String>,
}

impl Plugin for Words {
    type Settings = Settings;
    const DESCRIPTION: &'static str = "{{description}}";

    fn settings_schema() -> Value {
        json!({
            "type": "object",
            "properties": {
                "words": {"type": "array", "items": {"type": "string"}, "description": "what no question may contain"},
            },
            "required": ["words"],
            "additionalProperties": false,
        })
    }

    fn new(Settings { words }: Settings) -> Result<Self, Problem> {
        if words.iter().any(String::is_empty) {
            return Err(Problem::invalid("words: an empty word is in every question").at("words"));
        }
        Ok(Words { words })
    }
}

impl Policy for Words {
    type State = ();

    fn phases(&self) -> Phases {
        Phases::REQUEST
    }

    fn review_request(&self, _context: &Context, body: &str) -> Result<Verdict, Problem> {
        let body: Value = serde_json::from_str(body)?;
        for (at, message) in body["messages"].as_array().into_iter().flatten().enumerate() {
            let said = message["content"].to_string();
            if let Some(word) = self.words.iter().find(|word| said.contains(word.as_str())) {
                let problem = Problem::new(ProblemKind::Refused, format!("`{word}` is not to be talked about"));
                return Ok(Verdict::Refuse(problem.at(format!("messages[{at}].content"))));
            }
        }
        Ok(Verdict::Pass)
    }
}

plugway_sdk::export!(Words: policy);

#[cfg(test)]
plugway_sdk::cases!(Words: policy);
