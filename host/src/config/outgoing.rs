//! What decides where requests go and what they carry: addresses, headers, certificates, keys, operations.

use super::elsewhere::{Found, is_variable_name, look_up};
use super::meant::{Passphrase, PathOverride, RequestKind, Secret};
use super::mistakes::{At, unknown_name};
use super::reader::{Reader, Typed, mapping, suggest};
use super::scalars::text;
use crate::operation::Operation;
use http::{HeaderName, HeaderValue, Uri, header};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::Value;
use std::collections::BTreeMap;

/// Where a service is: its root, to which paths are joined.
pub(super) struct BaseUrl(pub Uri);

impl Typed for BaseUrl {
    fn shape() -> String {
        "a URL such as https://api.example.com".to_owned()
    }

    fn read(value: &Value, at: &At, reader: &mut Reader<'_>) -> Option<Self> {
        let url = text::<Self>(value, at, reader)?;
        base_url(url).map_err(|message| reader.mistake(at, message)).ok().map(BaseUrl)
    }
}

/// The root of a service. The messages go on after "it".
pub fn base_url(url: &str) -> Result<Uri, &'static str> {
    match url.contains('?') {
        true => Err("must not have a query, as paths are joined to it"),
        false => web_url(url),
    }
}

/// The messages never quote the URL, as people put credentials into them.
fn web_url(url: &str) -> Result<Uri, &'static str> {
    if !url.starts_with("http://") && !url.starts_with("https://") {
        return Err("must begin with http:// or https://");
    }
    if url.contains('#') {
        return Err("must not have a fragment (the part after #)");
    }
    let uri: Uri = url.parse().map_err(|_| "is not a valid URL")?;
    let authority = uri.authority().ok_or("must name a host")?;
    if authority.as_str().contains('@') {
        return Err("must not contain a user name or password; put the credential under `keys`");
    }
    if authority.host().is_empty() {
        return Err("must name a host");
    }
    let says_port = authority.as_str().len() > authority.host().len();
    match authority.port_u16() {
        None | Some(0) if says_port => Err("has a port that is no number from 1 to 65535"),
        _ => Ok(uri),
    }
}

impl Typed for PathOverride {
    fn shape() -> String {
        "a path such as /v1/chat/completions, or a URL".to_owned()
    }

    fn read(value: &Value, at: &At, reader: &mut Reader<'_>) -> Option<Self> {
        let target = text::<Self>(value, at, reader)?;
        let checked = match target.starts_with('/') {
            true => path(target).map(PathOverride::Path),
            false if target.contains("://") => web_url(target).map(PathOverride::Url),
            false => Err("must begin with `/`, or with http:// or https://"),
        };
        checked.map_err(|message| reader.mistake(at, message)).ok()
    }
}

fn path(path: &str) -> Result<String, &'static str> {
    if path.starts_with("//") {
        return Err("must begin with a single `/`");
    }
    if path.contains('#') {
        return Err("must not have a fragment (the part after #)");
    }
    match path.parse::<http::uri::PathAndQuery>() {
        Ok(_) => Ok(path.to_owned()),
        Err(_) => Err("is not a valid path; spaces and special characters are written as %20 and so on"),
    }
}

/// Values by the operations that they are for.
pub(super) struct Requests<T>(pub BTreeMap<RequestKind, T>);

impl<T: Typed> Typed for Requests<T> {
    // Nobody who writes `allowed_requests:` and then comments out all lines below means to allow everything.
    const EMPTY_IS_ABSENT: bool = false;

    fn shape() -> String {
        "a mapping from operations".to_owned()
    }

    fn read(value: &Value, at: &At, reader: &mut Reader<'_>) -> Option<Self> {
        if value.is_null() {
            reader.mistake(at, "is empty; write {} for no operation, or leave the key out");
            return None;
        }
        let map = mapping::<Self>(value, at, reader)?;
        let mut requests = BTreeMap::new();
        for (name, value) in map {
            let at = at.key(unknown_name(name));
            match request_kind(name) {
                Err(message) => reader.mistake(&at, message),
                Ok(kind) => requests.extend(T::read(value, &at, reader).map(|value| (kind, value))),
            }
        }
        Some(Requests(requests))
    }
}

