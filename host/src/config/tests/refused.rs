//! What is refused and what the user reads then.

use super::{BASE, env, provider, refusal};
use crate::config::{LoadError, load, parse};
use std::path::Path;

/// Each configuration has exactly these mistakes.
fn check(cases: &[(&str, &[&str])]) {
    for (yaml, expected) in cases {
        assert_eq!(refusal(yaml), *expected, "for {yaml}");
    }
}

#[test]
fn all_mistakes_are_told_at_once_in_the_order_of_the_file() {
    let yaml = "\
listen: nowhere
providers:
  openai:
    keyz: []
    keys:
      - value: env.NOT_SET
        weight: x
      - value: env.OPENAI_API_KEY
        weight: -1
log: {level: loud}
";
    let mistakes = parse(yaml, Path::new(BASE), &env).expect_err("six mistakes").to_string();
    let expected = "\
6 mistakes in the configuration
  listen (line 1): must be an IP address and a port such as 127.0.0.1:8080, or 0.0.0.0:8080 for all addresses of the \
machine, is the string \"nowhere\"
  providers.openai.keyz (line 4): unknown key `keyz`; did you mean `keys`?
  providers.openai.keys[0].value (line 6): the environment variable NOT_SET is not set
  providers.openai.keys[0].weight (line 7): must be a number such as 1.0, not below 0, is the string \"x\"
  providers.openai.keys[1].weight (line 9): must be a number such as 1.0, not below 0, is -1
  log.level (line 10): must be one of off, error, warn, info, debug, trace, is the string \"loud\"";
    assert_eq!(mistakes, expected);
}

#[test]
fn unknown_keys() {
    check(&[
        ("provider: {}", &["provider (line 1): unknown key `provider`; did you mean `providers`?"]),
        (
            "cluster: 3",
            &[
                "cluster (line 1): unknown key `cluster`; known here: listen, plugins, limits, log, policies, providers, models, routing, strict, callers, admin, store, encryption_key",
            ],
        ),
        ("Listen: 80", &["Listen (line 1): unknown key `Listen`; did you mean `listen`?"]),
        (
            "providers: {openai: {base_url: x}}",
            &["providers.openai.base_url (line 1): unknown key `base_url` here; it belongs inside `network_config`"],
        ),
        (
            "providers: {openai: {network_config: {beta_header_overrides: {}}}}",
            &[
                "providers.openai.network_config.beta_header_overrides (line 1): `beta_header_overrides` is not supported yet",
            ],
        ),
        (
            "providers: {openai: {openai_config: {}, pricing_overrides: {}}}",
            &[
                "providers.openai.openai_config (line 1): `openai_config` is not supported yet",
                "providers.openai.pricing_overrides (line 1): `pricing_overrides` is not supported yet",
            ],
        ),
    ]);
}

#[test]
fn routing_that_makes_no_sense() {
    check(&[
        (
            "routing: {strategy: fastest}",
            &[
                "routing.strategy (line 1): must be one of weighted, least-in-flight, lowest-latency, in-order, is the string \"fastest\"",
            ],
        ),
        (
            "models: {m: {targets: [{weight: 1}]}}",
            &["models.m.targets[0].address (line 1): is missing; it says where requests go, such as acme/large"],
        ),
        (
            "providers: {openai: {network_config: {retry_backoff_initial: 9000}}}",
            &[
                "providers.openai.network_config.retry_backoff_max (line 1): must not be below `retry_backoff_initial`, which is 500 unless it is set",
            ],
        ),
        (
            "providers: {a: {format: window}, b: {format: js}}",
            &[
                "providers.a.format (line 1): `window` is a model inside a browser, which no gateway can reach; call it from the page itself",
                "providers.b.format (line 1): `js` is code of your own: drop the file into the plugins folder and write its name as `plugin`",
            ],
        ),
        (
            "providers: {openai: {flavor: chat, custom_provider_config: {allowed_requests: {embedding: true}}}}",
            &[
                "providers.openai.flavor (line 1): is short for `custom_provider_config.allowed_requests`, which is there too; remove one of both",
            ],
        ),
        (
            "providers: {openai: {supports_streaming: maybe}}",
            &[
                "providers.openai.supports_streaming (line 1): must be true, false, or \"only\", is the string \"maybe\"",
            ],
        ),
    ]);
}

