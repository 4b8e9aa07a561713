//! The proxy between gateway and provider, as typed and as meant.

use super::elsewhere::look_up;
use super::meant::Secret;
use super::mistakes::At;
use super::outgoing::{Certificates, KeyValue};
use super::reader::{Reader, Typed};
use super::scalars::text;
use super::typed::ProxySection;
use http::Uri;
use http::uri::Authority;
use percent_encoding::percent_decode_str;
use rustls::pki_types::CertificateDer;
use serde_json::Value;

/// Who is asked to connect to a provider.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Proxy {
    /// Nobody.
    None,
    Server(ProxyServer),
    /// As the environment said when the configuration was read, by the scheme of the provider's address.
    Environment {
        http: Option<ProxyServer>,
        https: Option<ProxyServer>,
        /// Hosts to connect to without a proxy.
        except: String,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ProxyServer {
    pub protocol: ProxyProtocol,
    /// Without the login. Its scheme is http, or https for a proxy that is talked to in TLS.
    pub url: Uri,
    pub login: Option<Login>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProxyProtocol {
    /// `CONNECT`, whatever the scheme of the provider's own address.
    Http,
    /// The proxy resolves names.
    Socks5,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Login {
    pub user: Secret,
    pub password: Secret,
}

/// Bifrost's words for what there is.
#[derive(Clone, Copy, PartialEq)]
pub enum ProxyKind {
    None,
    Http,
    Socks5,
    Environment,
}

/// Where a proxy is, as far as it is said.
pub(super) struct ProxyUrl {
    /// None where there is no scheme.
    protocol: Option<ProxyProtocol>,
    tls: bool,
    authority: Authority,
    login: Option<Login>,
}

impl Typed for ProxyUrl {
    fn shape() -> String {
        "a URL such as http://proxy.example.com:3128 or socks5://proxy.example.com:1080, or env.NAME".to_owned()
    }

    fn read(value: &Value, at: &At, reader: &mut Reader<'_>) -> Option<Self> {
        let typed = text::<Self>(value, at, reader)?;
        let url = match look_up(typed, reader) {
            None => ProxyUrl::parse(typed).map_err(str::to_owned),
            Some(found) => found.and_then(|found| ProxyUrl::parse(&found.text).map_err(|fault| found.fault(fault))),
        };
        let without_login = url.and_then(|url| match url.login {
            None => Ok(url),
            Some(_) => Err("must not contain a user name or password; write `username` and `password`".to_owned()),
        });
        without_login.map_err(|message| reader.mistake(at, message)).ok()
    }
}

impl ProxyUrl {
    /// The messages never quote the URL, as people put passwords into it.
    fn parse(text: &str) -> Result<Self, &'static str> {
        let (scheme, rest) = text.split_once("://").map_or(("", text), |(scheme, rest)| (scheme, rest));
        let (protocol, tls) = match scheme.to_ascii_lowercase().as_str() {
            "" => (None, false),
            "http" => (Some(ProxyProtocol::Http), false),
            "https" => (Some(ProxyProtocol::Http), true),
            "socks5" | "socks5h" => (Some(ProxyProtocol::Socks5), false),
            _ => return Err("must begin with http://, https:// or socks5://"),
        };
        let (login, place) = rest.rsplit_once('@').map_or((None, rest), |(login, place)| (Some(login), place));
        let place = place.strip_suffix('/').unwrap_or(place);
        if place.contains(['/', '?', '#']) {
            return Err("must have nothing behind host and port");
        }
        let authority: Authority = place.parse().map_err(|_| "is not a valid URL")?;
        let says_port = authority.as_str().len() > authority.host().len();
        if authority.host().is_empty() {
            return Err("must name a host");
        }
        if says_port && matches!(authority.port_u16(), None | Some(0)) {
            return Err("has a port that is no number from 1 to 65535");
        }
        let login = login.map(Login::in_url).transpose()?;
        Ok(ProxyUrl { protocol, tls, authority, login })
    }

    fn server(self, protocol: ProxyProtocol, login: Option<Login>) -> Result<ProxyServer, &'static str> {
        let scheme = if self.tls { "https" } else { "http" };
        let authority = match (self.authority.port(), protocol) {
            (None, ProxyProtocol::Socks5) => format!("{}:1080", self.authority),
            (Some(_), _) | (None, ProxyProtocol::Http) => self.authority.to_string(),
        };
        let url = Uri::builder().scheme(scheme).authority(authority).path_and_query("/").build();
        Ok(ProxyServer { protocol, url: url.map_err(|_| "is not a valid URL")?, login })
    }
}

impl Login {
    /// As it stands before the `@` of a URL.
    fn in_url(text: &str) -> Result<Self, &'static str> {
        let (user, password) = text.split_once(':').unwrap_or((text, ""));
        let secret = |encoded: &str| Secret::new(&percent_decode_str(encoded).decode_utf8_lossy());
        match (secret(user), secret(password)) {
            (Some(user), Some(password)) => Login { user, password }.checked(),
            _ => Err("has a login with characters in it that cannot be sent"),
        }
    }

    fn checked(self) -> Result<Self, &'static str> {
        /// Of a name or password, as SOCKS can carry it.
        const LONGEST: usize = 255;
        match self.user.expose().len().max(self.password.expose().len()) {
            ..=LONGEST => Ok(self),
            _ => Err("has a user name or password of more than 255 characters"),
        }
    }
}

