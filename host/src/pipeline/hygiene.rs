//! Which headers may pass, in both directions.

use crate::config::is_host_controlled;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};

/// Whether a caller's header goes on to an upstream that speaks the caller's dialect. What smells of a credential does
/// not, whatever it is called: the secret never comes from the caller.
fn may_go_up(name: &HeaderName) -> bool {
    const NAMES: &[HeaderName] = &[
        header::ORIGIN,
        header::REFERER,
        header::USER_AGENT,
        header::CACHE_CONTROL,
        header::CONTENT_TYPE,
        header::ACCEPT,
        header::FORWARDED,
        header::VIA,
    ];
    const PREFIXES: &[&str] =
        &["x-bt-", "x-amzn-", "sec-", "x-forwarded-", "x-real-", "x-plugway-", "cf-", "access-control-"];
    let text = name.as_str();
    !is_host_controlled(name)
        && !NAMES.contains(name)
        && !PREFIXES.iter().any(|prefix| text.starts_with(prefix))
        && !names_a_credential(name)
}

/// Whether a header's name says that its value is a credential.
pub fn names_a_credential(name: &HeaderName) -> bool {
    const WORDS: &[&str] = &["auth", "cookie", "key", "token", "secret", "password", "credential", "signature"];
    let text = name.as_str();
    text != "idempotency-key" && WORDS.iter().any(|word| text.contains(word))
}

/// The caller's headers that go on.
pub fn upwards(headers: &HeaderMap) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
    headers.iter().filter(|(name, _)| may_go_up(name) && !ends_here(headers, name))
}

/// The upstream's headers that come back to a caller who speaks its dialect. Most do, so the rest is taken away.
pub fn downwards(mut headers: HeaderMap) -> HeaderMap {
    let ending = headers.keys().filter(|name| !may_come_down(name) || ends_here(&headers, name));
    for name in ending.cloned().collect::<Vec<_>>() {
        headers.remove(&name);
    }
    headers
}

/// Whether the sender says that a header is for this connection alone (RFC 9110, 7.6.1).
fn ends_here(headers: &HeaderMap, name: &HeaderName) -> bool {
    let listed = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    listed.flat_map(|text| text.split(',')).any(|listed| listed.trim().eq_ignore_ascii_case(name.as_str()))
}

fn may_come_down(name: &HeaderName) -> bool {
    const NAMES: &[HeaderName] = &[
        header::SET_COOKIE,
        header::SERVER,
        header::DATE,
        header::ALT_SVC,
        header::STRICT_TRANSPORT_SECURITY,
        header::WWW_AUTHENTICATE,
        header::LOCATION,
        header::VIA,
    ];
    // What begins with our names is ours to say.
    const PREFIXES: &[&str] = &["access-control-", "x-plugway-", "x-bt-"];
    let text = name.as_str();
    !is_host_controlled(name) && !NAMES.contains(name) && !PREFIXES.iter().any(|prefix| text.starts_with(prefix))
}

/// Whether a plugin may read an upstream's header. A session with the gateway is none of its business.
pub fn may_be_read(name: &HeaderName) -> bool {
    !is_host_controlled(name) && name != header::SET_COOKIE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn goes_up(name: &'static str) -> bool {
        may_go_up(&HeaderName::from_static(name))
    }

    #[test]
    fn no_credential_of_a_caller_goes_up() {
        for name in
            ["authorization", "x-api-key", "api-key", "cookie", "x-goog-api-key", "x-auth-token", "proxy-authorization"]
        {
            assert!(!goes_up(name), "{name}");
        }
    }

    #[test]
    fn dialect_headers_go_up() {
        assert!(goes_up("openai-beta") && goes_up("x-request-source"));
    }

    #[test]
    fn connection_headers_go_nowhere() {
        for name in ["host", "connection", "transfer-encoding", "te", "keep-alive"] {
            assert!(!goes_up(name) && !may_come_down(&HeaderName::from_static(name)), "{name}");
        }
    }
}
