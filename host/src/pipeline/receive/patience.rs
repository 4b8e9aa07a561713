//! How long an upstream wants to be left alone, in all the ways in which it is said.

use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use std::time::{Duration, SystemTime};

/// The longest that an upstream may ask for.
const LONGEST: Duration = Duration::from_secs(3_600);
/// Numbers beyond these are no spans of time but points in it, in seconds or in milliseconds since 1970.
const POINT_IN_SECONDS: f64 = 1e9;
const POINT_IN_MILLISECONDS: f64 = 1e12;

/// What the reply to a request that was refused says of the next one.
pub fn asked_for_ms(status: StatusCode, headers: &HeaderMap, now_ms: u64) -> Option<u64> {
    let now = at(now_ms);
    let pause = in_milliseconds(headers)
        .or_else(|| span(headers.get(RETRY_AFTER)?.to_str().ok()?, now))
        .or_else(|| resets(headers, now).filter(|_| status == StatusCode::TOO_MANY_REQUESTS))?;
    u64::try_from(pause.min(LONGEST).as_millis()).ok()
}

/// Says to a caller what was asked for. A `retry-after` that says nothing would make clients stumble that take it at its
/// word, and most clients know no other spelling.
pub fn say(headers: &mut HeaderMap, asked_for_ms: Option<u64>, now_ms: u64) {
    let is_readable = |value: &HeaderValue| value.to_str().is_ok_and(|text| span(text, at(now_ms)).is_some());
    if !headers.get_all(RETRY_AFTER).iter().all(is_readable) {
        headers.remove(RETRY_AFTER);
    }
    if let Some(milliseconds) = asked_for_ms {
        headers.entry(RETRY_AFTER).or_insert_with(|| HeaderValue::from(milliseconds.div_ceil(1_000)));
    }
}

fn at(now_ms: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(now_ms)
}

fn in_milliseconds(headers: &HeaderMap) -> Option<Duration> {
    let milliseconds: f64 = headers.get("retry-after-ms")?.to_str().ok()?.trim().parse().ok()?;
    Duration::try_from_secs_f64(milliseconds / 1_000.0).ok()
}

/// One limit of several, and when it begins anew.
struct Limit {
    is_used_up: bool,
    pause: Duration,
}

/// The latest of those that are used up, or of all where none says so.
fn resets(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let limits: Vec<Limit> = in_headers_of_their_own(headers, now).chain(in_one_header(headers, now)).collect();
    let used_up = limits.iter().filter(|limit| limit.is_used_up).map(|limit| limit.pause).max();
    used_up.or_else(|| limits.iter().map(|limit| limit.pause).max())
}

/// `x-ratelimit-reset-requests`, `acme-ratelimit-tokens-reset`, `x-rate-limit-reset` and their kin.
fn in_headers_of_their_own(headers: &HeaderMap, now: SystemTime) -> impl Iterator<Item = Limit> {
    let is_reset = |name: &HeaderName| {
        let name = name.as_str();
        name.contains("reset") && (name.contains("ratelimit") || name.contains("rate-limit"))
    };
    let is_used_up = |name: &HeaderName| {
        let remaining = headers.get(name.as_str().replace("reset", "remaining"));
        remaining.and_then(|value| value.to_str().ok()).is_some_and(|value| value.trim() == "0")
    };
    let resets = headers.iter().filter(move |(name, _)| is_reset(name));
    resets.filter_map(move |(name, value)| {
        Some(Limit { pause: span(value.to_str().ok()?, now)?, is_used_up: is_used_up(name) })
    })
}

/// The IETF's `RateLimit`, in the spelling of its drafts up to the seventh, `limit=100, remaining=0, reset=30`, and in that
/// of the later ones, `"minutes";r=0;t=30, "days";r=9;t=40000`.
fn in_one_header(headers: &HeaderMap, now: SystemTime) -> impl Iterator<Item = Limit> {
    let values = headers.get_all("ratelimit").iter().filter_map(|value| value.to_str().ok());
    let limits = values.flat_map(|text| match text.contains("reset=") {
        true => vec![text],
        false => text.split(',').collect(),
    });
    limits.filter_map(move |text| {
        let said = |names: [&str; 2]| {
            let members = text.split([',', ';']).filter_map(|member| member.split_once('='));
            members.map(|(name, value)| (name.trim(), value.trim())).find(|(name, _)| names.contains(name))
        };
        let is_used_up = said(["r", "remaining"]).is_some_and(|(_, value)| value == "0");
        Some(Limit { pause: span(said(["t", "reset"])?.1, now)?, is_used_up })
    })
}

