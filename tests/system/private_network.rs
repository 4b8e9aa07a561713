//! What is not on the public internet is called only for a provider that says `allow_private_network: true`, and some
//! addresses never, however the address is written, whoever chose it, and whatever a connection was opened for before.
//!
//! The upstreams here are on this machine. `127.1` and the like are names to every parser, and 127.0.0.1 to the resolver.

use crate::dialects::Dialect;
use crate::gateway::{Answer, Gateway, Setup, openai, provider, run};
use crate::guests::Component;
use crate::upstream::{Reply, Upstream};
use serde_json::{Value, json};

/// Whatever the resolver makes 127.0.0.1 of.
const ODD_NOTATIONS: [&str; 6] = ["127.1", "2130706433", "0x7f.1", "0177.0.0.1", "0x7f000001", "127.0.1"];

async fn upstream() -> Upstream {
    let upstream = Upstream::start().await;
    upstream.otherwise(|_| Reply::json(200, &Dialect::OpenAi.whole("hi")));
    upstream
}

/// The upstream's address with its host written in another way.
fn spelled(upstream: &Upstream, host: &str) -> String {
    upstream.url().replace("127.0.0.1", host)
}

fn without_permission(mut block: Value) -> Value {
    block["network_config"].as_object_mut().expect("a mapping").remove("allow_private_network");
    block
}

#[track_caller]
fn assert_forbidden(answer: &Answer) {
    let error = answer.openai_error(502);
    assert_eq!(error["code"], "upstream_forbidden_address", "{error}");
    assert!(!error["message"].as_str().expect("a message").contains("127"), "the caller need not know: {error}");
}

#[tokio::test]
async fn names_are_checked_by_what_they_resolve_to() {
    let upstream = upstream().await;
    let mut setup = Setup::new();
    for (number, host) in ODD_NOTATIONS.iter().enumerate() {
        let block = openai(&spelled(&upstream, host));
        setup = setup
            .provider(&format!("open-{number}"), block.clone())
            .provider(&format!("shut-{number}"), without_permission(block));
    }
    let gateway = setup.start().await;
    for number in 0..ODD_NOTATIONS.len() {
        assert_forbidden(&gateway.chat(&format!("shut-{number}/m"), "hello").await);
    }
    assert_eq!(upstream.connections(), 0);
    gateway.wait_for_log(&["127.0.0.1 is this machine (RFC 1122)", "allow_private_network: true"]).await;
    // It was the check that refused them.
    for (number, host) in ODD_NOTATIONS.iter().enumerate() {
        assert_eq!(gateway.chat(&format!("open-{number}/m"), "hello").await.content(), "hi", "{host}");
    }
}

/// What gives out a machine's credentials, what is no host's address, and what is everybody's.
#[tokio::test]
async fn some_addresses_are_never_called() {
    let mut setup = Setup::new();
    let never = ["0251.0376.0251.0376", "0xa9fea9fe", "0", "0xffffffff", "0xe0000001", "0xa83f8110"];
    for host in never {
        setup = setup.provider(host, openai(&format!("http://{host}:9")));
    }
    let gateway = setup.start().await;
    for host in never {
        assert_forbidden(&gateway.chat(&format!("{host}/m"), "hello").await);
    }
    gateway.wait_for_log(&["169.254.169.254 is link-local", "which is never called"]).await;
}

/// Neither by path, nor by what it asks before it sends, nor by an address of its own does a plugin reach this machine.
#[tokio::test]
async fn it_is_the_same_whoever_chose_the_address() {
    let upstream = upstream().await;
    let odd = spelled(&upstream, "127.1");
    let acme = |settings: Value| {
        let mut block = without_permission(provider("acme", &odd));
        block["settings"] = settings;
        block
    };
    let mut by_plugin = acme(json!({"behave": "send", "credential": "api_key"}));
    by_plugin.as_object_mut().expect("a mapping").remove("network_config");
    let mut by_override = without_permission(openai("https://api.example.com"));
    by_override["custom_provider_config"] =
        json!({"request_path_overrides": {"chat_completion": format!("{odd}/v1/chat/completions")}});
    let stamp = json!({"name": "provider-acme", "version": "1.0.0", "base_url": odd});
    let gateway = Setup::new()
        .plugin("acme.wasm", Component::acme("1.0.0").stamped(&stamp))
        .provider("by-plugin", by_plugin)
        .provider("by-override", by_override)
        .provider("fetch", acme(json!({"behave": "fetch", "credential": "api_key"})))
        .provider("acquire", acme(json!({"behave": "acquire", "path": "/token", "secret_at": "/access_token"})))
        .start()
        .await;
    for provider in ["by-plugin", "by-override", "fetch", "acquire"] {
        assert_forbidden(&gateway.chat(&format!("{provider}/m"), "hello").await);
    }
    assert_eq!(upstream.connections(), 0);
}

