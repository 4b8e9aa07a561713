//! What is accepted and what it means.

use super::{config, provider, read};
use crate::address::Reach;
use crate::config::{
    Admin, AllowedRequests, Isolation, Line, LogFormat, Model, Network, PathOverride, PluginRequest, Prices, Proxy,
    RequestKind, Store, Timeouts, Tls, default_without_file,
};
use crate::operation::Operation;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tracing::level_filters::LevelFilter;

fn once(operation: Operation) -> RequestKind {
    RequestKind { operation, streaming: false }
}

fn streamed(operation: Operation) -> RequestKind {
    RequestKind { operation, streaming: true }
}

fn request(text: &str) -> PluginRequest {
    text.parse().expect("a plugin's name")
}

#[test]
fn an_empty_file_means_the_defaults() {
    let config = config("");
    assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.plugins.directory, Path::new("/etc/plugway/plugins"));
    assert_eq!(config.plugins.cache_directory, Path::new("/home/user/.cache/plugway"));
    assert_eq!(config.plugins.debounce, Duration::from_millis(200));
    assert_eq!(config.plugins.call_timeout, Duration::from_secs(1));
    assert_eq!(config.plugins.memory_limit_bytes, 256 << 20);
    assert_eq!(config.limits.body_bytes, 32 << 20);
    assert_eq!(config.limits.event_bytes, 4 << 20);
    assert_eq!(config.limits.connections, 10_000);
    assert_eq!(config.limits.caller_timeout, Duration::from_secs(30));
    assert_eq!(config.limits.shutdown_grace, Duration::from_secs(30));
    assert_eq!(config.log.level, LevelFilter::INFO);
    assert_eq!(config.log.format, LogFormat::Text);
    assert!(config.log.access);
    assert!(config.providers.is_empty() && config.policies.is_empty());
    assert_eq!(config.admin, Admin { listen: None, key: None });
    assert_eq!(config.store, Store { path: PathBuf::from("/etc/plugway/plugway.db"), encryption_key: None });
}

#[test]
fn who_callers_are_is_said_in_headers() {
    let callers = config("callers: {email_header: X-Forwarded-Email, project_header: x-team}").callers;
    assert_eq!(callers.header("email").map(|name| name.as_str()), Some("x-forwarded-email"));
    assert_eq!(callers.header("project").map(|name| name.as_str()), Some("x-team"));
    assert_eq!(callers.header("user"), None);
    assert!(callers.are_known_by(&"x-team".parse().expect("a name")));
}

#[test]
fn the_admin_api_and_its_store() {
    let config = config(
        "admin: {listen: 8081, key: env.OPENAI_API_KEY}\nstore: {path: ../kept.db}\nencryption_key: 'wörter genug für alle'",
    );
    assert_eq!(config.admin.listen.map(|address| address.to_string()).as_deref(), Some("127.0.0.1:8081"));
    assert!(config.admin.key.is_some_and(|key| key.expose() == "sk-from-the-environment"));
    assert_eq!(config.store.path, Path::new("/etc/plugway/../kept.db"));
    assert!(config.store.encryption_key.is_some_and(|words| words.expose() == "wörter genug für alle"));
    let warnings = read("providers: {echo: {}}\nadmin: {key: x}\nencryption_key: short").warnings;
    assert_eq!(
        warnings,
        [
            "encryption_key: the words stand in the file; env.NAME would keep them out",
            "encryption_key: fewer than 16 characters can be guessed",
            "admin.key: the key stands in the file; env.NAME would keep it out",
        ]
    );
}

#[test]
fn keys_with_nothing_behind_them_mean_the_defaults_too() {
    let config = config("listen:\nplugins:\nlimits:\nlog:\npolicies:\nproviders:\n  echo:\n");
    assert_eq!(config.providers["echo"].plugin, request("echo"));
}

#[test]
fn a_file_without_providers_is_warned_about() {
    assert_eq!(read("").warnings, ["providers: there is no provider, so that every request will be refused"]);
}

#[test]
fn addresses_to_listen_on() {
    let cases = [
        ("8080", "127.0.0.1:8080"),
        ("':8080'", "127.0.0.1:8080"),
        ("localhost:80", "127.0.0.1:80"),
        ("0.0.0.0:8080", "0.0.0.0:8080"),
        ("'[::1]:8080'", "[::1]:8080"),
        ("127.0.0.1:0", "127.0.0.1:0"),
    ];
    for (typed, meant) in cases {
        assert_eq!(config(&format!("listen: {typed}")).listen.to_string(), meant);
    }
}

