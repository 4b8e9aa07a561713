//! Who may use the admin API: whoever has its key; without a key, programs on this machine, and no page in a browser.

use super::reply::{Failed, Kind};
use crate::config::Secret;
use axum::http::header::{AUTHORIZATION, FORWARDED, HOST, ORIGIN, VIA};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri};
use sha2::{Digest, Sha256};
use std::net::{IpAddr, SocketAddr};
use subtle::ConstantTimeEq;

/// `bound` is the address that the request came to.
pub fn check(key: Option<&Secret>, bound: SocketAddr, uri: &Uri, headers: &HeaderMap) -> Result<(), Failed> {
    match key {
        Some(key) => has_key(key, headers),
        None if !is_loopback(bound.ip()) => Err(Failed::new(
            Kind::Forbidden,
            "admin_closed",
            "the admin API is closed: other machines reach this address, and there is no key. Set `admin.key`, or give \
             the admin API an address of this machine alone with `admin.listen`",
        )),
        None => is_local(bound, uri, headers).map_err(|reason| {
            let message = format!("without `admin.key` the admin API is for programs on this machine: {reason}");
            Failed::new(Kind::Forbidden, "admin_closed", message)
        }),
    }
}

fn has_key(key: &Secret, headers: &HeaderMap) -> Result<(), Failed> {
    let given = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes).and_then(bearer);
    match given {
        Some(given) if is_same(given, key.expose().as_bytes()) => Ok(()),
        Some(_) => Err(Failed::new(Kind::Unauthorized, "invalid_admin_key", "this is not the key of the admin API")),
        None => Err(Failed::new(
            Kind::Unauthorized,
            "missing_admin_key",
            "the admin API wants its key, as `Authorization: Bearer` and the key",
        )),
    }
}

fn bearer(value: &[u8]) -> Option<&[u8]> {
    const SCHEME: &[u8] = b"bearer ";
    let (scheme, key) = value.split_at_checked(SCHEME.len())?;
    scheme.eq_ignore_ascii_case(SCHEME).then_some(key.trim_ascii())
}

/// Takes as long for a key that is nearly right as for any other, and tells no length.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    Sha256::digest(one).ct_eq(&Sha256::digest(other)).into()
}

/// Says for each request that the admin API must not be reached by way of a browser or a proxy that somebody else uses.
fn is_local(bound: SocketAddr, uri: &Uri, headers: &HeaderMap) -> Result<(), &'static str> {
    let is_ours = |authority: &Authority| is_name_of_this_machine(authority, bound);
    // A page whose name is pointed at this machine asks under that name.
    let mut hosts = headers.get_all(HOST).iter().map(authority).chain(uri.authority().map(|host| Some(host.clone())));
    let first = hosts.next().flatten();
    if !first.as_ref().is_some_and(is_ours) || !hosts.all(|host| host.as_ref().is_some_and(is_ours)) {
        return Err("this request names another host than this machine");
    }
    let is_own_origin = |origin: &HeaderValue| {
        let origin: Option<Uri> = origin.to_str().ok().and_then(|origin| origin.parse().ok());
        origin.is_some_and(|origin| {
            origin.scheme_str() == Some("http")
                && origin.port_u16().unwrap_or(80) == bound.port()
                && origin.authority().is_some_and(is_ours)
        })
    };
    if !headers.get_all(ORIGIN).iter().all(is_own_origin) {
        return Err("this request comes from a page of another site");
    }
    let is_own_site = |site: &HeaderValue| site == "none" || site == "same-origin";
    if !headers.get_all("sec-fetch-site").iter().all(is_own_site) {
        return Err("this request comes from a page of another site");
    }
    if headers.keys().any(comes_through_a_proxy) {
        return Err("this request came through a proxy, so that anybody may have made it");
    }
    Ok(())
}

/// Headers that only a proxy adds, each of them alone with some.
fn comes_through_a_proxy(name: &HeaderName) -> bool {
    const NAMES: [HeaderName; 2] = [FORWARDED, VIA];
    const BEGINNINGS: [&str; 8] =
        ["x-forwarded-", "x-real-", "x-original-", "x-envoy-", "x-client-ip", "true-client-ip", "cf-", "fastly-"];
    NAMES.contains(name) || BEGINNINGS.iter().any(|beginning| name.as_str().starts_with(beginning))
}

fn authority(host: &HeaderValue) -> Option<Authority> {
    host.to_str().ok()?.parse().ok()
}