#[test]
fn a_space_that_is_missing_after_a_colon() {
    check(&[
        (
            "providers: {a: {keys: [{value:env.KEY}]}}",
            &["providers.a.keys[0].value (line 1): a space is missing after `value:`"],
        ),
        (
            "providers: {a: {network_config: {extra_headers: {x-key:abc}}}}",
            &["providers.a.network_config.extra_headers.\"x-key:…\" (line 1): is not a valid name of a header"],
        ),
    ]);
}

#[test]
fn wrong_types() {
    check(&[
        (
            "- openai",
            &[
                "the configuration: must be a mapping of listen, plugins, limits, log, policies, providers, models, routing, strict, callers, admin, store, encryption_key, is a list",
            ],
        ),
        ("providers: [openai]", &["providers (line 1): must be a mapping from names, is a list"]),
        ("log: {access: yes}", &["log.access (line 1): must be true or false, is the string \"yes\""]),
        (
            "plugins: {memory_limit_mb: 0}",
            &["plugins.memory_limit_mb (line 1): must be a whole number from 1 to 4096, is 0"],
        ),
        (
            "plugins: {debounce_ms: 1.5}",
            &["plugins.debounce_ms (line 1): must be a whole number from 0 to 60000, is 1.5"],
        ),
        ("plugins: {directory: ' '}", &["plugins.directory (line 1): must not be empty"]),
        (
            "limits: {shutdown_grace_seconds: 0}",
            &["limits.shutdown_grace_seconds (line 1): must be a number of seconds above 0 and up to 86400, \
                 such as 30 or 0.5, is 0"],
        ),
        (
            "providers: {a: {models: [4.1]}}",
            &["providers.a.models[0] (line 1): must be a string; put quotes around 4.1"],
        ),
        ("providers: {a: {models: gpt-4o}}", &["providers.a.models (line 1): must be a list, is a string"]),
        ("providers: {a: {settings: 5}}", &["providers.a.settings (line 1): must be a mapping, is a number"]),
        (
            "providers: {a: {isolation: none}}",
            &["providers.a.isolation (line 1): must be one of shared, per-request, is the string \"none\""],
        ),
        ("policies: [7]", &["policies[0] (line 1): must be the name of a plugin or a mapping, is a number"]),
        (
            "policies: [{settings: {}}]",
            &["policies[0].plugin (line 1): is missing; it names the policy's plugin, such as deny@^1"],
        ),
    ]);
}

#[test]
fn text_that_is_no_yaml_is_told_by_line_and_column() {
    check(&[
        (
            "listen: 80\n log: {}",
            &["the configuration (line 2): not valid YAML at column 5: mapping values are not allowed in this context"],
        ),
        (
            "providers:\n\techo: {}",
            &["the configuration (line 2): not valid YAML at column 2: tabs disallowed within this context \
                 (block indentation)"],
        ),
        (
            "listen: 80\n---\nlisten: 81",
            &["the configuration (line 3): not valid YAML at column 1: only single YAML document expected but \
                 multiple found"],
        ),
    ]);
    let deep = "[".repeat(65) + &"]".repeat(65);
    assert!(refusal(&deep)[0].contains("too complex"));
}

#[test]
fn a_key_that_stands_twice_is_refused_and_the_rest_is_checked_all_the_same() {
    check(&[(
        "providers:\n  a: {}\n  a: {}\nlisten: x.y",
        &[
            "providers.a (line 3): this key stands here twice",
            "listen (line 4): must be an IP address and a port such as 127.0.0.1:8080, or 0.0.0.0:8080 for all \
             addresses \
             of the machine, is the string \"x.y\"",
        ],
    )]);
}

