//! The JSON Schema of a plugin's settings.

use jsonschema::Validator;
use serde_json::Value;

pub struct Schema(Validator);

impl Schema {
    pub fn read(text: &str) -> Result<Self, String> {
        let schema: Value = serde_json::from_str(text).map_err(|error| format!("it is no JSON ({error})"))?;
        if let Err(error) = jsonschema::meta::validate(&schema) {
            return Err(at(&error.instance_path().to_string(), &error.to_string()));
        }
        // References to other documents are not followed.
        jsonschema::validator_for(&schema).map(Schema).map_err(|error| error.to_string())
    }

    pub fn check(&self, settings: &Value) -> Result<(), String> {
        self.0.validate(settings).map_err(|error| at(&error.instance_path().to_string(), &error.to_string()))
    }
}

fn at(place: &str, message: &str) -> String {
    if place.is_empty() { message.to_owned() } else { format!("at {place}: {message}") }
}
