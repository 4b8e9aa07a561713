//! Which headers may pass, in both directions.

use http::header::{self, HeaderMap, HeaderName};

/// The host's own, in every direction: they belong to one connection, or say what the host knows better.
pub fn is_host_controlled(name: &HeaderName) -> bool {
    const NAMES: &[HeaderName] = &[
        header::HOST,
        header::CONTENT_LENGTH,
        header::CONTENT_ENCODING,
        header::TRANSFER_ENCODING,
        header::CONNECTION,
        header::TE,
        header::TRAILER,
        header::UPGRADE,
        header::EXPECT,
        header::ACCEPT_ENCODING,
    ];
    NAMES.contains(name) || name == "keep-alive" || name.as_str().starts_with("proxy-")
}

/// Whether a caller's header goes on to an upstream that speaks the caller's dialect. What smells of a credential does
/// not, whatever it is called: the secret never comes from the caller.
pub fn may_go_up(name: &HeaderName) -> bool {
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
    const SECRETS: &[&str] = &["auth", "cookie", "key", "token", "secret", "password", "credential", "signature"];
    let text = name.as_str();
    !is_host_controlled(name)
        && !NAMES.contains(name)
        && !PREFIXES.iter().any(|prefix| text.starts_with(prefix))
        && (text == "idempotency-key" || !SECRETS.iter().any(|word| text.contains(word)))
}

/// The caller's headers that go on.
pub fn upwards(headers: &HeaderMap) -> impl Iterator<Item = (&HeaderName, &http::HeaderValue)> {
    headers.iter().filter(|(name, _)| may_go_up(name))
}

/// Whether an upstream's header comes back to a caller who speaks its dialect.
pub fn may_come_down(name: &HeaderName) -> bool {
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
    !is_host_controlled(name) && !NAMES.contains(name) && !name.as_str().starts_with("access-control-")
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
