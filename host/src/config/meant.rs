//! The configuration as it is meant: checked, resolved, and unable to hold a wrong value.

use super::models::{Model, Prices};
use super::proxy::Proxy;
use crate::address::Reach;
use crate::operation::Operation;
use http::{HeaderName, HeaderValue, Uri};
use rustls::pki_types::CertificateDer;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

#[derive(Clone, Debug)]
pub struct Config {
    pub listen: SocketAddr,
    pub plugins: Plugins,
    pub limits: Limits,
    pub log: Log,
    pub providers: BTreeMap<String, Arc<Provider>>,
    /// In the order in which they are asked.
    pub policies: Vec<Policy>,
    /// By the names that callers use.
    pub models: BTreeMap<String, ModelRoute>,
    pub routing: Routing,
    /// Whether hints that a target cannot carry are refused.
    pub strict: bool,
    pub callers: Callers,
    pub admin: Admin,
    pub store: Store,
    /// What operators are shown of each provider.
    pub shown: BTreeMap<String, Shown>,
    /// Why the store's providers are not among these, where it could not be read.
    pub store_trouble: Option<String>,
    /// The files that it was made from beside its own.
    pub reads: BTreeSet<PathBuf>,
}

/// In which headers of a request something trusted says who sent it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Callers {
    /// By the variables of header templates.
    pub(super) headers: BTreeMap<&'static str, HeaderName>,
}

impl Callers {
    /// What header templates may call what is known of a caller.
    pub const VARIABLES: [&str; 4] = ["email", "user", "organization", "project"];

    pub fn header(&self, variable: &str) -> Option<&HeaderName> {
        self.headers.get(variable)
    }

    pub fn are_known_by(&self, header: &HeaderName) -> bool {
        self.headers.values().any(|name| name == header)
    }
}

/// Who may change providers while the gateway runs, and where.
#[derive(Clone, Debug, PartialEq)]
pub struct Admin {
    /// None: on the callers' address.
    pub listen: Option<SocketAddr>,
    /// None: whoever reaches a loopback address may.
    pub key: Option<Secret>,
}

/// Where the providers of the admin API are kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Store {
    pub path: PathBuf,
    /// None: it takes no secret.
    pub encryption_key: Option<Passphrase>,
}

/// Words that a key is made from. `Debug` does not show them.
#[derive(Clone, PartialEq)]
pub struct Passphrase(String);

impl Passphrase {
    pub fn new(words: String) -> Self {
        Passphrase(words)
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Passphrase(***)")
    }
}

/// Who a provider came from. The file is the operator's and wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    File,
    Api,
}

impl Owner {
    pub fn name(self) -> &'static str {
        match self {
            Owner::File => "file",
            Owner::Api => "api",
        }
    }
}

/// What operators are shown of a provider.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    /// The block as it was typed, each secret masked. None where it could not be read.
    pub block: Option<serde_json::Map<String, serde_json::Value>>,
    /// The store has a provider of this name too, and the file's serves.
    pub hides_stored: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Plugins {
    pub directory: PathBuf,
    /// Where precompiled artifacts lie. Private to the user who runs the gateway: what lies there is trusted code.
    pub cache_directory: PathBuf,
    /// How long a folder must be quiet before a change in it is taken.
    pub debounce: Duration,
    /// How long one call into a plugin may take.
    pub call_timeout: Duration,
    /// How much memory one instance may have.
    pub memory_limit_bytes: usize,
    /// How long compiling one plugin may take.
    pub compile_timeout: Duration,
    /// How much memory compiling one plugin may take.
    pub compile_memory_bytes: usize,
    /// None: failed calls are not written down.
    pub record_failed_calls: Option<FailedCalls>,
}

