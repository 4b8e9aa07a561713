//! The proxy between gateway and provider.

use super::{BASE, refusal};
use crate::config::{Loaded, Mistakes, Proxy, ProxyProtocol, ProxyServer, Tls, parse};
use std::path::Path;

fn block(typed: &str) -> String {
    format!("providers: {{a: {{proxy_config: {{{typed}}}}}}}")
}

fn read_with(typed: &str, environment: &[(&str, &str)]) -> Result<Loaded, Mistakes> {
    let env = |name: &str| environment.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned());
    parse(&block(typed), Path::new(BASE), &env)
}

fn meant(typed: &str, environment: &[(&str, &str)]) -> Proxy {
    let loaded = read_with(typed, environment).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    loaded.config.providers["a"].network.line.proxy.clone()
}

fn one(typed: &str, environment: &[(&str, &str)]) -> ProxyServer {
    match meant(typed, environment) {
        Proxy::Server(server) => server,
        other => panic!("{other:?}"),
    }
}

fn login(server: &ProxyServer) -> Option<(&str, &str)> {
    let login = server.login.as_ref()?;
    Some((login.user.expose().to_str().ok()?, login.password.expose().to_str().ok()?))
}

#[test]
fn a_proxy_has_a_kind_and_a_place() {
    for (typed, protocol, url) in [
        ("type: http, url: 'http://proxy:3128'", ProxyProtocol::Http, "http://proxy:3128/"),
        ("type: http, url: 'http://proxy/'", ProxyProtocol::Http, "http://proxy/"),
        ("type: http, url: 'https://proxy:8443'", ProxyProtocol::Http, "https://proxy:8443/"),
        ("type: http, url: '10.0.0.1:3128'", ProxyProtocol::Http, "http://10.0.0.1:3128/"),
        ("type: socks5, url: 'socks5://proxy'", ProxyProtocol::Socks5, "http://proxy:1080/"),
        ("type: socks5, url: 'socks5h://[::1]:9050'", ProxyProtocol::Socks5, "http://[::1]:9050/"),
        ("type: socks5, url: env.SOCKS", ProxyProtocol::Socks5, "http://socks:1080/"),
    ] {
        let server = one(typed, &[("SOCKS", "socks5://socks")]);
        assert_eq!((server.protocol, server.url.to_string().as_str()), (protocol, url), "{typed}");
        assert_eq!(server.login, None);
    }
    assert_eq!(meant("type: none, url: 'http://proxy:3128'", &[]), Proxy::None, "switched off for now");
}

#[test]
fn a_login_is_secret() {
    let typed = "type: http, url: proxy, username: env.USER, password: env.PASSWORD";
    let server = one(typed, &[("USER", "me"), ("PASSWORD", "geheim")]);
    assert_eq!(login(&server), Some(("me", "geheim")));
    assert!(!format!("{server:?}").contains("geheim"));
    assert_eq!(login(&one("type: http, url: proxy, username: me", &[])), Some(("me", "")));
    let loaded = read_with("type: http, url: proxy, username: me, password: geheim", &[]).expect("a configuration");
    let warning = "providers.a.proxy_config.password: the password stands in the file; env.NAME would keep it out";
    assert_eq!(loaded.warnings, [warning]);
}

#[test]
fn the_environment_is_read_as_curl_reads_it() {
    let all = [
        ("HTTP_PROXY", ""),
        ("http_proxy", "http://me:a%3Ab@plain:3128"),
        ("ALL_PROXY", "socks5://rest"),
        ("NO_PROXY", "a.example"),
    ];
    let Proxy::Environment { http, https, except } = meant("type: environment", &all) else { panic!("no environment") };
    let (http, https) = (http.expect("of http"), https.expect("of all"));
    assert_eq!((http.url.to_string().as_str(), login(&http)), ("http://plain:3128/", Some(("me", "a:b"))));
    assert_eq!((https.url.to_string().as_str(), https.protocol), ("http://rest:1080/", ProxyProtocol::Socks5));
    assert_eq!(except, "a.example");
    let nothing = read_with("type: environment", &[]).expect("a configuration");
    let warning = "providers.a.proxy_config.type: none of HTTPS_PROXY, HTTP_PROXY and ALL_PROXY is set, so that there \
                   is no proxy";
    assert_eq!(nothing.warnings, [warning]);
}

#[test]
fn a_proxys_authorities_are_believed_beside_the_providers_own() {
    let pem = serde_json::Value::from(include_str!("ca.pem"));
    let yaml = format!(
        "providers: {{a: {{network_config: {{ca_cert_pem: {pem}}}, proxy_config: {{type: http, url: proxy, \
         ca_cert_pem: {pem}}}}}}}"
    );
    let line = super::provider(&yaml).network.line.clone();
    assert!(matches!(&line.tls, Tls::CustomCa(certificates) if certificates.len() == 2));
    let both = yaml.replacen(&format!("ca_cert_pem: {pem}"), "insecure_skip_verify: true", 1);
    assert!(refusal(&both)[0].contains("exclude each other"), "{:?}", refusal(&both));
}

#[test]
fn mistakes() {
    let at = "providers.a.proxy_config";
    for (typed, place, message) in [
        ("url: proxy", ".type", "is missing; it is one of none, http, socks5, environment"),
        ("type: ftp", ".type", "must be one of none, http, socks5, environment, is the string \"ftp\""),
        ("type: http", ".url", "is missing; it says where the proxy is"),
        ("type: http, url: 'ftp://proxy'", ".url", "must begin with http://, https:// or socks5://"),
        ("type: http, url: 'socks5://proxy'", ".url", "is that of another kind of proxy than `type` says"),
        ("type: http, url: 'http://proxy/x'", ".url", "must have nothing behind host and port"),
        ("type: http, url: 'http://proxy:99999'", ".url", "has a port that is no number from 1 to 65535"),
        ("type: http, url: 'http://a b'", ".url", "is not a valid URL"),
        (
            "type: http, url: 'http://me:geheim@proxy'",
            ".url",
            "must not contain a user name or password; write `username` and `password`",
        ),
        ("type: http, url: env.NOT_SET", ".url", "the environment variable NOT_SET is not set"),
        ("type: http, url: proxy, password: env.SET", ".username", "is missing, while there is a password"),
        ("type: environment, url: proxy", "", "`url`, `username` and `password` mean nothing with `type: environment`"),
    ] {
        let mistakes = read_with(typed, &[("SET", "geheim"), ("ALL_PROXY", "proxy")]).expect_err(typed).to_string();
        assert_eq!(mistakes, format!("1 mistake in the configuration\n  {at}{place} (line 1): {message}"), "{typed}");
    }
    let wrong = read_with("type: environment", &[("HTTPS_PROXY", "gopher://me:geheim@proxy")]).expect_err("no proxy");
    let expected = "the environment variable HTTPS_PROXY must begin with http://, https:// or socks5://";
    assert!(wrong.to_string().ends_with(expected), "{wrong}");
    let long = format!("type: socks5, url: proxy, username: {}", "x".repeat(256));
    let expected = format!("{at} (line 1): has a user name or password of more than 255 characters");
    assert_eq!(refusal(&block(&long)), [expected]);
}
