use crate::Problem;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// What every plugin is, whatever its kinds: something made from settings.
///
/// The value that [`new`](Plugin::new) returns serves every call of one instance, so it must not change an answer: keep
/// nothing in it but what follows from the settings.
///
/// ```
/// use plugway_sdk::{Plugin, Problem};
/// use serde::Deserialize;
///
/// #[derive(Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct Settings {
///     region: String,
/// }
///
/// struct Acme {
///     host: String,
/// }
///
/// impl Plugin for Acme {
///     type Settings = Settings;
///     const DESCRIPTION: &'static str = "Acme's chat service";
///
///     fn new(settings: Settings) -> Result<Self, Problem> {
///         if settings.region.is_empty() {
///             return Err(Problem::invalid("region: must not be empty; write eu or us").at("region"));
///         }
///         Ok(Acme { host: format!("{}.acme.example", settings.region) })
///     }
/// }
/// ```
pub trait Plugin: Sized + 'static {
    /// What a configuration writes under `settings`. Deny unknown fields: a misspelt key should be an error.
    type Settings: DeserializeOwned;

    /// One sentence for people.
    const DESCRIPTION: &'static str;

    /// JSON Schema of the settings, shown by `plugway plugin inspect`. A provider whose paths depend on more than the
    /// operation, as where the model stands in them, adds `"x-plugway-fixed-paths": true`: then a configuration with
    /// `request_path_overrides` for it is refused.
    fn settings_schema() -> Value {
        json!({})
    }

    /// Makes the plugin from its settings; called once in each instance, before any other call.
    ///
    /// # Errors
    /// Settings that make no sense. The message is what the operator reads: name the member and say what would be right.
    fn new(settings: Self::Settings) -> Result<Self, Problem>;
}

/// The settings of a plugin that has none.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoSettings {}
