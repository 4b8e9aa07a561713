//! Through a proxy a provider is reached by its name, which the proxy resolves, and never around it.

use crate::dialects::Dialect;
use crate::gateway::{Gateway, Setup, openai};
use crate::proxy::Proxy;
use crate::trust::{identity, start};
use crate::upstream::{Reply, Upstream};
use serde_json::{Value, json};

/// A name that nobody but the proxy knows.
const NAME: &str = "api.acme.example";
const LOGIN: &str = "gateway:pass:word/é";
const PASSWORD: &str = "proxy-pässword-6f1e";

async fn upstream() -> Upstream {
    let upstream = Upstream::start().await;
    upstream.otherwise(|_| Reply::json(200, &Dialect::OpenAi.whole("hi")));
    upstream
}

/// The upstream by its name, through this proxy.
fn through(upstream: &str, proxy: Value) -> Value {
    let mut block = openai(&upstream.replace("127.0.0.1", NAME));
    block["network_config"].as_object_mut().expect("a mapping").remove("allow_private_network");
    block["proxy_config"] = proxy;
    block
}

fn place(upstream: &str) -> String {
    format!("{NAME}:{}", upstream.rsplit(':').next().expect("a port"))
}

#[tokio::test]
async fn a_provider_is_reached_through_both_kinds_of_proxy() {
    let (upstream, proxy) = (upstream().await, Proxy::start(None).await);
    let tls = start(identity(&[NAME], |_| {})).await;
    let mut setup = Setup::new();
    for (kind, scheme) in [("http", "http"), ("socks5", "socks5")] {
        let config = json!({"type": kind, "url": proxy.url(scheme)});
        let mut secure = through(&tls.url, config.clone());
        secure["network_config"]["ca_cert_pem"] = json!(tls.authority);
        setup = setup.provider(kind, through(&upstream.url(), config)).provider(&format!("{kind}-tls"), secure);
    }
    let gateway = setup.start().await;
    for provider in ["http", "http-tls", "socks5", "socks5-tls"] {
        let answer = gateway.chat(&format!("{provider}/m"), "hello").await;
        assert_eq!(answer.content(), "hi", "{provider}: {}", answer.text());
    }
    let [plain, secure] = [place(&upstream.url()), place(&tls.url)];
    let expected =
        [format!("http {plain}"), format!("http {secure}"), format!("socks {plain}"), format!("socks {secure}")];
    assert_eq!(proxy.asked(), expected);
    let seen = upstream.last_request();
    assert_eq!((seen.path.as_str(), seen.header("host")), ("/v1/chat/completions", Some(plain.as_str())));
}

#[tokio::test]
async fn a_tunnel_is_used_again() {
    let (upstream, proxy) = (upstream().await, Proxy::start(None).await);
    let config = json!({"type": "http", "url": proxy.url("http")});
    let gateway = Gateway::with(&[("openai", through(&upstream.url(), config))]).await;
    for _ in 0..5 {
        assert_eq!(gateway.chat("openai/m", "hello").await.status, 200);
    }
    assert_eq!(proxy.asked().len(), 1);
}

#[tokio::test]
async fn a_proxy_may_want_a_login() {
    let (upstream, proxy) = (upstream().await, Proxy::start(Some("gateway:proxy-pässword-6f1e")).await);
    let mut setup = Setup::new().environment("PLUGWAY_TEST_PROXY_PASSWORD", PASSWORD);
    for (kind, scheme) in [("http", "http"), ("socks5", "socks5h")] {
        let login = json!({"type": kind, "url": proxy.url(scheme), "username": "gateway",
            "password": "env.PLUGWAY_TEST_PROXY_PASSWORD"});
        let mut wrong = login.clone();
        wrong["username"] = json!("somebody");
        let nobody = json!({"type": kind, "url": proxy.url(scheme)});
        setup = setup
            .provider(kind, through(&upstream.url(), login))
            .provider(&format!("{kind}-wrong"), through(&upstream.url(), wrong))
            .provider(&format!("{kind}-nobody"), through(&upstream.url(), nobody));
    }
    let gateway = setup.start().await;
    for kind in ["http", "socks5"] {
        assert_eq!(gateway.chat(&format!("{kind}/m"), "hello").await.content(), "hi", "{kind}");
        for who in ["wrong", "nobody"] {
            let answer = gateway.chat(&format!("{kind}-{who}/m"), "hello").await;
            assert_eq!(answer.openai_error(502)["code"], "upstream_unreachable", "{kind}-{who}");
            assert!(!answer.text().contains(&proxy.address.to_string()), "{}", answer.text());
        }
    }
    assert_eq!(upstream.requests().len(), 2);
    assert!(!format!("{:?}", upstream.requests()).to_lowercase().contains("proxy-authorization"));
    gateway.wait_for_log(&["the proxy", &proxy.address.to_string(), "authorization required"]).await;
    assert!(!gateway.log().contains(PASSWORD), "no log has the password");
}