#[test]
fn folders_are_relative_to_the_file() {
    let relative = config("plugins: {directory: ../mine, cache_directory: /var/cache/mine}").plugins;
    assert_eq!(relative.directory, Path::new("/etc/plugway/../mine"));
    assert_eq!(relative.cache_directory, Path::new("/var/cache/mine"));
}

#[test]
fn the_cache_goes_where_the_system_keeps_caches() {
    let cache = |set: &[(&str, &str)]| {
        let env = |name: &str| set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let loaded = crate::config::parse("", Path::new("/base"), &env).expect("a good configuration");
        loaded.config.plugins.cache_directory
    };
    assert_eq!(cache(&[("XDG_CACHE_HOME", "/cache"), ("HOME", "/home/user")]), Path::new("/cache/plugway"));
    assert_eq!(
        cache(&[("XDG_CACHE_HOME", "relative"), ("HOME", "/home/user")]),
        Path::new("/home/user/.cache/plugway")
    );
    assert_eq!(cache(&[]), Path::new("/base/plugins/.cache"));
}

#[test]
fn without_a_file_echo_answers() {
    let config = default_without_file(&[PathBuf::from("/nowhere"), std::env::temp_dir()]);
    assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.plugins.directory, std::env::temp_dir());
    let echo = &config.providers["echo"];
    assert_eq!(
        (echo.plugin.clone(), echo.models.clone()),
        (request("echo"), vec![Model { name: "echo".to_owned(), ..Model::default() }])
    );
    assert!(echo.keys.is_empty());
}

#[test]
fn which_plugin_serves_a_provider() {
    let cases = [
        ("openai: {}", "openai"),
        ("mine: {plugin: openai}", "openai"),
        ("mine: {plugin: 'openai@^1.2'}", "openai@^1.2"),
        ("mine: {plugin: 'openai@1.2'}", "openai@^1.2"),
        ("mine: {plugin: 'openai@>=1, <3'}", "openai@>=1, <3"),
        ("mine: {custom_provider_config: {base_provider_type: openai}}", "openai"),
        ("mine: {plugin: openai, custom_provider_config: {base_provider_type: openai}}", "openai"),
        ("mine: {plugin: 'openai@^1', custom_provider_config: {base_provider_type: openai}}", "openai@^1"),
        ("'meta llama/3': {plugin: openai}", "openai"),
    ];
    for (typed, meant) in cases {
        assert_eq!(provider(&format!("providers: {{{typed}}}")).plugin, request(meant), "for {typed}");
    }
    assert!(request("openai").versions.matches(&semver::Version::new(7, 0, 0)));
}

#[test]
fn policies_are_asked_in_the_order_of_the_file() {
    let policies = config("policies: [deny@^1, {plugin: redact, settings: {a: 1}, isolation: per-request}]").policies;
    assert_eq!(policies[0].plugin, request("deny@^1"));
    assert_eq!((policies[0].settings.len(), policies[0].isolation), (0, Isolation::Shared));
    assert_eq!(policies[1].plugin, request("redact"));
    assert_eq!((policies[1].settings["a"].as_u64(), policies[1].isolation), (Some(1), Isolation::PerRequest));
}

#[test]
fn which_models_a_key_serves() {
    let serves = |typed: &str, model: &str| {
        provider(&format!("providers: {{a: {{keys: [{{value: x, {typed}}}]}}}}")).keys[0].serves(model)
    };
    for all in ["", "models: []", "models: ['*']", "models: [gpt, '*']", "models: "] {
        assert!(serves(all, "anything"), "for {all}");
    }
    assert!(serves("models: [gpt]", "gpt"));
    assert!(!serves("models: [gpt]", "claude"));
    assert!(!serves("models: [gpt], blacklisted_models: [gpt]", "gpt"));
    assert!(!serves("blacklisted_models: [gpt]", "gpt"));
}