fn request_kind(name: &str) -> Result<RequestKind, String> {
    let known = RequestKind::all();
    known.iter().find(|kind| kind.to_string() == name).copied().ok_or_else(|| {
        let without_stream = name.strip_suffix("_stream").and_then(|name| name.parse::<Operation>().ok());
        if let Some(operation) = without_stream {
            return format!("`{operation}` is never streamed, so there is no `{name}`");
        }
        let names: Vec<String> = known.iter().map(RequestKind::to_string).collect();
        format!("unknown operation `{}`; {}", unknown_name(name), suggest(name, names.iter().map(String::as_str)))
    })
}

/// Headers by name. `T` is what may stand in their values.
pub(super) struct Headers<T>(pub Vec<(HeaderName, T)>);

impl<T: Typed> Typed for Headers<T> {
    fn shape() -> String {
        "a mapping from names of headers".to_owned()
    }

    fn read(value: &Value, at: &At, reader: &mut Reader<'_>) -> Option<Self> {
        let map = mapping::<Self>(value, at, reader)?;
        let mut headers: Vec<(HeaderName, T)> = Vec::new();
        for (name, value) in map {
            let at = at.key(name);
            let checked = header_name(name).and_then(|name| match headers.iter().any(|(other, _)| *other == name) {
                true => Err("is there twice, as names of headers are compared without regard to case"),
                false => Ok(name),
            });
            match checked {
                Err(message) => reader.mistake(&at, message),
                Ok(name) => headers.extend(T::read(value, &at, reader).map(|value| (name, value))),
            }
        }
        Some(Headers(headers))
    }
}

/// The host's own headers, in every direction: they belong to one connection, or say what the host knows better. Neither
/// an operator nor a plugin sets them, and no caller's and no upstream's goes on.
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

fn header_name(name: &str) -> Result<HeaderName, &'static str> {
    let name: HeaderName = name.parse().map_err(|_| "is not a valid name of a header")?;
    match is_host_controlled(&name) {
        true => Err("is a header that the gateway itself controls"),
        false => Ok(name),
    }
}

impl Typed for HeaderName {
    fn shape() -> String {
        "the name of a header such as x-forwarded-email".to_owned()
    }

    fn read(value: &Value, at: &At, reader: &mut Reader<'_>) -> Option<Self> {
        let name = text::<Self>(value, at, reader)?;
        header_name(name).map_err(|message| reader.mistake(at, message)).ok()
    }
}

/// Custom headers often are credentials, so they are treated as such.
impl Typed for HeaderValue {
    fn shape() -> String {
        "a string".to_owned()
    }

    fn read(value: &Value, at: &At, reader: &mut Reader<'_>) -> Option<Self> {
        let secret = secret::<Self>(value, at, reader)?;
        Some(secret.value.expose().clone())
    }
}

/// A header's value with places for the plugin to fill in.
pub(super) struct Template(pub String);

impl Typed for Template {
    fn shape() -> String {
        "a string such as \"Bearer {{api_key}}\"".to_owned()
    }

    fn read(value: &Value, at: &At, reader: &mut Reader<'_>) -> Option<Self> {
        let template = text::<Self>(value, at, reader)?;
        if template == MASK {
            reader.mistake(at, IS_MASK);
            return None;
        }
        if may_hold_secret(template) {
            reader.secret(at);
        }
        Some(Template(template.to_owned()))
    }
}

/// People write credentials into templates as they stand. What is surely none is `{{places}}` and one word of letters
/// beside them, such as `Bearer`.
pub fn may_hold_secret(template: &str) -> bool {
    const LONGEST_WORD: usize = 8;
    let mut beside = String::new();
    let mut rest = template;
    while let Some((before, (_, after))) =
        rest.split_once("{{").and_then(|(before, inside)| Some((before, inside.split_once("}}")?)))
    {
        beside.push_str(before);
        rest = after;
    }
    beside.push_str(rest);
    let word = beside.trim();
    let has_places = rest.len() < template.len();
    !has_places || word.len() > LONGEST_WORD || !word.bytes().all(|byte| byte.is_ascii_alphabetic())
}

/// A secret and whether it stands in the file itself.
pub(super) struct KeyValue {
    pub value: Secret,
    pub literal: bool,
}

impl Typed for KeyValue {
    fn shape() -> String {
        REFERENCE.to_owned()
    }

    fn read(value: &Value, at: &At, reader: &mut Reader<'_>) -> Option<Self> {
        secret::<Self>(value, at, reader)
    }
}