/// Where failed calls are written down, and how much of them is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct FailedCalls {
    pub directory: PathBuf,
    pub max_files: usize,
    pub max_file_bytes: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// The largest request or answer that is held in memory.
    pub body_bytes: usize,
    /// All that requests' bodies may take together.
    pub bodies_bytes: usize,
    /// The largest event of a stream.
    pub event_bytes: usize,
    /// Connections of callers open at once.
    pub connections: usize,
    /// How long a caller may take to send its headers, and between two reads of its body.
    pub caller_timeout: Duration,
    /// How long running requests have to end after a signal to stop.
    pub shutdown_grace: Duration,
    /// For a request with all its tries, to the end of its stream.
    pub total_timeout: Duration,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Log {
    pub level: tracing::level_filters::LevelFilter,
    pub format: LogFormat,
    /// One line for each request.
    pub access: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

/// A plugin by name and range of versions: `anthropic@^1.2`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PluginRequest {
    pub name: String,
    pub versions: semver::VersionReq,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Provider {
    pub name: String,
    pub owner: Owner,
    /// Why nobody can use it, whatever the plugins say: the store's block cannot be read, or has mistakes by now.
    pub unusable: Option<String>,
    pub plugin: PluginRequest,
    pub preset: Option<String>,
    /// A JSON object.
    pub settings: serde_json::Map<String, serde_json::Value>,
    pub isolation: Isolation,
    /// None: as the plugin says.
    pub key_less: Option<bool>,
    pub keys: Vec<Key>,
    /// Models that are found by their bare name and listed by `/v1/models`.
    pub models: Vec<Model>,
    /// The model of every request that addresses the provider by its path.
    pub model: Option<String>,
    pub network: Network,
    pub allowed: AllowedRequests,
    pub path_overrides: BTreeMap<RequestKind, PathOverride>,
    pub headers: Option<HeaderTemplates>,
    /// Addresses, in order.
    pub fallbacks: Vec<String>,
    /// Relative to that of others who serve the same model.
    pub weight: f64,
    pub retries: Retries,
    /// None: as many as come.
    pub concurrency: Option<Concurrency>,
    pub streaming: Streaming,
}

/// Where one name of a model goes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelRoute {
    /// None: to every provider that lists it.
    pub targets: Option<Vec<WeightedAddress>>,
    pub strategy: Option<Strategy>,
    /// Addresses, in order.
    pub fallbacks: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct WeightedAddress {
    pub address: String,
    /// None: the provider's.
    pub weight: Option<f64>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Routing {
    pub strategy: Strategy,
    pub circuit: CircuitRule,
    /// The longest that a key is left alone because its service asks for it.
    pub longest_rest: Duration,
}

/// How requests are spread over those who serve one model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// By chance, in proportion to the weights.
    Weighted,
    /// To whom the fewest requests, relative to its weight, are on their way.
    LeastInFlight,
    /// To whom answers are expected first: a peak-sensitive moving average of the time to the first content, times those on
    /// their way.
    LowestLatency,
    InOrder,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CircuitRule {
    /// Failures in a row that open it; 0: it never opens.
    pub failures: u32,
    pub open: Duration,
}

/// How often the same is tried with the same key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retries {
    pub max: u32,
    pub backoff_initial: Duration,
    pub backoff_max: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Concurrency {
    pub running: usize,
    pub waiting: usize,
}

/// What a service can do of streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Streaming {
    AsAsked,
    Never,
    Only,
}

impl Provider {
    /// What a model costs, as far as the configuration says.
    pub fn prices(&self, model: &str) -> Option<&Prices> {
        self.models.iter().find(|known| known.name == model)?.prices.as_ref()
    }

    /// The names under which it is found without its own: those of its models, and what its keys call them.
    pub fn bare_names(&self) -> impl Iterator<Item = &str> {
        self.model_names().chain(self.aliases())
    }

    /// What keys call models that they serve.
    pub fn aliases(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().flat_map(Key::served_aliases)
    }

    /// The models that stand in the configuration: the provider's own list, and those of its keys.
    pub fn model_names(&self) -> impl Iterator<Item = &str> {
        let of_keys = self.keys.iter().filter_map(|key| key.models.only.as_ref()).flatten().map(String::as_str);
        self.models.iter().map(|model| model.name.as_str()).chain(of_keys)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Isolation {
    /// Warm instances, shared by all requests.
    Shared,
    /// A fresh instance for every call.
    PerRequest,
}

/// Header templates and the plugin that renders them.
#[derive(Clone, PartialEq)]
pub struct HeaderTemplates {
    pub plugin: PluginRequest,
    pub templates: Vec<(HeaderName, String)>,
}

/// Shows no template: people write credentials into them as they stand.
impl fmt::Debug for HeaderTemplates {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&HeaderName> = self.templates.iter().map(|(name, _)| name).collect();
        formatter.debug_struct("HeaderTemplates").field("plugin", &self.plugin).field("names", &names).finish()
    }
}

#[derive(Clone, Debug)]
pub struct Policy {
    pub plugin: PluginRequest,
    pub settings: serde_json::Map<String, serde_json::Value>,
    pub isolation: Isolation,
}

/// An operation and whether it is streamed: `chat_completion_stream`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestKind {
    pub operation: Operation,
    pub streaming: bool,
}

impl RequestKind {
    /// Every operation, and every streamed one where there is such.
    pub fn all() -> Vec<RequestKind> {
        let ways = |operation: &Operation| {
            let once = RequestKind { operation: *operation, streaming: false };
            let streamed = operation.has_stream().then_some(RequestKind { streaming: true, ..once });
            [Some(once), streamed].into_iter().flatten()
        };
        Operation::ALL.iter().flat_map(ways).collect()
    }
}

impl fmt::Display for RequestKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}", self.operation, if self.streaming { "_stream" } else { "" })
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum AllowedRequests {
    All,
    Only(BTreeSet<RequestKind>),
}

