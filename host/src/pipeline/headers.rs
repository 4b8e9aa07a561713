//! headers: Outbound → an HTTP request. The caller's headers that may go on, the plugin's over them, then the credential,
//! and the operator's own over all. Secrets come in only after every plugin has been asked.

use super::attempt::Attempt;
use super::call::Call;
use super::hygiene;
use super::problem;
use super::route::Candidate;
use super::scrub::{self, Scrub};
use super::send::{Lent, Outbound, Payload};
use crate::config::{Secret, is_host_controlled};
use crate::error::{Failure, FailureKind};
use crate::plugins::Configured;
use crate::plugins::api::Header;
use crate::plugins::api::headers::Variable;
use crate::plugins::api::provider::{Auth, Placement};
use crate::snapshot::{HEADER_VARIABLE, Template, Templates};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// What plugins call the configured key.
pub const API_KEY: &str = "api_key";

/// Of one plugin, in one request.
const MAX_HEADERS: usize = 64;

const AGENT: HeaderValue = HeaderValue::from_static(concat!("plugway/", env!("CARGO_PKG_VERSION")));
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const ANYTHING: HeaderValue = HeaderValue::from_static("*/*");
const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");

/// The headers that a plugin asks for, as far as it may.
pub fn of_plugin(plugin: &Configured, headers: &[Header]) -> Result<Vec<(HeaderName, HeaderValue)>, Failure> {
    let broke = |what: String| problem::from_call(plugin.broke_contract(what));
    if headers.len() > MAX_HEADERS {
        return Err(broke(format!("it asks for {} headers; at most {MAX_HEADERS} are sent", headers.len())));
    }
    headers
        .iter()
        .map(|header| {
            let name = HeaderName::from_bytes(header.name.as_bytes())
                .map_err(|_| broke(format!("{:?} is no name of a header", header.name)))?;
            if is_host_controlled(&name) {
                return Err(broke(format!("the header `{name}` is the host's")));
            }
            let value = HeaderValue::from_str(&header.value)
                .map_err(|_| broke(format!("the value of the header `{name}` has characters that it may not have")))?;
            Ok((name, value))
        })
        .collect()
}

/// An upstream's headers for a plugin to read.
pub fn for_plugin<'a>(headers: impl Iterator<Item = (&'a HeaderName, &'a HeaderValue)>) -> Vec<Header> {
    headers
        .filter_map(|(name, value)| {
            Some(Header { name: name.as_str().to_owned(), value: value.to_str().ok()?.to_owned() })
        })
        .collect()
}

/// A request with its secrets in it, and what must be taken out of whatever is said to it.
pub struct Sealed {
    pub request: Request<Payload>,
    pub scrub: Scrub,
    /// The derived credential among them.
    pub lent: Option<Lent>,
}

/// The request as it goes out.
pub async fn finish(attempt: &Attempt<'_>, outbound: Outbound) -> Result<Sealed, Failure> {
    let Attempt { gateway, call, candidate, .. } = attempt;
    let mut headers = before_secrets(call, candidate, &outbound);
    let Outbound { destination, headers: of_plugin, auth, lent, body, .. } = outbound;
    for (name, value) in of_plugin {
        headers.insert(name, value);
    }
    let rendered = match &candidate.ready.headers {
        Some(templates) => render(call, candidate, templates).await?,
        None => Vec::new(),
    };
    let mut url = destination.url;
    let mut carried = None;
    if let Some(auth) = &auth {
        let (secret, derived) = credential(candidate, auth, &lent)?;
        url = place(&mut headers, url, auth, secret).ok_or_else(|| {
            let what = "it wants a credential where none may stand, or where there is no room for it";
            problem::from_call(candidate.ready.plugin.broke_contract(what))
        })?;
        carried = derived.cloned();
    }
    let derived = gateway.upstreams.derived().secrets_of(candidate);
    let derived = derived.into_iter().chain(lent.into_iter().map(|lent| lent.secret));
    let scrub = gateway.scrubs.of(candidate, derived, &rendered);
    // Over the credential too: an operator who writes an authorization header means it.
    for (name, value) in candidate.target.config.network.extra_headers.iter().cloned().chain(rendered) {
        headers.insert(name, value);
    }
    let mut request = Request::new(body);
    *request.method_mut() = destination.method;
    *request.uri_mut() = url;
    *request.headers_mut() = headers;
    Ok(Sealed { request, scrub, lent: carried })
}

/// The caller's that may go on, and the gateway's own.
fn before_secrets(call: &Call, candidate: &Candidate, outbound: &Outbound) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(16);
    if outbound.dialect == call.dialect() {
        // What the operator fills in is the operator's alone, also where there is nothing to fill in.
        let templates = candidate.ready.headers.iter().flat_map(|templates| &templates.templates);
        let is_operators = |name: &HeaderName| templates.clone().any(|template| template.name == *name);
        let callers = &call.snapshot.config.callers;
        let passing = hygiene::upwards(&call.headers);
        let passing = passing.filter(|(name, _)| !is_operators(name) && !callers.are_known_by(name));
        headers.extend(passing.map(|(name, value)| (name.clone(), value.clone())));
    }
    headers.insert(USER_AGENT, AGENT);
    let accepted = match outbound.framing {
        Some(_) => EVENTS,
        None if candidate.kind.operation.answers_in_bytes() => ANYTHING,
        None => JSON,
    };
    headers.insert(ACCEPT, accepted);
    if !outbound.body.is_empty() {
        headers.insert(CONTENT_TYPE, outbound.body.content_type.clone());
    }
    headers
}