/// The proxy, and the authorities to trust besides: proxies that look into TLS have one of their own.
pub(super) fn proxy(section: ProxySection, reader: &mut Reader<'_>) -> (Proxy, Vec<CertificateDer<'static>>) {
    let ProxySection { at, r#type, url, username, password, ca_cert_pem } = section;
    let certificates = ca_cert_pem.map(|Certificates(certificates)| certificates).unwrap_or_default();
    let proxy = match r#type {
        None => {
            reader.missing(&at.key("type"), "is missing; it is one of none, http, socks5, environment");
            Proxy::None
        }
        Some(ProxyKind::None) => Proxy::None,
        Some(ProxyKind::Http) => one(ProxyProtocol::Http, url, login(username, password, &at, reader), &at, reader),
        Some(ProxyKind::Socks5) => one(ProxyProtocol::Socks5, url, login(username, password, &at, reader), &at, reader),
        Some(ProxyKind::Environment) => {
            if url.is_some() || username.is_some() || password.is_some() {
                reader.mistake(&at, "`url`, `username` and `password` mean nothing with `type: environment`");
            }
            environment(&at.key("type"), reader)
        }
    };
    (proxy, certificates)
}

fn one(
    protocol: ProxyProtocol,
    url: Option<ProxyUrl>,
    login: Option<Login>,
    at: &At,
    reader: &mut Reader<'_>,
) -> Proxy {
    let at = at.key("url");
    let Some(url) = url else {
        reader.missing(&at, "is missing; it says where the proxy is");
        return Proxy::None;
    };
    if url.protocol.is_some_and(|said| said != protocol) {
        reader.mistake(&at, "is that of another kind of proxy than `type` says");
    }
    match url.server(protocol, login) {
        Ok(server) => Proxy::Server(server),
        Err(message) => {
            reader.mistake(&at, message);
            Proxy::None
        }
    }
}

fn login(user: Option<KeyValue>, password: Option<KeyValue>, at: &At, reader: &mut Reader<'_>) -> Option<Login> {
    let at_password = at.key("password");
    if password.as_ref().is_some_and(|password| password.literal) {
        reader.warn(&at_password, "the password stands in the file; env.NAME would keep it out");
    }
    let Some(user) = user else {
        if password.is_some() {
            reader.missing(&at.key("username"), "is missing, while there is a password");
        }
        return None;
    };
    let password = password.map(|password| password.value).or_else(|| Secret::new(""))?;
    let login = Login { user: user.value, password }.checked();
    login.map_err(|message| reader.mistake(at, message)).ok()
}

fn environment(at: &At, reader: &mut Reader<'_>) -> Proxy {
    let all = variable(["ALL_PROXY", "all_proxy"], at, reader);
    let http = variable(["HTTP_PROXY", "http_proxy"], at, reader).or_else(|| all.clone());
    let https = variable(["HTTPS_PROXY", "https_proxy"], at, reader).or(all);
    if http.is_none() && https.is_none() {
        reader.warn(at, "none of HTTPS_PROXY, HTTP_PROXY and ALL_PROXY is set, so that there is no proxy");
    }
    let except = ["NO_PROXY", "no_proxy"].into_iter().find_map(reader.env).unwrap_or_default();
    Proxy::Environment { http, https, except }
}

fn variable(names: [&str; 2], at: &At, reader: &mut Reader<'_>) -> Option<ProxyServer> {
    let set = |name| Some((name, (reader.env)(name).filter(|text| !text.trim().is_empty())?));
    let (name, text) = names.into_iter().find_map(set)?;
    let server = ProxyUrl::parse(text.trim()).and_then(|mut url| {
        let login = url.login.take();
        let protocol = url.protocol.unwrap_or(ProxyProtocol::Http);
        url.server(protocol, login)
    });
    server.map_err(|fault| reader.mistake(at, format!("the environment variable {name} {fault}"))).ok()
}