#[test]
fn a_key_serves_an_alias_of_what_it_serves() {
    let serves = |typed: &str| {
        provider(&format!("providers: {{a: {{keys: [{{value: x, aliases: {{nick: real}}, {typed}}}]}}}}")).keys[0]
            .serves("nick")
    };
    for typed in ["", "models: [real]", "models: [nick]", "blacklisted_models: [other]"] {
        assert!(serves(typed), "for {typed}");
    }
    for typed in ["models: [other]", "blacklisted_models: [real]", "models: [nick], blacklisted_models: [nick]"] {
        assert!(!serves(typed), "for {typed}");
    }
}

#[test]
fn keys_have_names_weights_and_aliases() {
    let keys =
        &provider("providers: {a: {keys: [{value: x}, {name: b, value: y, weight: 2, aliases: {fast: gpt}}]}}").keys;
    assert_eq!((keys[0].name.as_str(), keys[0].weight), ("key-1", 1.0));
    assert_eq!((keys[1].name.as_str(), keys[1].weight), ("b", 2.0));
    assert_eq!(keys[1].aliases["fast"], "gpt");
}

#[test]
fn a_weight_of_nothing_is_warned_about() {
    let warnings = read("providers: {a: {keys: [{value: env.OPENAI_API_KEY, weight: 0}]}}").warnings;
    let expected = [
        "providers.a.keys[0].weight: a key with weight 0 is not chosen while another one serves the model",
        "providers.a.keys: every key has weight 0",
    ];
    assert_eq!(warnings, expected);
}

#[test]
fn allowed_requests() {
    let allowed =
        |typed: &str| provider(&format!("providers: {{a: {{custom_provider_config: {{{typed}}}}}}}")).allowed.clone();
    assert_eq!(allowed(""), AllowedRequests::All);
    assert_eq!(allowed("allowed_requests: {}"), AllowedRequests::Only([].into()));

    let some = allowed("allowed_requests: {chat_completion: true, embedding: true, speech: false}");
    assert_eq!(some, AllowedRequests::Only([once(Operation::ChatCompletion), once(Operation::Embedding)].into()));
    assert!(!some.allows(streamed(Operation::ChatCompletion)), "streaming is an operation of its own");
    assert!(allowed("allowed_requests: {chat_completion_stream: true}").allows(streamed(Operation::ChatCompletion)));
}

#[test]
fn path_overrides_are_paths_or_urls() {
    let provider = provider(
        "providers: {a: {custom_provider_config: {request_path_overrides: {
            chat_completion: '/api/v2/chat?version=3', chat_completion_stream: 'http://other:8080/chat'}}}}",
    );
    let path = PathOverride::Path("/api/v2/chat?version=3".to_owned());
    let url = PathOverride::Url("http://other:8080/chat".parse().expect("a URL"));
    assert_eq!(provider.path_overrides[&once(Operation::ChatCompletion)], path);
    assert_eq!(provider.path_overrides[&streamed(Operation::ChatCompletion)], url);
}

#[test]
fn network() {
    let default = &provider("providers: {a: {}}").network;
    assert!(default.base_url.is_none() && default.extra_headers.is_empty());
    assert_eq!(default.line.tls, Tls::Public);
    assert_eq!((&default.line.proxy, default.line.reach), (&Proxy::None, Reach::Public));
    let seconds = |request, first_token, stream_idle| Timeouts {
        request: Duration::from_secs_f64(request),
        first_token: Duration::from_secs_f64(first_token),
        stream_idle: Duration::from_secs_f64(stream_idle),
    };
    let connections = |network: &Network| {
        let Line { connect_timeout, keep_alive, max_connections, .. } = &*network.line;
        (connect_timeout.as_secs(), keep_alive.as_secs(), max_connections.map(usize::from))
    };
    assert_eq!(default.timeouts, seconds(30.0, 30.0, 60.0));
    assert_eq!(connections(default), (10, 50, None));

    let set = &provider(
        "providers: {a: {network_config: {base_url: 'http://[::1]:8080/v1', extra_headers: {X-Key: env.OPENAI_API_KEY},
            default_request_timeout_in_seconds: 0.5, first_token_timeout_in_seconds: 7,
            stream_idle_timeout_in_seconds: 600, connect_timeout_in_seconds: 3, keep_alive_timeout_in_seconds: 20,
            max_conns_per_host: 100, allow_private_network: true}}}",
    )
    .network;
    assert_eq!(set.base_url.as_ref().map(ToString::to_string), Some("http://[::1]:8080/v1".to_owned()));
    assert_eq!(set.timeouts, seconds(0.5, 7.0, 600.0));
    assert_eq!(connections(set), (3, 20, Some(100)));
    assert_eq!(set.line.reach, Reach::Private);
    let hasty = &provider("providers: {a: {network_config: {default_request_timeout_in_seconds: 3}}}").network;
    assert_eq!(hasty.timeouts, seconds(3.0, 3.0, 60.0), "the first token has as long as the rest of an answer");
    assert_eq!(set.extra_headers[0].0, "x-key");
    assert_eq!(set.extra_headers[0].1, "sk-from-the-environment");
}

