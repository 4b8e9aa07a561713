//! The configuration as the user types it. The names are Bifrost's where Bifrost has one, so that its JSON blocks
//! paste in and work.

use super::meant::{Isolation, LogFormat, Passphrase, PathOverride, PluginRequest, Strategy, Streaming};
use super::mistakes::At;
use super::outgoing::{BaseUrl, Certificates, Headers, KeyValue, Requests, Template};
use super::proxy::{ProxyKind, ProxyUrl};
use super::reader::{Field, Reader, Typed, field, mapping, plain, refuse_unknown_keys, typed};
use super::routing::{Address, Flavor, Format, TargetEntry};
use super::scalars::{Day, FilePath, Folder, Listen, Price, Seconds, Weight, Whole};
use http::{HeaderName, HeaderValue};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use tracing::level_filters::LevelFilter;

type Settings = Map<String, Value>;

typed! {
    /// The whole file.
    File {
        /// The address that callers connect to. A port alone is 127.0.0.1's. Default: 127.0.0.1:8080.
        listen: Listen,
        /// Where plugins lie and what they may use.
        plugins: PluginsSection,
        /// What callers may use.
        limits: LimitsSection,
        /// What is logged and how.
        log: LogSection,
        /// Plugins that look at requests and answers, in the order in which they are asked.
        policies: Vec<PolicyEntry>,
        /// The services that requests go to, by the names that callers use.
        providers: BTreeMap<String, ProviderSection>,
        /// Names of models that callers use, and where each goes. Others go to every provider that lists them.
        models: BTreeMap<String, ModelSection>,
        /// How requests are spread and who is left alone.
        routing: RoutingSection,
        /// Whether hints that a target cannot carry are refused, not dropped, whatever the request says. Default: false.
        strict: bool,
        /// Who callers are, where something trusted in front of the gateway says so.
        callers: CallersSection,
        /// Who may change providers while the gateway runs, and where.
        admin: AdminSection,
        /// Where the providers are kept that came through the admin API.
        store: StoreSection,
        /// The words under which secrets in the store are encrypted, best env.NAME. Absent: the store takes no secret.
        encryption_key: Passphrase,
    } later [
        "auth_config", "client", "config_store", "framework", "governance", "logs_store", "mcp", "vector_store",
    ]

    /// Where one name of a model goes.
    ModelSection {
        /// `<provider>/<model>`, or a provider that has the model under this name; in order. Default: every provider that
        /// lists it, in the order of their names.
        targets: Vec<TargetEntry>,
        /// How requests are spread over the targets: weighted, least-in-flight, lowest-latency or in-order. Default:
        /// routing.strategy.
        strategy: Strategy,
        /// Who is tried, in order, where no target answers: `<provider>/<model>`, or a name of a model.
        fallbacks: Vec<Address>,
    } later []

    /// One target of a model and its share.
    TargetSection {
        /// `<provider>/<model>`, or a provider that has the model under the caller's name. Required.
        address: Address,
        /// Its share, relative to the other targets'. Default: the provider's `weight`.
        weight: Weight,
    } later []

    /// How requests are spread and who is left alone.
    RoutingSection {
        /// How requests for one model are spread over the providers that serve it: weighted, least-in-flight,
        /// lowest-latency or in-order. Default: weighted.
        strategy: Strategy,
        /// Failures in a row after which a provider is tried last. 0: never. Default: 5.
        circuit_failures: Whole<0, 10_000>,
        /// For how long, before one request tries it again. Default: 10.
        circuit_open_seconds: Seconds,
        /// The longest that a key is left alone because its service asks for it. Default: 60.
        longest_rest_seconds: Seconds,
    } later []

    /// Who callers are, where something trusted in front of the gateway says so. Callers who reach the gateway around it
    /// can say what they like.
    CallersSection {
        /// The header of a request that header templates call {{email}}. It does not go on to providers by itself.
        email_header: HeaderName,
        /// The same for {{user}}.
        user_header: HeaderName,
        /// The same for {{organization}}.
        organization_header: HeaderName,
        /// The same for {{project}}.
        project_header: HeaderName,
    } later []

    /// Who may change providers while the gateway runs, and where.
    AdminSection {
        /// The address of the admin API, in place of the callers'. A port alone is 127.0.0.1's. Default: as `listen`.
        listen: Listen,
        /// What the admin API is asked with, as `Authorization: Bearer …`; best env.NAME. Without it the admin API is
        /// open to this machine and closed to all others.
        key: KeyValue,
    } later []

    /// Where the providers are kept that came through the admin API.
    StoreSection {
        /// The file, relative to this one. Default: plugway.db; without a configuration file,
        /// $XDG_DATA_HOME/plugway/plugway.db or ~/.local/share/plugway/plugway.db.
        path: FilePath,
    } later []

    /// Where plugins lie and what they may use.
    PluginsSection {
        /// The folder of the plugins, relative to this file. It is watched. Default: plugins.
        directory: Folder,
        /// The folder for compiled plugins, private to you. Default: $XDG_CACHE_HOME/plugway or ~/.cache/plugway.
        cache_directory: Folder,
        /// How long the folder must be quiet before a change in it is taken. Default: 200.
        debounce_ms: Whole<0, 60_000>,
        /// How long one call into a plugin may take. Default: 1000.
        call_timeout_ms: Whole<1, 600_000>,
        /// How much memory one instance of a plugin may have. Default: 256.
        memory_limit_mb: Whole<1, 4096>,
        /// How long compiling one plugin may take. Default: 120.
        compile_timeout_seconds: Seconds,
        /// How much memory compiling one plugin may take. Default: 2048.
        compile_memory_mb: Whole<1, 65_536>,
        /// Whether calls into plugins that fail are written down, to be made again with `plugway plugin replay`. Absent: no.
        record_failed_calls: RecordSection,
    } later []

    /// Calls into plugins that fail, written down. They hold what users wrote.
    RecordSection {
        /// The folder of the records, relative to this file and private to you. Required.
        directory: Folder,
        /// How many are kept; the oldest make room. Default: 100.
        max_files: Whole<1, 100_000>,
        /// The largest record; a call with more in it is not written down. Default: 1024.
        max_file_kb: Whole<1, 65_536>,
    } later []

    /// What callers may use.
    LimitsSection {
        /// The largest request or answer that is held in memory. Default: 32.
        body_mb: Whole<1, 4096>,
        /// What the bodies of all requests may take together, from their first byte to the answer; more are refused with
        /// 503. Default: 1024.
        bodies_mb: Whole<1, 1_048_576>,
        /// The largest event of a stream. Default: 4.
        event_mb: Whole<1, 1024>,
        /// Connections of callers open at once. Default: 10000.
        connections: Whole<1, 1_000_000>,
        /// How long a caller may take to send its headers, between two reads of its body, and to read on in an answer that
        /// waits for it. Default: 30.
        caller_timeout_seconds: Seconds,
        /// How long running requests have to end after a signal to stop. Default: 30.
        shutdown_grace_seconds: Seconds,
        /// How long a request may take in all, with every try and to the end of its stream. Default: 3600.
        total_timeout_seconds: Seconds,
    } later []

    /// What is logged and how.
    LogSection {
        /// The least important messages to log. Default: info.
        level: LevelFilter,
        /// Lines for people or objects for machines. Default: text.
        format: LogFormat,
        /// Whether each request leaves a line. Default: true.
        access: bool,
    } later []

    /// A policy and how it is set.
    PolicySection {
        /// The plugin, with or without a range of versions: deny@^1. Required.
        plugin: PluginRequest,
        /// What the plugin is told.
        settings: Settings,
        /// shared: warm instances serve all requests. per-request: each call has a fresh one. Default: shared.
        isolation: Isolation,
    } later []

    /// One service that requests go to.
    ProviderSection {
        /// The plugin that knows the service, with or without a range of versions. Default: base_provider_type, else
        /// the provider's own name.
        plugin: PluginRequest,
        /// A compatible service that the plugin knows by name.
        preset: String,
        /// What the plugin is told.
        settings: Settings,
        /// shared: warm instances serve all requests. per-request: each call has a fresh one. Default: shared.
        isolation: Isolation,
        /// The models that are found without naming the provider, and listed by /v1/models: names, or mappings that say
        /// more of them.
        models: Vec<ModelEntry>,
        /// The model of every request under /providers/NAME, whatever the request says. Absent: the request's own.
        model: String,
        /// The keys to the service. Requests are spread over those that serve the model.
        keys: Vec<KeySection>,
        /// Where the service is and how to talk to it.
        network_config: NetworkSection,
        /// What makes this provider differ from the plugin it builds on.
        custom_provider_config: CustomSection,
        /// Headers to send, with places to fill in: {Authorization: "Bearer {{api_key}}"}.
        headers: Headers<Template>,
        /// The plugin that fills in `headers`. Default: mustache.
        header_templates: PluginRequest,
        /// The proxy between gateway and service. Absent: none.
        proxy_config: ProxySection,
        /// Who is tried, in order, where this provider does not answer: `<provider>/<model>`, a provider that has the model
        /// under the same name, or a name of a model.
        fallbacks: Vec<Address>,
        /// Its share of the requests for models that others serve too. Default: 1.0.
        weight: Weight,
        /// How many requests it gets at once, and how many may wait for it. Absent: as many as come.
        concurrency_and_buffer_size: ConcurrencySection,
        /// Whether the service streams: true, false, or only where it does nothing else. Callers get what they ask for in
        /// any case. Default: true.
        supports_streaming: Streaming,
        /// The wire format of the service, by the name of the plugin that speaks it. The same as `plugin`.
        format: Format,
        /// What the service's models do: chat, completion or embedding. Short for `allowed_requests`.
        flavor: Flavor,
    } later [
        "description", "openai_config", "pricing_overrides", "send_back_raw_request",
        "send_back_raw_response", "store_raw_request_response",
    ]

    /// How many requests a provider gets at once.
    ConcurrencySection {
        /// How many are on their way at once, streams to their end. Default: 1000.
        concurrency: Whole<1, 1_000_000>,
        /// How many wait; more are refused at once with 429. Default: 5000.
        buffer_size: Whole<0, 1_000_000>,
    } later []

    /// A model and what is known of it.
    ListedModelSection {
        /// Its name at the service. Required.
        name: String,
        /// What people call it.
        display_name: String,
        /// Whether it takes more than text.
        multimodal: bool,
        /// US dollars for a million tokens that it reads.
        input_cost_per_mil_tokens: Price,
        /// US dollars for a million tokens that it writes.
        output_cost_per_mil_tokens: Price,
        /// US dollars for a million tokens read from a cache. Default: the input's.
        input_cache_read_cost_per_mil_tokens: Price,
        /// US dollars for a million tokens written to a cache. Default: the input's.
        input_cache_write_cost_per_mil_tokens: Price,
        /// The same where they are kept for five minutes. Default: the price of writing to a cache.
        input_cache_write_5m_cost_per_mil_tokens: Price,
        /// The same where they are kept for an hour. Default: the price of writing to a cache.
        input_cache_write_1h_cost_per_mil_tokens: Price,
        /// How much it can read.
        max_input_tokens: Whole<1, 1_000_000_000>,
        /// How much it can write.
        max_output_tokens: Whole<1, 1_000_000_000>,
        /// Models to turn to when it fails, each as <provider>/<model> or by its bare name.
        fallback_models: Vec<String>,
        /// The day on which the service gives it up: 2027-01-31.
        deprecation_date: Day,
    } later []

    /// One key to a service.
    KeySection {
        /// Its name in logs. Default: key-1, key-2, ….
        name: String,
        /// env.NAME for the value of an environment variable, file.PATH for the content of a file (relative to this one),
        /// or the key itself. Required.
        value: KeyValue,
        /// The models it serves. Absent, [] and ["*"]: all.
        models: Vec<String>,
        /// The models it never serves, whatever `models` says.
        blacklisted_models: Vec<String>,
        /// Its share of the requests, relative to the other keys' weights. Default: 1.0.
        weight: Weight,
        /// Callers' names of models to the service's own.
        aliases: BTreeMap<String, String>,
    } later [
        "azure_key_config", "bedrock_key_config", "description", "enabled", "id", "replicate_key_config",
        "use_for_batch_api", "vertex_key_config", "vllm_key_config",
    ]

    /// Where a service is and how to talk to it.
    NetworkSection {
        /// The root of the service. Default: the preset's, else the plugin's own.
        base_url: BaseUrl,
        /// Headers to send with every request. A value may be env.NAME or file.PATH.
        extra_headers: Headers<HeaderValue>,
        /// How long the service may take to begin its answer, to end one that is not streamed, and for all that a plugin
        /// asks of it beforehand. Default: 30.
        default_request_timeout_in_seconds: Seconds,
        /// How long a stream may take from its headers to its first content. Default: default_request_timeout_in_seconds.
        first_token_timeout_in_seconds: Seconds,
        /// How long a stream may be silent. Default: 60.
        stream_idle_timeout_in_seconds: Seconds,
        /// How long connecting may take, with waiting for a free connection, name, proxy and TLS. Default: 10.
        connect_timeout_in_seconds: Seconds,
        /// How long an idle connection is kept for the next request. Default: 50.
        keep_alive_timeout_in_seconds: Seconds,
        /// How many connections there may be to one host, idle ones too. Each serving thread has its share, at least one.
        /// Absent: as many as there are requests.
        max_conns_per_host: Whole<1, 1_000_000>,
        /// Whether the service may be on this machine or in a private network. Default: false.
        allow_private_network: bool,
        /// Whether to talk to whoever answers. Only for networks that you trust. Default: false.
        insecure_skip_verify: bool,
        /// Certificates to trust besides the public ones and the system's, in PEM.
        ca_cert_pem: Certificates,
        /// How often one key is tried again after a failure of the network or the service. Default: 0.
        max_retries: Whole<0, 20>,
        /// How many milliseconds are waited before the first of them; twice as many before each next. Default: 500.
        retry_backoff_initial: Whole<0, 600_000>,
        /// And at most. Default: 5000.
        retry_backoff_max: Whole<0, 600_000>,
    } later [
        "beta_header_overrides", "enforce_http2", "http2_ping_interval_in_seconds",
    ]

    /// A proxy between gateway and service.
    ProxySection {
        /// none, http, socks5, or environment for what HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY say. Required.
        r#type: ProxyKind,
        /// Where the proxy is. Its address is not checked. Required for http and socks5.
        url: ProxyUrl,
        /// Who logs in. May be env.NAME or file.PATH.
        username: KeyValue,
        /// With what. May be env.NAME or file.PATH.
        password: KeyValue,
        /// Certificates to trust besides, for proxies that are talked to in TLS or look into it, in PEM.
        ca_cert_pem: Certificates,
    } later []

    /// What makes a provider differ from the plugin it builds on.
    CustomSection {
        /// The plugin it builds on.
        base_provider_type: PluginRequest,
        /// Whether the service wants no key. Default: as the plugin says.
        is_key_less: bool,
        /// The operations that callers may ask for. Absent: all. Present: only those that are true.
        allowed_requests: Requests<bool>,
        /// Paths or URLs in place of the plugin's own, by operation.
        request_path_overrides: Requests<PathOverride>,
    } later []
}

