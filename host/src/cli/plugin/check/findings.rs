//! What is wrong, or surprising, with a plugin that loads.

use super::Engine;
use super::schema::Schema;
use crate::config::{self, RequestKind};
use crate::operation::Operation;
use crate::plugins::{Kind, Moment, Outcome, Plugin, extension, is_component};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// A gateway refuses it, at once or when it is used.
    Error,
    /// It works, and surprises somebody.
    Warning,
}

#[derive(Debug)]
pub struct Finding {
    pub severity: Severity,
    pub message: String,
}

impl Finding {
    pub fn error(message: impl Into<String>) -> Self {
        Finding { severity: Severity::Error, message: message.into() }
    }

    fn warning(message: impl Into<String>) -> Self {
        Finding { severity: Severity::Warning, message: message.into() }
    }

    pub fn in_json(&self) -> Value {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        json!({"severity": severity, "message": self.message})
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(formatter, "{severity}: {}", self.message)
    }
}

pub async fn of(plugin: &Plugin) -> Vec<Finding> {
    let mut findings = Vec::new();
    manifest(plugin, &mut findings);
    let schema = match Schema::read(&plugin.settings_schema) {
        Ok(schema) => Some(schema),
        Err(reason) => {
            findings.push(Finding::error(format!("its settings schema is no JSON Schema: {reason}")));
            None
        }
    };
    for kind in &plugin.shape.kinds {
        let said = match kind {
            Kind::Provider => provider(plugin, schema.as_ref(), &mut findings).await,
            Kind::FormatUpstream => dialect(plugin, *kind).await,
            Kind::FormatClient => client(plugin, &mut findings).await,
            Kind::Headers | Kind::Policy => takes_no_settings(plugin, &mut findings).await,
            Kind::ScriptEngine if plugin.runs.is_empty() => Err("it runs files of no extension".to_owned()),
            Kind::ScriptEngine => Ok(()),
        };
        findings.extend(said.err().map(Finding::error));
    }
    findings
}

fn manifest(plugin: &Plugin, findings: &mut Vec<Finding>) {
    if plugin.description.trim().is_empty() {
        findings.push(Finding::warning("it has no description; one sentence is what people see in lists"));
    }
    if plugin.script.is_some() {
        // A script is called as its file is, which is what configurations ask for.
        return;
    }
    let families: BTreeSet<&str> = plugin.shape.kinds.iter().map(|kind| kind.family()).collect();
    let begins =
        |family: &&str| plugin.name.strip_prefix(*family).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
    if !families.iter().any(begins) {
        let family = families.first().copied().unwrap_or("provider");
        findings.push(Finding::warning(format!(
            "its name does not begin with its kind; called `{family}-{name}`, configurations could ask for it as `{name}`",
            name = plugin.name
        )));
    }
}

/// What an instance answers; settings that are refused are no fault, as they may be required.
async fn ask(plugin: &Plugin, settings: &str, kind: Kind, function: &str) -> Result<Option<Value>, String> {
    let mut instance = match plugin.instance(settings).await {
        Ok(instance) => instance,
        Err(Outcome::Problem(_)) => return Ok(None),
        Err(Outcome::Fault(fault)) => return Err(format!("configure: {fault}")),
        Err(Outcome::Answer(_)) => return Ok(None),
    };
    let functions = plugin.functions();
    let named = functions.iter().find(|known| known.kind == Some(kind) && known.name == function);
    let function = named.ok_or_else(|| format!("it does not export `{function}`"))?;
    match instance.call(Moment::NONE, function, &Map::new()).await?.outcome {
        Outcome::Answer(answer) => Ok(Some(answer)),
        Outcome::Problem(problem) => Err(format!("{}: {problem}", function.name)),
        Outcome::Fault(fault) => Err(format!("{}: {fault}", function.name)),
    }
}

async fn takes_no_settings(plugin: &Plugin, findings: &mut Vec<Finding>) -> Result<(), String> {
    match plugin.instance("{}").await {
        Ok(_) => Ok(()),
        Err(Outcome::Problem(problem)) if plugin.is(Kind::Headers) || plugin.is(Kind::FormatUpstream) => {
            let message = problem["message"].as_str().unwrap_or_default();
            Err(format!(
                "it refuses to be configured with {{}}, and formats and header templates have nothing else: {message}"
            ))
        }
        Err(Outcome::Problem(problem)) => {
            let message = problem["message"].as_str().unwrap_or_default();
            findings.push(Finding::warning(format!("it needs settings: {message}")));
            Ok(())
        }
        Err(Outcome::Fault(fault)) => Err(format!("configure: {fault}")),
        Err(Outcome::Answer(_)) => Ok(()),
    }
}

async fn dialect(plugin: &Plugin, kind: Kind) -> Result<(), String> {
    let Some(dialect) = ask(plugin, "{}", kind, "dialect").await? else {
        return Err("it refuses to be configured with {}, and formats have nothing else".to_owned());
    };
    match dialect.as_str() {
        Some("") | None => Err(format!("the {kind} does not say the name of its dialect")),
        Some(_) => Ok(()),
    }
}