#[tokio::test]
async fn the_environment_says_which_proxy_and_for_whom() {
    let (upstream, http, https, all) =
        (upstream().await, Proxy::start(Some(LOGIN)).await, Proxy::start(None).await, Proxy::start(None).await);
    let tls = start(identity(&[NAME], |_| {})).await;
    let mut secure = through(&tls.url, json!({"type": "environment"}));
    secure["network_config"]["ca_cert_pem"] = json!(tls.authority);
    let mut excepted = openai(&upstream.url());
    excepted["proxy_config"] = json!({"type": "environment"});
    let gateway = Setup::new()
        .environment("HTTP_PROXY", &format!("http://gateway:pass%3Aword%2F%C3%A9@{}", http.address))
        .environment("https_proxy", &https.address.to_string())
        .environment("ALL_PROXY", &all.url("socks5"))
        .environment("NO_PROXY", "internal.example, 127.0.0.0/8")
        .provider("plain", through(&upstream.url(), json!({"type": "environment"})))
        .provider("secure", secure)
        .provider("excepted", excepted)
        .provider("none", openai(&upstream.url()))
        .start()
        .await;
    for provider in ["plain", "secure", "excepted", "none"] {
        let answer = gateway.chat(&format!("{provider}/m"), "hello").await;
        assert_eq!(answer.content(), "hi", "{provider}: {}", answer.text());
    }
    assert_eq!(http.asked(), [format!("http {}", place(&upstream.url()))]);
    assert_eq!(https.asked(), [format!("http {}", place(&tls.url))]);
    assert!(all.asked().is_empty());
}

/// Or the proxy would be a way around the check, and a dead one a way around the proxy.
#[tokio::test]
async fn addresses_are_checked_all_the_same_and_nothing_goes_around_the_proxy() {
    let (upstream, proxy) = (upstream().await, Proxy::start(None).await);
    let config = json!({"type": "http", "url": proxy.url("http")});
    let mut setup = Setup::new();
    for host in ["127.1", "2130706433", "0x7f.1"] {
        let mut block = through(&upstream.url(), config.clone());
        block["network_config"]["base_url"] = json!(upstream.url().replace("127.0.0.1", host));
        setup = setup.provider(host, block);
    }
    let mut around = openai(&upstream.url());
    around["proxy_config"] = json!({"type": "socks5", "url": "127.0.0.1:9"});
    let gateway = setup.provider("around", around).start().await;
    for provider in ["127.1", "2130706433", "0x7f.1", "around"] {
        gateway.chat(&format!("{provider}/m"), "hello").await.openai_error(502);
    }
    assert_eq!((proxy.asked().len(), upstream.connections()), (0, 0));
    gateway.wait_for_log(&["around", "the proxy http://127.0.0.1:9/ cannot be reached"]).await;
}

/// A proxy that looks into TLS shows certificates of an authority of its own; one that is talked to in TLS has one too.
#[tokio::test]
async fn a_proxys_authority_is_believed_for_the_providers_behind_it() {
    let name = identity(&[NAME], |_| {});
    let upstream = start(name).await;
    let own = identity(&["127.0.0.1"], |_| {});
    let authorities = format!("{}{}", upstream.authority, own.authority);
    let proxy = Proxy::start_with_tls(None, own.acceptor).await;
    let config = json!({"type": "http", "url": proxy.url("https")});
    let mut believed = config.clone();
    believed["ca_cert_pem"] = json!(authorities);
    let gateway =
        Gateway::with(&[("believed", through(&upstream.url, believed)), ("stranger", through(&upstream.url, config))])
            .await;
    let answer = gateway.chat("believed/m", "hello").await;
    assert_eq!(answer.content(), "hi", "{}", answer.text());
    gateway.chat("stranger/m", "hello").await.openai_error(502);
    assert_eq!(proxy.asked(), [format!("http {}", place(&upstream.url))]);
}