#[test]
fn skipping_the_verification_of_certificates_is_warned_about() {
    let loaded = read("providers: {a: {network_config: {insecure_skip_verify: true}}}");
    assert_eq!(loaded.config.providers["a"].network.line.tls, Tls::Unverified);
    let expected = "providers.a.network_config.insecure_skip_verify: anyone on the way to this provider can read and \
                    change what is sent, the keys too";
    assert_eq!(loaded.warnings, [expected]);
}

#[test]
fn what_providers_share_can_be_written_once() {
    let yaml = "
providers:
  openai: &shared
    keys: [{value: env.OPENAI_API_KEY}]
    models: [gpt]
  other:
    <<: *shared
    plugin: openai
    models: [other]
";
    let providers = config(yaml).providers;
    assert_eq!(providers["other"].keys[0].secret.expose(), "sk-from-the-environment");
    assert!(providers["other"].model_names().eq(["other"]));
}

#[test]
fn header_templates() {
    let headers = |typed: &str| provider(&format!("providers: {{a: {{{typed}}}}}")).headers.clone();
    assert_eq!(headers("headers: {}"), None);
    let rendered = headers("headers: {Authorization: 'Bearer {{api_key}}'}").expect("templates");
    assert_eq!(rendered.plugin, request("mustache"));
    assert_eq!(rendered.templates, [("authorization".parse().expect("a name"), "Bearer {{api_key}}".to_owned())]);
    let other = headers("headers: {X-A: b}, header_templates: 'jinja@^2'").expect("templates");
    assert_eq!(other.plugin, request("jinja@^2"));
}

#[test]
fn the_rest_of_a_provider() {
    let provider = provider(
        "providers: {a: {preset: groq, settings: {deep: [1, {b: null}]}, isolation: per-request, models: [x, y, x],
            custom_provider_config: {is_key_less: true}}}",
    );
    assert_eq!(provider.name, "a");
    assert_eq!(provider.preset.as_deref(), Some("groq"));
    assert_eq!(serde_json::Value::from(provider.settings.clone()), serde_json::json!({"deep": [1, {"b": null}]}));
    assert_eq!(provider.isolation, Isolation::PerRequest);
    assert!(provider.model_names().eq(["x", "y"]));
    assert_eq!(provider.key_less, Some(true));
}

#[test]
fn models_and_what_is_known_of_them() {
    let provider = provider(
        "providers: {a: {model: pinned, custom_provider_config: {is_key_less: true}, models: [plain,
            {name: priced, display_name: Priced, multimodal: true, input_cost_per_mil_tokens: 3,
             output_cost_per_mil_tokens: 15.0, input_cache_read_cost_per_mil_tokens: 0.3,
             input_cache_write_cost_per_mil_tokens: 3.75, input_cache_write_1h_cost_per_mil_tokens: 6,
             max_input_tokens: 200000, max_output_tokens: 64000, fallback_models: [b/other],
             deprecation_date: 2027-01-31}]}}",
    );
    assert_eq!(provider.model.as_deref(), Some("pinned"));
    assert!(provider.model_names().eq(["plain", "priced", "pinned"]));
    assert_eq!(provider.prices("plain"), None);
    let prices = provider.prices("priced").expect("it has prices");
    let expected = Prices {
        input: 3.0,
        output: 15.0,
        cache_read: 0.3,
        cache_write: 3.75,
        cache_write_5m: 3.75,
        cache_write_1h: 6.0,
    };
    assert_eq!(*prices, expected);
    let model = &provider.models[1];
    assert_eq!((model.max_input_tokens, model.max_output_tokens), (Some(200_000), Some(64_000)));
    assert_eq!(model.fallback_models, ["b/other"]);
    assert_eq!(model.deprecation_date.as_deref(), Some("2027-01-31"));
}
