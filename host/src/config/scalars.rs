//! Single values as the user types them: numbers, durations, addresses, names.

use super::meant::{Isolation, LogFormat, PluginRequest, Strategy};
use super::mistakes::At;
use super::proxy::ProxyKind;
use super::reader::{Reader, Typed};
use serde_json::{Map, Value};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;
use tracing::level_filters::LevelFilter;

/// The string behind `value`; notes where there is none, or an empty one, or one with control characters in it.
pub(super) fn text<'v, T: Typed>(value: &'v Value, at: &At, reader: &mut Reader<'_>) -> Option<&'v str> {
    let fault = match value {
        Value::String(text) if text.trim().is_empty() => "must not be empty".to_owned(),
        Value::String(text) if text.chars().any(char::is_control) => {
            "must not contain line breaks or other control characters".to_owned()
        }
        Value::String(text) => return Some(text),
        Value::Number(_) | Value::Bool(_) if T::SHOWN => {
            format!("must be {}; put quotes around {value}", T::shape())
        }
        other => {
            reader.wrong::<T>(at, other);
            return None;
        }
    };
    reader.mistake(at, fault);
    None
}

impl Typed for bool {
    const SHOWN: bool = true;

    fn shape() -> String {
        "true or false".to_owned()
    }

    fn read(value: &Value, at: &At, reader: &mut Reader<'_>) -> Option<Self> {
        if value.as_bool().is_none() {
            reader.wrong::<Self>(at, value);
        }
        value.as_bool()
    }
}

/// A name that is not looked into.
impl Typed for String {
    const SHOWN: bool = true;

    fn shape() -> String {
        "a string".to_owned()
    }

    fn read(value: &Value, at: &At, reader: &mut Reader<'_>) -> Option<Self> {
        text::<Self>(value, at, reader).map(str::to_owned)
    }
}

/// A whole number within its range.
pub(super) struct Whole<const MIN: u64, const MAX: u64>(pub u64);

impl<const MIN: u64, const MAX: u64> Typed for Whole<MIN, MAX> {
    const SHOWN: bool = true;

    fn shape() -> String {
        format!("a whole number from {MIN} to {MAX}")
    }

    fn read(value: &Value, at: &At, reader: &mut Reader<'_>) -> Option<Self> {
        let number = value.as_u64().filter(|number| (MIN..=MAX).contains(number));
        if number.is_none() {
            reader.wrong::<Self>(at, value);
        }
        number.map(Whole)
    }
}

pub(super) struct Seconds(pub Duration);

impl Seconds {
    /// Longer than this is a slip of units.
    const MAX: f64 = 86_400.0;
}

impl Typed for Seconds {
    const SHOWN: bool = true;

    fn shape() -> String {
        "a number of seconds above 0 and up to 86400, such as 30 or 0.5".to_owned()
    }

    fn read(value: &Value, at: &At, reader: &mut Reader<'_>) -> Option<Self> {
        let seconds = value.as_f64().filter(|seconds| *seconds >= 0.001 && *seconds <= Seconds::MAX);
        if seconds.is_none() {
            reader.wrong::<Self>(at, value);
        }
        seconds.map(|seconds| Seconds(Duration::from_secs_f64(seconds)))
    }
}

pub(super) struct Weight(pub f64);

impl Weight {
    /// So that no sum of weights leaves the range of numbers.
    const MAX: f64 = 1e9;
}

impl Typed for Weight {
    const SHOWN: bool = true;

    fn shape() -> String {
        "a number such as 1.0, not below 0".to_owned()
    }

    fn read(value: &Value, at: &At, reader: &mut Reader<'_>) -> Option<Self> {
        let weight = value.as_f64().filter(|weight| (0.0..=Weight::MAX).contains(weight));
        if weight.is_none() {
            reader.wrong::<Self>(at, value);
        }
        weight.map(Weight)
    }
}

/// US dollars.
pub(super) struct Price(pub f64);

impl Price {
    const MAX: f64 = 1e6;
}

impl Typed for Price {
    const SHOWN: bool = true;

    fn shape() -> String {
        "a number of US dollars such as 2.5, not below 0".to_owned()
    }

    fn read(value: &Value, at: &At, reader: &mut Reader<'_>) -> Option<Self> {
        let price = value.as_f64().filter(|price| (0.0..=Price::MAX).contains(price));
        if price.is_none() {
            reader.wrong::<Self>(at, value);
        }
        price.map(Price)
    }
}

/// A day of the calendar.
pub(super) struct Day(pub String);

impl Typed for Day {
    const SHOWN: bool = true;

    fn shape() -> String {
        "a day such as 2027-01-31".to_owned()
    }

    fn read(value: &Value, at: &At, reader: &mut Reader<'_>) -> Option<Self> {
        let day = value.as_str().filter(|day| humantime::parse_rfc3339(&format!("{day}T00:00:00Z")).is_ok());
        if day.is_none() {
            reader.wrong::<Self>(at, value);
        }
        day.map(|day| Day(day.to_owned()))
    }
}

pub(super) struct Listen(pub SocketAddr);

impl FromStr for Listen {
    type Err = ();

    /// A port alone is one of this machine's own: whoever means to be reached from elsewhere says so.
    fn from_str(text: &str) -> Result<Self, ()> {
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let port = text.strip_prefix("localhost:").or(text.strip_prefix(':')).unwrap_or(text);
        let address = match port.parse::<u16>() {
            Ok(port) => Some(SocketAddr::new(loopback, port)),
            Err(_) => text.parse().ok(),
        };
        address.map(Listen).ok_or(())
    }
}