/// A policy: a section, or the plugin alone where there is nothing to set.
pub(super) struct PolicyEntry(pub PolicySection);

impl Typed for PolicyEntry {
    fn shape() -> String {
        "the name of a plugin or a mapping".to_owned()
    }

    fn fields() -> &'static [Field] {
        PolicySection::fields()
    }

    fn read(value: &Value, at: &At, reader: &mut Reader<'_>) -> Option<Self> {
        let section = match value {
            Value::Object(_) => PolicySection::read(value, at, reader)?,
            Value::String(_) => {
                let plugin = PluginRequest::read(value, at, reader)?;
                PolicySection { at: at.clone(), plugin: Some(plugin), ..PolicySection::default() }
            }
            other => {
                reader.wrong::<Self>(at, other);
                return None;
            }
        };
        Some(PolicyEntry(section))
    }
}

/// A model: a section, or its name alone where there is no more to say.
pub(super) struct ModelEntry(pub ListedModelSection);

impl Typed for ModelEntry {
    fn shape() -> String {
        "the name of a model or a mapping".to_owned()
    }

    fn fields() -> &'static [Field] {
        ListedModelSection::fields()
    }

    fn read(value: &Value, at: &At, reader: &mut Reader<'_>) -> Option<Self> {
        let section = match value {
            Value::Object(_) => ListedModelSection::read(value, at, reader)?,
            _ => ListedModelSection {
                at: at.clone(),
                name: Some(String::read(value, at, reader)?),
                ..ListedModelSection::default()
            },
        };
        Some(ModelEntry(section))
    }
}