/// What a plugin asks for by its name: the configured key, or what it was told of.
fn credential<'a>(
    candidate: &'a Candidate,
    auth: &Auth,
    lent: &'a [Lent],
) -> Result<(&'a Secret, Option<&'a Lent>), Failure> {
    let found = match auth.credential.as_str() {
        API_KEY => candidate.key().map(|key| (&key.secret, None)),
        derived => lent.iter().find(|lent| lent.name == derived).map(|lent| (&lent.secret, Some(lent))),
    };
    found.ok_or_else(|| {
        let what = format!("it asks for the credential `{}`, which there is not", auth.credential);
        problem::from_call(candidate.ready.plugin.broke_contract(what))
    })
}

async fn render(
    call: &Call,
    candidate: &Candidate,
    templates: &Templates,
) -> Result<Vec<(HeaderName, HeaderValue)>, Failure> {
    let placeholder = format!("plugway-secret-{:016x}", fastrand::u64(..));
    let mut variables: Vec<Variable> = Vec::new();
    let mut wanted: Vec<Header> = Vec::new();
    for Template { name, text, variables: names } in &templates.templates {
        let values: Option<Vec<Variable>> = names
            .iter()
            .map(|name| Some(Variable { name: name.clone(), value: value(call, candidate, name, &placeholder)? }))
            .collect();
        // A header whose variable has no value in this request is left out.
        if let Some(values) = values {
            values.iter().try_for_each(|variable| may_be_carried(name, variable))?;
            variables.extend(values);
            wanted.push(Header { name: name.as_str().to_owned(), value: text.clone() });
        }
    }
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let plugin = &templates.plugin;
    let rendered = plugin.render(call.moment, &wanted, &variables).await.map_err(problem::from_call)?;
    if !rendered.iter().map(|header| &header.name).eq(wanted.iter().map(|header| &header.name)) {
        return Err(problem::from_call(plugin.broke_contract("it rendered other headers than it was given")));
    }
    let secret = candidate.key().map(|key| &key.secret);
    of_plugin(plugin, &rendered)?
        .into_iter()
        .map(|(name, value)| Ok((name, reveal(value, &placeholder, secret)?)))
        .collect()
}

/// Callers choose what stands in some variables. What no header can carry, a line break above all, is their mistake; the
/// plugin that put it into a header would be blamed for it, and put to rest.
fn may_be_carried(header: &HeaderName, variable: &Variable) -> Result<(), Failure> {
    let Variable { name, value } = variable;
    HeaderValue::from_str(value).map(drop).map_err(|_| {
        let message = format!("`{name}` has characters in it that no header can carry, and `{header}` is made from it");
        Failure::invalid(message).at(name.as_str())
    })
}

/// What a template's variable is in this request.
fn value(call: &Call, candidate: &Candidate, name: &str, placeholder: &str) -> Option<String> {
    match name {
        "api_key" => candidate.key().map(|_| placeholder.to_owned()),
        "model" => Some(candidate.model.clone()),
        "provider" => Some(candidate.target.config.name.clone()),
        "request_id" => Some(call.id.clone()),
        name => match call.snapshot.config.callers.header(name) {
            Some(header) => said_once(&call.headers, header),
            None => {
                let value = call.headers.get(name.strip_prefix(HEADER_VARIABLE)?)?;
                value.to_str().ok().map(str::to_owned)
            }
        },
    }
}

/// Who a caller is. Of two such headers one may be the caller's own, beside that of whoever is trusted.
fn said_once(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().filter(|_| values.next().is_none())?;
    value.to_str().ok().map(str::to_owned)
}

/// Puts the secret where the placeholder stands.
fn reveal(value: HeaderValue, placeholder: &str, secret: Option<&Secret>) -> Result<HeaderValue, Failure> {
    let found = |secret: &&Secret| {
        memchr::memmem::find(value.as_bytes(), placeholder.as_bytes()).is_some() && !secret.expose().is_empty()
    };
    let Some(secret) = secret.filter(found) else { return Ok(value) };
    let revealed = scrub::replace(value.as_bytes(), placeholder.as_bytes(), secret.expose().as_bytes());
    let mut value = HeaderValue::from_bytes(&revealed)
        .map_err(|_| Failure::new(FailureKind::Internal, "a header could not be made from its template"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Puts a secret where the plugin said; None where it may not stand there.
fn place(headers: &mut HeaderMap, url: Uri, auth: &Auth, secret: &Secret) -> Option<Uri> {
    match &auth.placement {
        Placement::Bearer => {
            let bearer = [b"Bearer ", secret.expose().as_bytes()].concat();
            insert_secret(headers, AUTHORIZATION, &bearer)?;
            Some(url)
        }
        Placement::Header(name) => {
            let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
            if is_host_controlled(&name) {
                return None;
            }
            insert_secret(headers, name, secret.expose().as_bytes())?;
            Some(url)
        }
        Placement::Query(name) => with_query(url, name, secret),
    }
}

fn insert_secret(headers: &mut HeaderMap, name: HeaderName, bytes: &[u8]) -> Option<()> {
    let mut value = HeaderValue::from_bytes(bytes).ok()?;
    value.set_sensitive(true);
    headers.insert(name, value);
    Some(())
}

fn with_query(url: Uri, name: &str, secret: &Secret) -> Option<Uri> {
    let secret = percent_encoding::percent_encode(secret.expose().as_bytes(), NON_ALPHANUMERIC);
    let name = utf8_percent_encode(name, NON_ALPHANUMERIC);
    let separator = if url.query().is_some() { '&' } else { '?' };
    let path = url.path_and_query().map_or("/", PathAndQuery::as_str);
    let path = format!("{path}{separator}{name}={secret}");
    let mut parts = url.into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(path).ok()?);
    Uri::from_parts(parts).ok()
}
