//! A connection to a proxy → a connection through it.
//!
//! What is asked for is the name, and the proxy resolves it: often it is the only one that can. So the addresses behind
//! names are its operator's to judge.

use super::dial::{BoxError, call};
use crate::address;
use crate::config::{Login, ProxyProtocol, ProxyServer};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderValue, Uri};
use hyper_rustls::MaybeHttpsStream;
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::rt::TokioIo;
use std::error::Error;
use std::fmt;
use std::future::{Ready, ready};
use std::io;
use std::task::{Context, Poll};
use tokio::net::TcpStream;
use tower::Service;

/// A socket, or TLS to a proxy over one.
pub type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

pub async fn through(server: &ProxyServer, destination: Uri, stream: Stream) -> Result<Stream, BoxError> {
    let destination = with_port(destination)?;
    let (proxy, made) = (server.url.clone(), Made(Some(stream)));
    let asked = match server.protocol {
        ProxyProtocol::Http => {
            let tunnel = Tunnel::new(proxy, made);
            let tunnel = match &server.login {
                Some(login) => tunnel.with_auth(basic(login)?),
                None => tunnel,
            };
            call(tunnel, destination).await.map_err(BoxError::from)
        }
        ProxyProtocol::Socks5 => {
            let socks = SocksV5::new(proxy, made);
            let socks = match &server.login {
                Some(Login { user, password }) => {
                    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
                    socks.with_auth(text(user.expose()), text(password.expose()))
                }
                None => socks,
            };
            call(socks, destination).await.map_err(BoxError::from)
        }
    };
    asked.map_err(|error| Refused { server: server.url.clone(), what: "refuses", error }.into())
}

pub fn unreachable(server: &ProxyServer, error: BoxError) -> BoxError {
    Refused { server: server.url.clone(), what: "cannot be reached", error }.into()
}

/// Both ways of asking take the port of https where none is said.
fn with_port(destination: Uri) -> Result<Uri, BoxError> {
    let host = destination.host().unwrap_or_default();
    if address::literal(host).is_none() && is_odd_number(host) {
        return Err(
            "a proxy might take the host for an address; write it as a name, or as an address such as 192.0.2.1".into(),
        );
    }
    if destination.port().is_some() {
        return Ok(destination);
    }
    let port = if destination.scheme() == Some(&Scheme::HTTP) { 80 } else { 443 };
    let authority = format!("{host}:{port}");
    let mut parts = destination.into_parts();
    parts.authority = Some(authority.parse()?);
    parts.path_and_query.get_or_insert(PathAndQuery::from_static("/"));
    Ok(Uri::from_parts(parts)?)
}

/// `0x7f.1`, `2130706433`: many systems read as an address what ends in a number, and no name does.
fn is_odd_number(host: &str) -> bool {
    let last = host.strip_suffix('.').unwrap_or(host).rsplit('.').next().unwrap_or_default();
    last.starts_with("0x") || last.starts_with("0X") || last.bytes().all(|byte| byte.is_ascii_digit())
}

fn basic(login: &Login) -> Result<HeaderValue, BoxError> {
    let pair = [login.user.expose().as_bytes(), b":", login.password.expose().as_bytes()].concat();
    let mut value = HeaderValue::from_str(&format!("Basic {}", BASE64_STANDARD.encode(pair)))?;
    value.set_sensitive(true);
    Ok(value)
}

/// What a proxy did not do, with the proxy's name.
#[derive(Debug)]
struct Refused {
    server: Uri,
    what: &'static str,
    error: BoxError,
}

impl fmt::Display for Refused {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the proxy {} {}", self.server, self.what)
    }
}

impl Error for Refused {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self.error.as_ref())
    }
}

/// Hands over a connection that is there already. So the errors of making it stay apart from those of asking.
struct Made(Option<Stream>);

impl Service<Uri> for Made {
    type Response = Stream;
    type Error = io::Error;
    type Future = Ready<io::Result<Stream>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        ready(self.0.take().ok_or_else(|| io::ErrorKind::NotConnected.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_told_a_port_and_no_riddles() {
        for (url, told) in [
            ("https://api.example.com/", Some("https://api.example.com:443/")),
            ("http://api.example.com/", Some("http://api.example.com:80/")),
            ("http://api.example.com:8080/", Some("http://api.example.com:8080/")),
            ("https://[2001:db8::1]/", Some("https://[2001:db8::1]:443/")),
            ("http://192.0.2.1/", Some("http://192.0.2.1:80/")),
            ("http://2130706433/", None),
            ("http://0x7f.1/", None),
            ("http://0177.0.0.1/", None),
            ("http://127.0.0.1./", None),
        ] {
            let uri = with_port(url.parse().expect("a URL")).ok().map(|uri| uri.to_string());
            assert_eq!(uri.as_deref(), told, "{url}");
        }
    }
}