impl AllowedRequests {
    pub fn allows(&self, kind: RequestKind) -> bool {
        match self {
            AllowedRequests::All => true,
            AllowedRequests::Only(kinds) => kinds.contains(&kind),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum PathOverride {
    /// Joined to the base URL, in place of the plugin's path.
    Path(String),
    /// In place of base URL and path.
    Url(Uri),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    pub name: String,
    pub secret: Secret,
    pub models: ModelFilter,
    /// Relative to the other keys' weights.
    pub weight: f64,
    /// The caller's name of a model to the upstream's.
    pub aliases: BTreeMap<String, String>,
}

impl Key {
    fn served_aliases(&self) -> impl Iterator<Item = &str> {
        self.aliases.keys().map(String::as_str).filter(|alias| self.serves(alias))
    }

    /// An alias is served where the model is that it stands for.
    pub fn serves(&self, model: &str) -> bool {
        let ModelFilter { only, never } = &self.models;
        let names = || [Some(model), self.aliases.get(model).map(String::as_str)].into_iter().flatten();
        !names().any(|name| never.contains(name))
            && only.as_ref().is_none_or(|models| names().any(|name| models.contains(name)))
    }
}

/// Which models a key serves.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelFilter {
    /// None: all.
    pub only: Option<BTreeSet<String>>,
    pub never: BTreeSet<String>,
}

impl Provider {
    /// Where it stands: `providers.NAME`, after whom it came from where that is not the file.
    pub fn place(&self) -> String {
        match self.owner {
            Owner::File => format!("providers.{}", self.name),
            Owner::Api => format!("api: providers.{}", self.name),
        }
    }
}

/// Bytes that must not be seen. Neither `Debug` nor `Display` shows them.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Secret(HeaderValue);

impl Secret {
    /// None where the text cannot stand in a header: CR, LF, NUL and other control characters.
    pub fn new(text: &str) -> Option<Self> {
        let mut value = HeaderValue::from_str(text).ok()?;
        value.set_sensitive(true);
        Some(Secret(value))
    }

    /// The only way to the bytes. They go into the outgoing request and nowhere else.
    pub fn expose(&self) -> &HeaderValue {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(***)")
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    /// None: the preset's, else the plugin's own.
    pub base_url: Option<Uri>,
    /// Marked as sensitive, so that `Debug` does not show their values.
    pub extra_headers: Vec<(HeaderName, HeaderValue)>,
    /// Shared, as each request looks for the connections that belong to it.
    pub line: Arc<Line>,
    pub timeouts: Timeouts,
}

/// How connections are made and kept. Only providers that agree in all of it share them: what one may reach, or whom it
/// believes, must not be lent to another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Line {
    pub reach: Reach,
    pub tls: Tls,
    pub proxy: Proxy,
    /// For all that it takes until a request can be sent: a free place, the name, the proxy, TLS.
    pub connect_timeout: Duration,
    /// How long an idle connection is kept.
    pub keep_alive: Duration,
    /// To one host. None: as many as there are requests.
    pub max_connections: Option<NonZeroUsize>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Tls {
    /// The roots that come with the program and those of the system.
    Public,
    /// Those and these certificates.
    CustomCa(Vec<CertificateDer<'static>>),
    /// Warned about at start.
    Unverified,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timeouts {
    /// From the request sent to the response's headers, and to the end of a body that is not streamed.
    pub request: Duration,
    /// From a stream's headers to its first content.
    pub first_token: Duration,
    /// Between two reads of a stream.
    pub stream_idle: Duration,
}