impl Typed for Listen {
    const SHOWN: bool = true;

    fn shape() -> String {
        "an IP address and a port such as 127.0.0.1:8080, or 0.0.0.0:8080 for all addresses of the machine".to_owned()
    }

    fn read(value: &Value, at: &At, reader: &mut Reader<'_>) -> Option<Self> {
        let text = match value {
            Value::Number(port) => port.to_string(),
            Value::String(text) => text.trim().to_owned(),
            _ => String::new(),
        };
        let listen = text.parse().ok();
        if listen.is_none() {
            reader.wrong::<Self>(at, value);
        }
        listen
    }
}

/// One of a few words.
trait Choice: Sized + Copy + 'static {
    const WORDS: &[(&'static str, Self)];
}

impl Choice for LevelFilter {
    const WORDS: &[(&'static str, Self)] = &[
        ("off", LevelFilter::OFF),
        ("error", LevelFilter::ERROR),
        ("warn", LevelFilter::WARN),
        ("info", LevelFilter::INFO),
        ("debug", LevelFilter::DEBUG),
        ("trace", LevelFilter::TRACE),
    ];
}

impl Choice for LogFormat {
    const WORDS: &[(&'static str, Self)] = &[("text", LogFormat::Text), ("json", LogFormat::Json)];
}

impl Choice for Isolation {
    const WORDS: &[(&'static str, Self)] = &[("shared", Isolation::Shared), ("per-request", Isolation::PerRequest)];
}

impl Choice for Strategy {
    const WORDS: &[(&'static str, Self)] = &[
        ("weighted", Strategy::Weighted),
        ("least-in-flight", Strategy::LeastInFlight),
        ("lowest-latency", Strategy::LowestLatency),
        ("in-order", Strategy::InOrder),
    ];
}

impl Choice for ProxyKind {
    const WORDS: &[(&'static str, Self)] = &[
        ("none", ProxyKind::None),
        ("http", ProxyKind::Http),
        ("socks5", ProxyKind::Socks5),
        ("environment", ProxyKind::Environment),
    ];
}

macro_rules! typed_choices {
    ($($type:ty),+) => {$(
        impl Typed for $type {
            const SHOWN: bool = true;

            fn shape() -> String {
                let words: Vec<&str> = <$type>::WORDS.iter().map(|(word, _)| *word).collect();
                format!("one of {}", words.join(", "))
            }

            fn read(value: &Value, at: &At, reader: &mut Reader<'_>) -> Option<Self> {
                let chosen = <$type>::WORDS.iter().find(|(word, _)| value.as_str() == Some(*word));
                if chosen.is_none() {
                    reader.wrong::<Self>(at, value);
                }
                chosen.map(|(_, meaning)| *meaning)
            }
        }
    )+};
}
typed_choices!(LevelFilter, LogFormat, Isolation, Strategy, ProxyKind);

/// A folder, relative to that of the configuration.
pub(super) struct Folder(pub PathBuf);

impl Typed for Folder {
    const SHOWN: bool = true;

    fn shape() -> String {
        "the path of a folder".to_owned()
    }

    fn read(value: &Value, at: &At, reader: &mut Reader<'_>) -> Option<Self> {
        let path = text::<Self>(value, at, reader)?;
        Some(Folder(reader.base.join(path)))
    }
}

/// A file, relative to the folder of the configuration.
pub(super) struct FilePath(pub PathBuf);

impl Typed for FilePath {
    const SHOWN: bool = true;

    fn shape() -> String {
        "the path of a file".to_owned()
    }

    fn read(value: &Value, at: &At, reader: &mut Reader<'_>) -> Option<Self> {
        let path = text::<Self>(value, at, reader)?;
        Some(FilePath(reader.base.join(path)))
    }
}

/// Tells a name from a slip, such as a path or a sentence. Which names there are, the plugins themselves say.
pub(super) fn is_plugin_name(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    name.len() <= 64 && name.starts_with(|first: char| first.is_ascii_alphanumeric()) && name.bytes().all(inner)
}

impl FromStr for PluginRequest {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, range) = match text.split_once('@') {
            Some((name, range)) => (name, Some(range)),
            None => (text, None),
        };
        if !is_plugin_name(name) {
            let message = "must name a plugin, such as echo or echo@^1.2, with letters, digits, `-`, `_` and `.`";
            return Err(message.to_owned());
        }
        let versions = match range {
            None => semver::VersionReq::STAR,
            Some("") => return Err("needs a range of versions after `@`, such as `^1.2`".to_owned()),
            Some(range) => range.parse().map_err(|fault| {
                format!("needs a range of versions after `@`, such as `^1.2`, `=1.2.3` or `>=1, <3`: {fault}")
            })?,
        };
        Ok(PluginRequest { name: name.to_owned(), versions })
    }
}

impl Typed for PluginRequest {
    const SHOWN: bool = true;

    fn shape() -> String {
        "the name of a plugin, with or without a range of versions, such as \"echo@^1.2\"".to_owned()
    }

    fn read(value: &Value, at: &At, reader: &mut Reader<'_>) -> Option<Self> {
        let request = text::<Self>(value, at, reader)?.parse();
        request.map_err(|message: String| reader.mistake(at, message)).ok()
    }
}

/// Whatever the plugin wants to be told. Its own schema says what is right.
impl Typed for Map<String, Value> {
    fn shape() -> String {
        "a mapping".to_owned()
    }

    fn read(value: &Value, at: &At, reader: &mut Reader<'_>) -> Option<Self> {
        if !value.is_object() {
            reader.wrong::<Self>(at, value);
        }
        value.as_object().cloned()
    }
}
