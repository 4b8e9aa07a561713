//! Where a call goes: the operator's base URL and the plugin's path.

use crate::config::PathOverride;
use http::Uri;
use http::uri::PathAndQuery;
use thiserror::Error;

#[derive(Debug, Error, PartialEq)]
pub enum UrlError {
    #[error("the path {0:?} does not begin with one slash")]
    NotAPath(String),
    #[error("the path {0:?} climbs with `..`")]
    Climbs(String),
    #[error("the path {0:?} has characters that no path may have")]
    BadCharacters(String),
    #[error("there is no base URL; set `network_config.base_url`")]
    NoBase,
}

/// The URL of a call. A plugin can choose the path, never the place.
pub fn join(base: Option<&Uri>, path: &str, over: Option<&PathOverride>) -> Result<Uri, UrlError> {
    let path = match over {
        Some(PathOverride::Url(url)) => return Ok(url.clone()),
        Some(PathOverride::Path(path)) => path,
        None => path,
    };
    check(path)?;
    let base = base.ok_or(UrlError::NoBase)?;
    let prefix = base.path().trim_end_matches('/');
    let path = if ends_in_version(prefix) { without_version(path) } else { path };
    let joined = format!("{prefix}{path}");
    let joined = PathAndQuery::try_from(joined.as_str()).map_err(|_| UrlError::BadCharacters(joined.clone()))?;
    let mut parts = base.clone().into_parts();
    parts.path_and_query = Some(joined);
    Uri::from_parts(parts).map_err(|_| UrlError::NoBase)
}

pub fn check(path: &str) -> Result<(), UrlError> {
    if !path.starts_with('/') || path.starts_with("//") {
        return Err(UrlError::NotAPath(path.to_owned()));
    }
    let before_query = path.split('?').next().unwrap_or(path);
    let climbs = |segment: &str| matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), ".." | ".");
    if before_query.split('/').any(climbs) {
        return Err(UrlError::Climbs(path.to_owned()));
    }
    if path.bytes().any(|byte| byte.is_ascii_control() || matches!(byte, b' ' | b'\\' | b'#')) {
        return Err(UrlError::BadCharacters(path.to_owned()));
    }
    Ok(())
}

/// `…/v1`, `…/v3`, `…/v1beta`: people write the base URL with the version as often as without.
fn ends_in_version(path: &str) -> bool {
    path.rsplit('/').next().is_some_and(is_version)
}

fn is_version(segment: &str) -> bool {
    let Some(rest) = segment.strip_prefix('v') else { return false };
    let digits = rest.trim_start_matches(|character: char| character.is_ascii_digit());
    digits.len() < rest.len() && digits.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

fn without_version(path: &str) -> &str {
    let rest = &path[1..];
    match rest.find('/') {
        Some(slash) if is_version(&rest[..slash]) => &rest[slash..],
        Some(_) | None => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(base: &str, path: &str) -> String {
        join(Some(&base.parse().expect("a URL")), path, None).expect("joined").to_string()
    }

    #[test]
    fn base_urls_work_with_and_without_the_version() {
        for (base, expected) in [
            ("https://api.example.com", "https://api.example.com/v1/chat/completions"),
            ("https://api.example.com/", "https://api.example.com/v1/chat/completions"),
            ("https://api.example.com/v1", "https://api.example.com/v1/chat/completions"),
            ("https://api.example.com/v1/", "https://api.example.com/v1/chat/completions"),
            ("https://example.com/api/v3", "https://example.com/api/v3/chat/completions"),
            ("https://example.com/openai/v1beta", "https://example.com/openai/v1beta/chat/completions"),
            ("https://example.com/inference", "https://example.com/inference/v1/chat/completions"),
            ("https://example.com/video", "https://example.com/video/v1/chat/completions"),
        ] {
            assert_eq!(joined(base, "/v1/chat/completions"), expected, "{base}");
        }
    }

    #[test]
    fn an_override_takes_the_place_of_the_plugins_path() {
        let base: Uri = "https://example.com/v1".parse().expect("a URL");
        let path = PathOverride::Path("/v1/chat".to_owned());
        assert_eq!(join(Some(&base), "/x", Some(&path)).expect("joined"), "https://example.com/v1/chat");
        let url = PathOverride::Url("http://other:8080/e".parse().expect("a URL"));
        assert_eq!(join(Some(&base), "/x", Some(&url)).expect("joined"), "http://other:8080/e");
    }

    #[test]
    fn a_plugin_cannot_leave_the_base_url() {
        let base: Uri = "https://example.com/v1".parse().expect("a URL");
        for path in [
            "//evil.example/x",
            "@evil.example",
            "https://evil.example/",
            "evil",
            "",
            "/a/../../b",
            "/a/%2E%2e/b",
            "/a b",
            "/a\r\nhost: x",
            "/a#b",
            "/\\evil",
        ] {
            assert!(join(Some(&base), path, None).is_err(), "{path:?}");
        }
    }

    #[test]
    fn a_query_is_kept() {
        assert_eq!(joined("https://example.com", "/v1/x?a=1&b=../c"), "https://example.com/v1/x?a=1&b=../c");
    }
}