/// Seconds, a date, a duration such as `6m0s`, or a point in time as RFC 3339 or as a number since 1970.
fn span(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    let until = |point: SystemTime| point.duration_since(now).unwrap_or_default();
    if let Ok(number) = text.parse::<f64>() {
        let since_1970 = |seconds| Some(until(SystemTime::UNIX_EPOCH + Duration::try_from_secs_f64(seconds).ok()?));
        return match number {
            number if number >= POINT_IN_MILLISECONDS => since_1970((number / 1_000.0).min(1e10)),
            number if number >= POINT_IN_SECONDS => since_1970(number),
            seconds => Duration::try_from_secs_f64(seconds).ok(),
        };
    }
    let point = httpdate::parse_http_date(text).ok();
    let point = point.or_else(|| humantime::parse_rfc3339(text).ok()).or_else(|| with_offset(text));
    point.map(until).or_else(|| with_units(text))
}

/// RFC 3339 in another zone than UTC: `2026-11-21T09:00:05+01:00`.
fn with_offset(text: &str) -> Option<SystemTime> {
    let (point, offset) = text.split_at_checked(text.len().checked_sub("+01:00".len())?)?;
    let (hours, minutes) = offset.get(1..)?.split_once(':')?;
    let (hours, minutes): (u64, u64) = (hours.parse().ok()?, minutes.parse().ok()?);
    let point = humantime::parse_rfc3339(&format!("{point}Z")).ok()?;
    let offset_from_utc = Duration::from_secs(hours * 3_600 + minutes * 60);
    match offset.as_bytes().first()? {
        b'+' => point.checked_sub(offset_from_utc),
        b'-' => point.checked_add(offset_from_utc),
        _ => None,
    }
}