#[test]
fn plugins() {
    let long = format!("{{providers: {{a: {{plugin: {}}}}}}}", "p".repeat(65));
    assert!(refusal(&long)[0].contains("must name a plugin"));
    check(&[
        (
            "providers: {a: {plugin: openai@1.x.y}}",
            &["providers.a.plugin (line 1): needs a range of versions after `@`, such as `^1.2`, `=1.2.3` or \
                 `>=1, <3`: unexpected character after wildcard in version req"],
        ),
        (
            "providers: {a: {plugin: 'openai@'}}",
            &["providers.a.plugin (line 1): needs a range of versions after `@`, such as `^1.2`"],
        ),
        (
            "providers: {a: {plugin: ../openai}}",
            &["providers.a.plugin (line 1): must name a plugin, such as echo or echo@^1.2, with letters, \
                 digits, `-`, `_` and `.`"],
        ),
        (
            "providers: {a: {plugin: openai, custom_provider_config: {base_provider_type: cohere}}}",
            &["providers.a.plugin (line 1): names another plugin than \
                 `custom_provider_config.base_provider_type`; remove one of both"],
        ),
        (
            "providers: {meta/llama: {}}",
            &["providers.\"meta/llama\".plugin (line 1): is missing, and the provider's name is not one that \
                 a plugin can have"],
        ),
    ]);
}

#[test]
fn names_of_providers() {
    let long = format!("providers: {{{}: {{plugin: openai}}}}", "p".repeat(129));
    assert!(refusal(&long)[0].ends_with("the name of a provider must not be longer than 128 characters"));
    check(&[
        ("providers: {'': {plugin: a}}", &["providers.\"\" (line 1): the name of a provider must not be empty"]),
        (
            "providers: {\"a\\nb\": {plugin: a}}",
            &["providers.\"a\\nb\" (line 1): the name of a provider must not contain control characters"],
        ),
    ]);
}

#[test]
fn operations() {
    check(&[
        (
            "providers: {a: {custom_provider_config: {allowed_requests: {chat_completions: true, \
             embedding_stream: true}}}}",
            &[
                "providers.a.custom_provider_config.allowed_requests.chat_completions (line 1): unknown operation \
                 `chat_completions`; did you mean `chat_completion`?",
                "providers.a.custom_provider_config.allowed_requests.embedding_stream (line 1): `embedding` is never \
                 streamed, so there is no `embedding_stream`",
            ],
        ),
        (
            "providers: {a: {custom_provider_config: {allowed_requests: }}}",
            &["providers.a.custom_provider_config.allowed_requests (line 1): is empty; write {} for no \
                 operation, or leave the key out"],
        ),
        (
            "providers: {a: {custom_provider_config: {allowed_requests: {speech: 1}}}}",
            &["providers.a.custom_provider_config.allowed_requests.speech (line 1): must be true or false, is 1"],
        ),
    ]);
}

#[test]
fn addresses() {
    let cases = [
        ("api.example.com", "must begin with http:// or https://"),
        ("ftp://api.example.com", "must begin with http:// or https://"),
        ("''", "must not be empty"),
        ("https://", "is not a valid URL"),
        ("https://:8080", "must name a host"),
        ("https://host:99999", "has a port that is no number from 1 to 65535"),
        ("https://host:0", "has a port that is no number from 1 to 65535"),
        ("https://host/v1?key=1", "must not have a query, as paths are joined to it"),
        ("'https://host/v1#part'", "must not have a fragment (the part after #)"),
        ("https://me:geheim@host", "must not contain a user name or password; put the credential under `keys`"),
        ("https://geheim@host", "must not contain a user name or password; put the credential under `keys`"),
    ];
    for (url, message) in cases {
        let yaml = format!("providers: {{a: {{network_config: {{base_url: {url}}}}}}}");
        assert_eq!(refusal(&yaml), [format!("providers.a.network_config.base_url (line 1): {message}")]);
    }
}

/// What a name stands for is seen when it is resolved, so that only what can be seen here is refused here.
#[test]
fn private_addresses() {
    let over = |url: &str| format!("custom_provider_config: {{request_path_overrides: {{responses: '{url}/x'}}}}");
    let base = |url: &str, more: &str| format!("network_config: {{base_url: '{url}'{more}}}");
    let at_base = "providers.a.network_config.base_url (line 1)";
    let at_override = "providers.a.custom_provider_config.request_path_overrides.responses (line 1)";
    let in_block = |block: &str| format!("providers: {{a: {{{block}}}}}");
    let only = "which is called only with `network_config: {allow_private_network: true}`";
    for (host, what) in [
        ("localhost", "localhost is this machine (RFC 6761)"),
        ("127.0.0.1", "127.0.0.1 is this machine (RFC 1122)"),
        ("[::1]", "::1 is this machine (RFC 4291)"),
        ("192.168.1.7", "192.168.1.7 is in a private network (RFC 1918)"),
        ("[::ffff:10.0.0.1]", "::ffff:10.0.0.1 is in a private network (RFC 1918)"),
    ] {
        let url = format!("http://{host}:8080");
        assert_eq!(refusal(&in_block(&base(&url, ""))), [format!("{at_base}: {what}, {only}")]);
        assert_eq!(refusal(&in_block(&over(&url))), [format!("{at_override}: {what}, {only}")]);
        provider(&in_block(&base(&url, ", allow_private_network: true")));
    }
    let never = in_block(&base("http://169.254.169.254", ", allow_private_network: true"));
    let what = "169.254.169.254 is link-local, where clouds give out credentials (RFC 3927), which is never called";
    assert_eq!(refusal(&never), [format!("{at_base}: {what}")]);
}