fn is_name_of_this_machine(authority: &Authority, bound: SocketAddr) -> bool {
    if authority.as_str().contains('@') {
        return false;
    }
    let host = authority.host();
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host).parse::<IpAddr>();
    match address {
        Ok(address) => is_loopback(address) || address == bound.ip(),
        Err(_) => host.strip_suffix('.').unwrap_or(host).eq_ignore_ascii_case("localhost"),
    }
}

pub fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(key: Option<&str>, bound: &str, headers: &[(&str, &str)]) -> Result<(), u16> {
        let key = key.map(|key| Secret::new(key).expect("a key"));
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name.parse::<HeaderName>().expect("a name"), value.parse().expect("a value"));
        }
        let bound = bound.parse().expect("an address");
        check(key.as_ref(), bound, &Uri::from_static("/api/providers"), &map).map_err(|failed| failed.status().as_u16())
    }

    const LOCAL: &str = "127.0.0.1:8080";

    #[test]
    fn without_a_key_programs_on_this_machine_may() {
        for host in ["localhost:8080", "LocalHost", "localhost.:8080", "127.0.0.1:8080", "127.9.9.9", "[::1]:8080"] {
            assert_eq!(asked(None, LOCAL, &[("host", host)]), Ok(()), "{host}");
        }
        assert_eq!(asked(None, "[::1]:8080", &[("host", "localhost")]), Ok(()));
        for page in ["http://localhost:8080", "http://127.0.0.1:8080", "http://[::1]:8080"] {
            assert_eq!(asked(None, LOCAL, &[("host", "localhost:8080"), ("origin", page)]), Ok(()), "{page}");
        }
        for site in ["none", "same-origin"] {
            assert_eq!(asked(None, LOCAL, &[("host", "localhost:8080"), ("sec-fetch-site", site)]), Ok(()), "{site}");
        }
    }

    #[test]
    fn without_a_key_nobody_else_may() {
        for bound in ["0.0.0.0:8080", "192.168.1.5:8080", "[::]:8080", "[2001:db8::1]:8080"] {
            assert_eq!(asked(None, bound, &[("host", "localhost:8080")]), Err(403), "{bound}");
        }
        let tricks: [&[(&str, &str)]; 19] = [
            &[],
            &[("host", "evil.example")],
            &[("host", "localhost.evil.example:8080")],
            &[("host", "localhost@evil.example")],
            &[("host", "127.0.0.1.evil.example")],
            &[("host", "localhost:8080"), ("host", "evil.example")],
            &[("host", "")],
            &[("host", "localhost:8080"), ("origin", "https://evil.example")],
            &[("host", "localhost:8080"), ("origin", "http://localhost:3000")],
            &[("host", "localhost:8080"), ("origin", "https://localhost:8080")],
            &[("host", "localhost:8080"), ("origin", "null")],
            &[("host", "localhost:8080"), ("origin", "http://localhost:8080"), ("origin", "http://evil.example")],
            &[("host", "localhost:8080"), ("sec-fetch-site", "cross-site")],
            &[("host", "localhost:8080"), ("sec-fetch-site", "same-site")],
            &[("host", "localhost:8080"), ("x-forwarded-for", "203.0.113.9")],
            &[("host", "localhost:8080"), ("x-forwarded-proto", "https")],
            &[("host", "localhost:8080"), ("cf-connecting-ip", "203.0.113.9")],
            &[("host", "localhost:8080"), ("x-real-ip", "203.0.113.9")],
            &[("host", "localhost:8080"), ("via", "1.1 proxy")],
        ];
        for headers in tricks {
            assert_eq!(asked(None, LOCAL, headers), Err(403), "{headers:?}");
        }
    }

    #[test]
    fn with_a_key_whoever_has_it_may() {
        let with = |value: &str| asked(Some("sk-admin"), "0.0.0.0:8080", &[("authorization", value)]);
        for right in ["Bearer sk-admin", "bearer sk-admin", "Bearer  sk-admin "] {
            assert_eq!(with(right), Ok(()), "{right}");
        }
        for wrong in ["Bearer sk-admi", "Bearer sk-adminn", "Bearer", "Bearer ", "sk-admin", "Basic sk-admin", "é"] {
            assert_eq!(with(wrong), Err(401), "{wrong}");
        }
        assert_eq!(asked(Some("sk-admin"), LOCAL, &[("host", "localhost:8080")]), Err(401), "also on this machine");
    }
}