/// A connection that one provider may have is not lent to another that may not.
#[tokio::test]
async fn connections_are_not_shared_over_the_permission() {
    let upstream = upstream().await;
    let open = openai(&spelled(&upstream, "127.1"));
    let gateway = Gateway::with(&[("open", open.clone()), ("shut", without_permission(open))]).await;
    for _ in 0..8 {
        assert_eq!(gateway.chat("open/m", "hello").await.status, 200);
        assert_forbidden(&gateway.chat("shut/m", "hello").await);
    }
    assert_eq!(upstream.requests().len(), 8);
}

#[tokio::test]
async fn another_provider_may_rescue_it() {
    let upstream = upstream().await;
    let mut shut = without_permission(openai(&spelled(&upstream, "127.1")));
    shut["fallbacks"] = json!(["b-good"]);
    let gateway = Gateway::with(&[("a-shut", shut), ("b-good", openai(&upstream.url()))]).await;
    assert_eq!(gateway.chat("a-shut/m", "hello").await.content(), "hi");
    gateway.wait_for_log(&["attempt failed", "a-shut", "127.0.0.1 is this machine"]).await;
}

/// What can be seen without resolving anything is a mistake of the configuration, which says what to add.
#[tokio::test]
async fn addresses_that_stand_in_the_configuration_are_refused_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("plugway.yaml");
    let check = async |providers: Value| {
        std::fs::write(&file, json!({"providers": providers}).to_string()).expect("a configuration");
        run(&["check", "--config", file.to_str().expect("UTF-8")]).await
    };
    for host in
        ["127.0.0.1", "localhost", "localhost.", "10.1.2.3", "[::1]", "[::ffff:192.168.0.1]", "[fd12::1]", "100.64.0.1"]
    {
        let url = format!("http://{host}:8000");
        let over = json!({"request_path_overrides": {"chat_completion": format!("{url}/v1/chat")}});
        let (code, said) = check(json!({
            "by-base": {"plugin": "openai", "network_config": {"base_url": url}},
            "by-override": {"plugin": "openai", "custom_provider_config": over},
        }))
        .await;
        assert_eq!(code, Some(78), "{said}");
        for place in [
            "providers.by-base.network_config.base_url",
            "providers.by-override.custom_provider_config.request_path_overrides.chat_completion",
        ] {
            let line = said.lines().find(|line| line.contains(place)).unwrap_or_else(|| panic!("{place} in {said}"));
            assert!(line.ends_with("called only with `network_config: {allow_private_network: true}`"), "{line}");
        }
    }
    for host in ["169.254.169.254", "[fe80::1]", "[fd00:ec2::254]", "0.0.0.0", "224.0.0.1", "203.0.113.7"] {
        let network = json!({"base_url": format!("http://{host}"), "allow_private_network": true});
        let (code, said) = check(json!({"never": {"plugin": "openai", "network_config": network}})).await;
        assert_eq!(code, Some(78), "{said}");
        assert!(said.contains("providers.never.network_config.base_url") && said.contains("never called"), "{said}");
    }
}

/// Presets of servers that one runs at home are for whoever says so.
#[tokio::test]
async fn a_plugins_own_address_is_refused_where_it_is_set_up() {
    let gateway = Setup::new()
        .provider("ollama", json!({"plugin": "openai", "preset": "ollama"}))
        .provider(
            "open",
            json!({"plugin": "openai", "preset": "ollama", "network_config": {"allow_private_network": true}}),
        )
        .start()
        .await;
    let troubles = gateway.get("/api/plugins").await.json()["troubles"].to_string();
    assert!(troubles.contains("providers.ollama") && troubles.contains("allow_private_network: true"), "{troubles}");
    assert!(!troubles.contains("providers.open"), "{troubles}");
    assert_eq!(gateway.chat("ollama/m", "hello").await.openai_error(503)["code"], "provider_unavailable");
}