#[test]
fn path_overrides() {
    let cases = [
        ("v1/chat", "must begin with `/`, or with http:// or https://"),
        ("//host/chat", "must begin with a single `/`"),
        ("'/v1/chat#x'", "must not have a fragment (the part after #)"),
        ("/v1/chat completions", "is not a valid path; spaces and special characters are written as %20 and so on"),
        ("ws://host/chat", "must begin with http:// or https://"),
        ("https://me@host/chat", "must not contain a user name or password; put the credential under `keys`"),
    ];
    for (target, message) in cases {
        let yaml = format!(
            "providers: {{a: {{custom_provider_config: {{request_path_overrides: {{responses: {target}}}}}}}}}"
        );
        let path = "providers.a.custom_provider_config.request_path_overrides.responses (line 1)";
        assert_eq!(refusal(&yaml), [format!("{path}: {message}")]);
    }
}

#[test]
fn headers() {
    for name in ["Host", "content-length", "Connection", "TE", "Proxy-Authorization", "transfer-encoding", "Expect"] {
        let expected = format!("{name} (line 1): is a header that the gateway itself controls");
        for section in ["headers: {NAME: x}", "network_config: {extra_headers: {NAME: x}}"] {
            let yaml = format!("providers: {{a: {{{}}}}}", section.replace("NAME", name));
            assert!(refusal(&yaml)[0].ends_with(&expected), "{:?}", refusal(&yaml));
        }
    }
    check(&[
        (
            "providers: {a: {headers: {\"a b\": x, X-B: \"1\\r\\nX-C: 2\", X-D: [1]}}}",
            &[
                "providers.a.headers.X-B (line 1): must not contain line breaks or other control characters",
                "providers.a.headers.X-D (line 1): must be a string such as \"Bearer {{api_key}}\", is a list",
                "providers.a.headers.\"a b\" (line 1): is not a valid name of a header",
            ],
        ),
        (
            "providers: {a: {headers: {X-A: x, x-a: y}}}",
            &["providers.a.headers.x-a (line 1): is there twice, as names of headers are compared without \
                 regard to case"],
        ),
        (
            "providers: {a: {headers: {X-A: x}, network_config: {extra_headers: {x-a: y}}}}",
            &["providers.a.headers (line 1): `x-a` is in `network_config.extra_headers` too; remove one of both"],
        ),
        (
            "providers: {a: {header_templates: mustache}}",
            &["providers.a.headers (line 1): is missing; `header_templates` has nothing to fill in without it"],
        ),
    ]);
}