const REFERENCE: &str = "a string, best env.NAME for an environment variable or file.PATH for a file";

/// Words that a key is made from; unlike a key to a service, they may have any characters.
impl Typed for Passphrase {
    fn shape() -> String {
        REFERENCE.to_owned()
    }

    fn read(value: &Value, at: &At, reader: &mut Reader<'_>) -> Option<Self> {
        const SHORT: usize = 16;
        let typed = text::<Self>(value, at, reader)?;
        let words = match look_up(typed, reader) {
            Some(found) => found.map(|found| found.text),
            None => {
                reader.warn(at, "the words stand in the file; env.NAME would keep them out");
                Ok(typed.to_owned())
            }
        };
        let words = words.map_err(|message| reader.mistake(at, message)).ok()?;
        if words.chars().count() < SHORT {
            reader.warn(at, format!("fewer than {SHORT} characters can be guessed"));
        }
        Some(Passphrase::new(words))
    }
}

/// No message in here may hold the value, only where it should have come from.
fn secret<T: Typed>(value: &Value, at: &At, reader: &mut Reader<'_>) -> Option<KeyValue> {
    let typed = text::<T>(value, at, reader)?;
    let resolved = match look_up(typed, reader) {
        Some(found) => found.and_then(from_elsewhere),
        None => literal(typed),
    };
    if resolved.as_ref().is_ok_and(|value| value.literal) {
        reader.secret(at);
    }
    resolved.map_err(|message| reader.mistake(at, message)).ok()
}

/// What a secret is shown as.
pub(super) const MASK: &str = "***";
const IS_MASK: &str = "is what secrets are shown as, and there is none here to keep; write it out, or env.NAME";

fn from_elsewhere(found: Found) -> Result<KeyValue, String> {
    let fault = || found.fault("has a line break or another character in it that no header can carry");
    Ok(KeyValue { value: Secret::new(&found.text).ok_or_else(fault)?, literal: false })
}

fn literal(text: &str) -> Result<KeyValue, String> {
    if text == MASK {
        return Err(IS_MASK.to_owned());
    }
    let shell = text.strip_prefix('$').map(|name| name.trim_start_matches('{').trim_end_matches('}'));
    if let Some(name) = shell.filter(|name| is_variable_name(name)) {
        return Err(format!("is not expanded as a shell would; write env.{name}"));
    }
    let value = Secret::new(text).ok_or("has a line break or another character in it that no header can carry")?;
    Ok(KeyValue { value, literal: true })
}

/// Certificates in PEM, good enough to be trusted.
pub(super) struct Certificates(pub Vec<CertificateDer<'static>>);

impl Typed for Certificates {
    fn shape() -> String {
        "a certificate in PEM, beginning with -----BEGIN CERTIFICATE-----, or file.PATH or env.NAME".to_owned()
    }

    fn read(value: &Value, at: &At, reader: &mut Reader<'_>) -> Option<Self> {
        let typed = value.as_str().unwrap_or_default();
        let found = look_up(typed, reader).transpose().map_err(|message| reader.mistake(at, message)).ok()?;
        let pem = found.as_ref().map_or(typed, |found| &found.text);
        let whole = pem.contains("-----BEGIN CERTIFICATE-----") && pem.contains("-----END CERTIFICATE-----");
        let fault = match (&found, whole) {
            _ if pem.contains("PRIVATE KEY") => "has a private key in it; only certificates belong here".to_owned(),
            (None, false) => {
                reader.wrong::<Self>(at, value);
                return None;
            }
            (Some(_), false) => "has no certificate in PEM in it".to_owned(),
            (_, true) => match certificates(pem) {
                Ok(certificates) => return Some(Certificates(certificates)),
                Err(fault) => fault,
            },
        };
        reader.mistake(at, found.map_or(fault.clone(), |found| found.fault(&fault)));
        None
    }
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let mut roots = RootCertStore::empty();
    let mut certificates = Vec::new();
    for (index, certificate) in CertificateDer::pem_slice_iter(pem.as_bytes()).enumerate() {
        let good = certificate.ok().filter(|certificate| roots.add(certificate.clone()).is_ok());
        certificates.push(good.ok_or_else(|| {
            let number = index + 1;
            format!(
                "certificate {number} in it cannot be read; copy it as a whole, with its line breaks (`ca_cert_pem: |`)"
            )
        })?);
    }
    Ok(certificates)
}