/// `6m0s`, `7.66s`, `12ms`.
fn with_units(text: &str) -> Option<Duration> {
    let (mut rest, mut seconds) = (text, 0.0);
    while !rest.is_empty() {
        let unit_at = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let number: f64 = rest[..unit_at].parse().ok()?;
        rest = &rest[unit_at..];
        let unit = &rest[..rest.find(|letter: char| letter.is_ascii_digit()).unwrap_or(rest.len())];
        rest = &rest[unit.len()..];
        seconds += number
            * match unit.trim() {
                "d" => 86_400.0,
                "h" => 3_600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 1e-3,
                "us" | "µs" => 1e-6,
                "ns" => 1e-9,
                _ => return None,
            };
    }
    Duration::try_from_secs_f64(seconds).ok().filter(|_| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-21T08:00:00Z
    const NOW_MS: u64 = 1_795_248_000_000;

    fn asked_for(headers: &[(&'static str, &'static str)]) -> Option<u64> {
        let headers =
            headers.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        asked_for_ms(StatusCode::TOO_MANY_REQUESTS, &headers.collect(), NOW_MS)
    }

    #[test]
    fn how_long_to_wait_is_said_in_many_ways() {
        for (text, wait_ms) in [
            ("1.5", Some(1_500)),
            ("Sat, 21 Nov 2026 08:00:30 GMT", Some(30_000)),
            ("Sat, 21 Nov 2026 07:00:00 GMT", Some(0)),
            ("Sat, 21 Nov 2026 23:00:00 GMT", Some(3_600_000)),
            ("2026-11-21T08:00:05Z", Some(5_000)),
            ("2026-11-21T08:00:05+00:00", Some(5_000)),
            ("2026-11-21T09:00:05+01:00", Some(5_000)),
            ("2026-11-21T02:30:05.250-05:30", Some(5_250)),
            ("2026-11-21T09:00:05*01:00", None),
            ("2026-11-21T09:00:05+1:00", None),
            ("1795248030", Some(30_000)),
            ("1795248030500", Some(30_500)),
            ("6m0s", Some(360_000)),
            ("1h2m", Some(3_600_000)),
            ("7.66s", Some(7_660)),
            ("12ms", Some(12)),
            ("1m500ms", Some(60_500)),
            ("1e30", Some(3_600_000)),
            ("-1", None),
            ("soon", None),
            ("", None),
            ("5 parsecs", None),
            ("ms", None),
        ] {
            assert_eq!(asked_for(&[("retry-after", text)]), wait_ms, "{text}");
        }
    }

    #[test]
    fn only_what_can_be_read_is_passed_on() {
        for (text, passes) in [("30", true), ("Sat, 21 Nov 2026 08:00:30 GMT", true), ("soon", false), ("-1", false)] {
            let mut headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(text))]);
            say(&mut headers, None, NOW_MS);
            assert_eq!(headers.contains_key(RETRY_AFTER), passes, "{text}");
        }
    }

    #[test]
    fn what_was_said_in_other_words_is_said_in_those_that_clients_know() {
        for (text, told) in [(None, "2"), (Some("soon"), "2"), (Some("30"), "30")] {
            let said = text.map(|text| (RETRY_AFTER, HeaderValue::from_static(text)));
            let mut headers: HeaderMap = said.into_iter().collect();
            say(&mut headers, Some(1_001), NOW_MS);
            assert_eq!(headers.get(RETRY_AFTER).expect("one"), told, "{text:?}");
        }
    }

    #[test]
    fn what_is_said_outright_counts_first() {
        assert_eq!(asked_for(&[("retry-after", "9"), ("retry-after-ms", "250")]), Some(250));
        assert_eq!(asked_for(&[("retry-after", "9"), ("x-ratelimit-reset-tokens", "1m")]), Some(9_000));
    }

    #[test]
    fn of_several_limits_those_that_are_used_up_count() {
        let limits = [
            ("x-ratelimit-reset-requests", "6m0s"),
            ("x-ratelimit-remaining-requests", "59"),
            ("x-ratelimit-reset-tokens", "12ms"),
            ("x-ratelimit-remaining-tokens", "0"),
        ];
        assert_eq!(asked_for(&limits), Some(12));
        assert_eq!(asked_for(&[limits[0], limits[2]]), Some(360_000), "where none says so, the latest");
        let in_points =
            [("acme-ratelimit-requests-reset", "2026-11-21T08:00:02Z"), ("acme-ratelimit-requests-remaining", "0")];
        assert_eq!(asked_for(&in_points), Some(2_000));
    }

    #[test]
    fn limits_have_many_names() {
        for (name, value) in [
            ("x-ratelimit-reset", "30"),
            ("x-rate-limit-reset", "30"),
            ("x-rate-limit-reset-requests", "30s"),
            ("ratelimit-reset", "30"),
            ("ratelimit", "limit=100, remaining=0, reset=30"),
            ("ratelimit", "\"default\";r=0;t=30"),
            ("ratelimit", "default; r=0; t=30"),
            ("ratelimit", "\"days\";r=9;t=40000, \"minutes\";r=0;t=30"),
        ] {
            assert_eq!(asked_for(&[(name, value)]), Some(30_000), "{name}: {value}");
        }
        for value in ["limit=100, remaining=5", "\"default\";r=0", "reset=soon", ""] {
            assert_eq!(asked_for(&[("ratelimit", value)]), None, "{value}");
        }
        let hyphenated =
            [("x-rate-limit-reset-a", "5"), ("x-rate-limit-remaining-a", "0"), ("x-rate-limit-reset-b", "9")];
        assert_eq!(asked_for(&hyphenated), Some(5_000));
    }

    #[test]
    fn limits_of_a_reply_that_is_about_something_else_mean_nothing() {
        let headers = HeaderMap::from_iter([(
            HeaderName::from_static("x-ratelimit-reset-requests"),
            HeaderValue::from_static("6m0s"),
        )]);
        assert_eq!(asked_for_ms(StatusCode::INTERNAL_SERVER_ERROR, &headers, NOW_MS), None);
    }
}