#[test]
fn keys() {
    check(&[
        (
            "providers: {a: {keys: [{name: k}]}}",
            &["providers.a.keys[0].value (line 1): is missing; write env.NAME for the value of an environment \
                 variable"],
        ),
        (
            "providers: {a: {keys: [{value: env.EMPTY}, {value: env.TWO_LINES}, {value: env.}]}}",
            &[
                "providers.a.keys[0].value (line 1): the environment variable EMPTY is empty",
                "providers.a.keys[1].value (line 1): the environment variable TWO_LINES has a line break or \
                 another character in it that no header can carry",
                "providers.a.keys[2].value (line 1): must name an environment variable after `env.`",
            ],
        ),
        (
            "providers: {a: {keys: [{value: '${OPENAI_API_KEY}'}]}}",
            &["providers.a.keys[0].value (line 1): is not expanded as a shell would; write env.OPENAI_API_KEY"],
        ),
        (
            "providers: {a: {keys: [{name: k, value: x}, {name: k, value: x}]}}",
            &["providers.a.keys[1].name (line 1): another key of this provider is named `k` too"],
        ),
        (
            "providers: {a: {keys: [{value: x, weight: .inf}, {value: x, weight: .nan}, {value: x, weight: 1e300}]}}",
            &[
                "providers.a.keys[0].weight (line 1): must be a number such as 1.0, not below 0, is the string \
                 \".inf\"",
                "providers.a.keys[1].weight (line 1): must be a number such as 1.0, not below 0, is the string \
                 \".nan\"",
                "providers.a.keys[2].weight (line 1): must be a number such as 1.0, not below 0, is 1e+300",
            ],
        ),
        (
            "providers: {a: {keys: [{value: x, blacklisted_models: ['*']}]}}",
            &["providers.a.keys[0].blacklisted_models (line 1): must name models; a key that serves none can \
                 be removed"],
        ),
        (
            "providers: {a: {custom_provider_config: {is_key_less: true}, keys: [{value: x}]}}",
            &["providers.a.keys (line 1): a provider with `is_key_less: true` has no keys; remove one of both"],
        ),
        (
            "providers: {a: {custom_provider_config: {is_key_less: false}}}",
            &["providers.a.keys (line 1): at least one key is needed, as `is_key_less` is false"],
        ),
    ]);
}

#[test]
fn tls() {
    let network = |more: &str, pem: &str| {
        let pem = serde_json::Value::from(pem);
        format!("providers: {{a: {{network_config: {{{more}ca_cert_pem: {pem}}}}}}}")
    };
    let good = include_str!("ca.pem");
    let both = network("insecure_skip_verify: true, ", good);
    let exclude = "providers.a.network_config.insecure_skip_verify (line 1): `insecure_skip_verify` and `ca_cert_pem` \
                   exclude each other; remove one of both";
    assert_eq!(refusal(&both), [exclude]);
    let place = "providers.a.network_config.ca_cert_pem (line 1)";
    check(&[
        (
            "providers: {a: {network_config: {ca_cert_pem: /etc/ca.pem}}}",
            &[&format!(
                "{place}: must be a certificate in PEM, beginning with -----BEGIN CERTIFICATE-----, or file.PATH or env.NAME, is a string"
            )],
        ),
        (
            "providers: {a: {network_config: {ca_cert_pem: '-----BEGIN PRIVATE KEY-----'}}}",
            &[&format!("{place}: has a private key in it; only certificates belong here")],
        ),
        (
            &network("", &good.replace('\n', " ")),
            &[&format!(
                "{place}: certificate 1 in it cannot be read; copy it as a whole, with its line breaks \
                 (`ca_cert_pem: |`)"
            )],
        ),
    ]);
    for damaged in [good.replacen("MII", "!!!", 1), good.replacen("MIIB", "MIIC", 1)] {
        let told = refusal(&network("", &[good, &damaged].concat()));
        let beginning = format!("{place}: certificate 2 in it cannot be read; ");
        assert!(matches!(&told[..], [told] if told.starts_with(&beginning)), "{told:?}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let error = load(Path::new("/nowhere/plugway.yaml")).expect_err("no such file");
    assert!(matches!(error, LoadError::Unreadable { .. }));
    assert!(error.to_string().starts_with("cannot read /nowhere/plugway.yaml: "), "{error}");
}

#[test]
fn models() {
    let at = |typed: &str| format!("providers: {{a: {{models: [{typed}]}}}}");
    let price = "must be a number of US dollars such as 2.5, not below 0, is";
    let input = "providers.a.models[0].input_cost_per_mil_tokens (line 1):";
    check(&[
        (&at("{name: m, input_cost_per_mil_tokens: -1}"), &[&format!("{input} {price} -1")]),
        (&at("{name: m, input_cost_per_mil_tokens: .nan}"), &[&format!("{input} {price} the string \".nan\"")]),
        (
            &at("{multimodal: true}"),
            &["providers.a.models[0].name (line 1): is missing; it is what the service calls the model"],
        ),
        (&at("m, {name: m, max_input_tokens: 1}"), &["providers.a.models[1] (line 1): `m` stands in the list twice"]),
        (
            &at("{name: m, deprecation_date: soon}"),
            &[
                "providers.a.models[0].deprecation_date (line 1): must be a day such as 2027-01-31, is the string \"soon\"",
            ],
        ),
    ]);
}
