//! send: an HTTP request → an upstream's reply. The only place that opens connections.

mod body;
mod clients;
mod derived;

pub use body::UpstreamBody;
pub use clients::Upstreams;
pub use derived::{Derived, Lent};

use super::attempt::Attempt;
use crate::error::{Failure, FailureKind};
use crate::framing::Framing;
use crate::plugins::api::provider::Auth;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::Full;
use std::error::Error;

/// A planned request, before its headers are finished.
pub struct Outbound {
    pub destination: Destination,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub auth: Option<Auth>,
    pub body: Bytes,
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

/// An upstream's reply with its body.
pub struct WholeReply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Sends a request and waits for the reply's headers.
pub async fn send(attempt: &Attempt<'_>, request: Request<Full<Bytes>>) -> Result<UpstreamReply, Failure> {
    let Attempt { gateway, call, candidate, .. } = attempt;
    let network = &candidate.target.config.network;
    let name = &candidate.target.config.name;
    let client = gateway.upstreams.client(&network.tls, network.timeouts.connect).map_err(|error| {
        Failure::new(FailureKind::Unavailable, format!("the provider `{name}` cannot be used now"))
            .detail(format!("providers.{name}.network_config: {error}"))
    })?;
    let limit = network.timeouts.request;
    let response = match tokio::time::timeout(limit, client.request(request)).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => return Err(unreachable(name, &error)),
        Err(_) => {
            return Err(Failure::new(
                FailureKind::Timeout,
                format!("the provider `{name}` did not answer within {} s", limit.as_secs_f64()),
            )
            .code("upstream_timeout"));
        }
    };
    let (parts, body) = response.into_parts();
    let body = UpstreamBody::new(body, &parts.headers, &network.timeouts, &call.snapshot.config.limits)?;
    Ok(UpstreamReply { status: parts.status, headers: parts.headers, body })
}

/// Sends a request and waits for the whole reply.
pub async fn whole(attempt: &Attempt<'_>, request: Request<Full<Bytes>>) -> Result<WholeReply, Failure> {
    let UpstreamReply { status, headers, body } = send(attempt, request).await?;
    Ok(WholeReply { status, headers, body: body.whole().await? })
}

/// No reply at all. The error's text may name the address, so it is for the operator.
fn unreachable(name: &str, error: &hyper_util::client::legacy::Error) -> Failure {
    let mut detail = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        detail = format!("{detail}: {cause}");
        source = cause.source();
    }
    let message = match error.is_connect() {
        true => format!("no connection to the provider `{name}` could be made"),
        false => format!("the provider `{name}` closed the connection without an answer"),
    };
    Failure::upstream(message).code("upstream_unreachable").detail(detail)
}
