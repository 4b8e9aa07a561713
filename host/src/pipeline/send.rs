//! send: an HTTP request → an upstream's reply. The only place that opens connections.

mod body;
mod clients;
mod connector;
mod derived;
mod dial;
mod payload;
mod resolve;
mod tls;
mod tunnel;
mod unpack;

pub use body::UpstreamBody;
pub use clients::Upstreams;
pub use derived::{Derived, Lent};
pub use payload::Payload;

use super::attempt::Attempt;
use super::limit::within;
use crate::address::Forbidden;
use crate::error::{Failure, FailureKind};
use crate::framing::Framing;
use crate::plugins::api::provider::Auth;
use connector::NoPlace;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri};
use std::error::Error;
use std::{io, iter};

/// A planned request, before its headers are finished.
pub struct Outbound {
    pub destination: Destination,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub auth: Option<Auth>,
    /// The derived credentials that the plan was told of; they are held, so that what it was told stays true.
    pub lent: Vec<Lent>,
    pub body: Payload,
    pub dialect: String,
    /// None where the answer is one document.
    pub framing: Option<Framing>,
}

/// Where a request goes: chosen by the operator, the path by the plugin.
pub struct Destination {
    pub method: Method,
    pub url: Uri,
}

/// An upstream's reply, its body still to come.
pub struct UpstreamReply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: UpstreamBody,
}

/// Sends a request and waits for the reply's headers.
pub async fn send(attempt: &Attempt<'_>, request: Request<Payload>) -> Result<UpstreamReply, Failure> {
    let Attempt { gateway, call, candidate, .. } = attempt;
    let network = &candidate.target.config.network;
    let name = &candidate.target.config.name;
    let client = gateway.upstreams.client(&network.line).map_err(|error| {
        Failure::new(FailureKind::Unavailable, format!("the provider `{name}` cannot be used now"))
            .detail(format!("providers.{name}.network_config: {error}"))
    })?;
    let asked = async { client.request(request).await.map_err(|error| unreachable(name, &error)) };
    let late = || format!("the provider `{name}` did not answer");
    let response = within(network.timeouts.request, "upstream_timeout", late, asked).await?;
    let (parts, body) = response.into_parts();
    let body = UpstreamBody::new(body, &parts.headers, &network.timeouts, &call.snapshot.config.limits);
    Ok(UpstreamReply { status: parts.status, headers: parts.headers, body })
}

/// Roughly when it is worth coming again.
const BUSY_RETRY_MS: u64 = 1_000;

/// No reply at all. The error's text may name the address, so it is for the operator.
fn unreachable(name: &str, error: &hyper_util::client::legacy::Error) -> Failure {
    let detail = in_words(error);
    if causes(error).any(|cause| cause.is::<Forbidden>()) {
        let message = format!("the provider `{name}` has an address that the gateway does not call");
        return Failure::new(FailureKind::ForbiddenAddress, message).code("upstream_forbidden_address").detail(detail);
    }
    if causes(error).any(|cause| cause.is::<NoPlace>()) {
        // Of our own making: it must not count as the service being overloaded.
        let message = format!("every connection that there may be to the provider `{name}` is in use");
        return Failure::new(FailureKind::Unavailable, message)
            .code("upstream_busy")
            .retry_after_ms(Some(BUSY_RETRY_MS))
            .detail(detail);
    }
    let message = match error.is_connect() {
        true => format!("no connection to the provider `{name}` could be made"),
        false => format!("the provider `{name}` closed the connection without an answer"),
    };
    Failure::upstream(message).code("upstream_unreachable").detail(detail)
}

/// An error and what caused it, with the advice that there is.
fn in_words(error: &(dyn Error + 'static)) -> String {
    let mut said: Vec<String> = Vec::new();
    for cause in causes(error) {
        let words = cause.to_string();
        // Some errors speak for their cause.
        if said.last().is_none_or(|last| !last.contains(&words)) {
            said.push(words);
        }
    }
    let is_stranger = |cause: &(dyn Error + 'static)| {
        use rustls::{CertificateError, Error::InvalidCertificate};
        matches!(cause.downcast_ref(), Some(InvalidCertificate(CertificateError::UnknownIssuer)))
    };
    let advice = match causes(error).any(is_stranger) {
        true => "; if that is your own authority, add its certificate as network_config.ca_cert_pem",
        false => "",
    };
    format!("{}{advice}", said.join(": "))
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    iter::successors(Some(error), |&error| {
        // An I/O error hides what it was made of.
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        inner.map(|inner| inner as &(dyn Error + 'static)).or_else(|| error.source())
    })
}