async fn client(plugin: &Plugin, findings: &mut Vec<Finding>) -> Result<(), String> {
    dialect(plugin, Kind::FormatClient).await?;
    let routes = ask(plugin, "{}", Kind::FormatClient, "routes").await?.unwrap_or_default();
    let routes = routes.as_array().cloned().unwrap_or_default();
    if routes.is_empty() {
        findings.push(Finding::warning("it has no routes, so that no caller can speak its dialect"));
    }
    for route in &routes {
        let text = |name: &str| route[name].as_str().unwrap_or_default().to_owned();
        let (path, operation) = (text("path"), text("operation"));
        if operation.parse::<Operation>().is_err() {
            findings.push(unknown_operation(&format!("the route {path}"), &operation));
        }
        if !path.starts_with('/') {
            findings.push(Finding::error(format!("the path of the route `{path}` must begin with a slash")));
        }
        if text("method").is_empty() || http::Method::from_bytes(text("method").as_bytes()).is_err() {
            findings
                .push(Finding::error(format!("the route {path} has the method `{}`, which is none", text("method"))));
        }
    }
    Ok(())
}

fn unknown_operation(who: &str, operation: &str) -> Finding {
    let known: Vec<&str> = Operation::ALL.iter().map(|operation| operation.name()).collect();
    Finding::error(format!("{who} has the unknown operation `{operation}`; known are {}", known.join(", ")))
}

async fn provider(plugin: &Plugin, schema: Option<&Schema>, findings: &mut Vec<Finding>) -> Result<(), String> {
    let Some(capabilities) = ask(plugin, "{}", Kind::Provider, "get-capabilities").await? else {
        findings.push(Finding::warning("it needs settings; its capabilities and presets were not looked at"));
        return Ok(());
    };
    let known: Vec<String> = RequestKind::all().iter().map(ToString::to_string).collect();
    let operations = capabilities["operations"].as_array().cloned().unwrap_or_default();
    for operation in operations.iter().filter_map(Value::as_str) {
        if !known.iter().any(|known| known == operation) {
            findings.push(Finding::error(format!(
                "it serves the unknown operation `{operation}`; known are {}",
                known.join(", ")
            )));
        }
    }
    if operations.is_empty() {
        findings.push(Finding::error("it serves no operation, so that every request would be refused"));
    }
    if let Some(url) = capabilities["default_base_url"].as_str()
        && let Err(message) = config::base_url(url)
    {
        findings.push(Finding::error(format!("its default base URL `{url}` {message}")));
    }
    let mut names = BTreeSet::new();
    for preset in capabilities["presets"].as_array().into_iter().flatten() {
        let name = preset["name"].as_str().unwrap_or_default();
        if name.is_empty() || !names.insert(name) {
            findings.push(Finding::error(format!("there are two presets `{name}`, or one without a name")));
        }
        findings.extend(self::preset(plugin, schema, preset).await.err().map(Finding::error));
    }
    Ok(())
}

async fn preset(plugin: &Plugin, schema: Option<&Schema>, preset: &Value) -> Result<(), String> {
    let named = |message: String| format!("the preset `{}` {message}", preset["name"].as_str().unwrap_or_default());
    let url = preset["base_url"].as_str().unwrap_or_default();
    config::base_url(url).map_err(|message| named(format!("has the base URL `{url}`, which {message}")))?;
    let text = match preset["settings"].as_str().map(str::trim) {
        None | Some("") => "{}",
        Some(text) => text,
    };
    let settings: Map<String, Value> =
        serde_json::from_str(text).map_err(|error| named(format!("has settings that are no JSON object: {error}")))?;
    if let Some(schema) = schema {
        schema
            .check(&Value::Object(settings))
            .map_err(|error| named(format!("has settings that its own schema forbids: {error}")))?;
    }
    match plugin.instance(text).await {
        Ok(_) | Err(Outcome::Answer(_)) => Ok(()),
        Err(Outcome::Problem(problem)) => Err(named(format!(
            "has settings that the plugin refuses: {}",
            problem["message"].as_str().unwrap_or_default()
        ))),
        Err(Outcome::Fault(fault)) => Err(named(format!("cannot be configured: {fault}"))),
    }
}

/// Whether it goes with the plugins of a folder: its components and, beside a script, other scripts.
pub fn beside(plugin: &Plugin, folder: &Path, engine: &Engine) -> Vec<Finding> {
    let mut files: Vec<_> = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|file| file.path()).collect();
    files.sort();
    let is_same = |file: &Path| file.canonicalize().ok() == plugin.file.canonicalize().ok();
    let is_another =
        |file: &&PathBuf| (is_component(file) || extension(file) == extension(&plugin.file)) && !is_same(file);
    files
        .iter()
        .filter(is_another)
        .filter_map(|file| Some((file, engine.load(file).ok()?)))
        .filter_map(|(file, other)| clash(plugin, file, &other))
        .collect()
}

fn clash(plugin: &Plugin, file: &Path, other: &Plugin) -> Option<Finding> {
    let file = file.display();
    if other.name != plugin.name {
        return None;
    }
    if other.version == plugin.version {
        return (other.digest != plugin.digest).then(|| {
            Finding::error(format!(
                "{other:?} is another plugin of the same name and version, in {file}; a gateway takes only one of them: \
                 give this one another version"
            ))
        });
    }
    let (higher, lower) = if other.version > plugin.version { (other, plugin) } else { (plugin, other) };
    Some(Finding::warning(format!(
        "{file} has {other:?}; configurations that name no range get {}, and `{}@={}` asks for the other",
        higher.version, lower.name, lower.version
    )))
}
