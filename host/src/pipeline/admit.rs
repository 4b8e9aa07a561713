//! admit: HTTP call → Admitted. Which route, which generation, and the body, bounded in size and time.

mod room;

pub use room::Room;

use super::addressee::{self, Addressee};
use super::call::{Call, Gateway};
use super::encode::Failed;
use crate::config::Limits;
use crate::error::{Failure, FailureKind};
use crate::plugins::Moment;
use crate::snapshot::{ClientRoute, RouteError, Snapshot};
use crate::telemetry::Record;
use bytes::{Bytes, BytesMut};
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Method, Request, request};
use http_body::Body;
use http_body_util::BodyExt;
use room::Place;
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const LONGEST_DRAIN: Duration = Duration::from_secs(5);

/// A call that may go on.
pub struct Admitted {
    pub call: Arc<Call>,
    pub body: Bytes,
    pub record: Record,
    /// As long as this is held, the body has its place.
    pub _place: Place,
}

impl Admitted {
    pub fn into_failed(self, failure: Failure) -> Failed {
        Failed { failure, route: Some(self.call.route.clone()), moment: self.call.moment, record: self.record }
    }
}

pub async fn admit<B>(gateway: &Gateway, request: Request<B>) -> Result<Admitted, Box<Failed>>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let (parts, body) = request.into_parts();
    let request::Parts { method, uri, headers, .. } = parts;
    let moment = Moment { now_ms: now_ms(), seed: fastrand::u64(..) };
    let mut record = Record::new(
        format!("req_{:016x}{:08x}", fastrand::u64(..), fastrand::u32(..)),
        method.clone(),
        uri.path().to_owned(),
        gateway.metrics.clone(),
        gateway.access_log.clone(),
    );
    let snapshot = gateway.live.current();
    let Found { addressee, route, parameters } = match find(&snapshot, &method, uri.path(), &headers, &mut record) {
        Ok(found) => found,
        Err(failure) => {
            let route = snapshot.nearest_route(addressee::below(uri.path()), &headers).cloned();
            return Err(Box::new(Failed { failure, route, moment, record }));
        }
    };
    record.operation = route.operation.name();
    let limits = &snapshot.config.limits;
    let deadline = record.began + limits.total_timeout;
    let mut place = gateway.room.place(limits.bodies_bytes);
    let reading = read(body, &headers, limits, &mut place);
    let in_time = tokio::time::timeout_at(deadline.into(), reading).await;
    let body = match in_time.unwrap_or_else(|_| Err(too_slow())) {
        Ok(body) => body,
        Err(failure) => return Err(Box::new(Failed { failure, route: Some(route), moment, record })),
    };
    let id = record.request_id.clone();
    let call = Call { snapshot, route, addressee, parameters, headers, id, moment, deadline };
    Ok(Admitted { call: Arc::new(call), body, record, _place: place })
}

struct Found {
    addressee: Addressee,
    route: Arc<ClientRoute>,
    parameters: Vec<(String, String)>,
}

fn find(
    snapshot: &Snapshot,
    method: &Method,
    path: &str,
    headers: &HeaderMap,
    record: &mut Record,
) -> Result<Found, Failure> {
    let (addressee, below) = addressee::of(snapshot, path, headers)?;
    // Whatever becomes of the request, it is about this one.
    record.provider = addressee.target().map(|target| target.config.name.clone()).unwrap_or_default();
    let unsupported = |message| Failure::new(FailureKind::Unsupported, message).code("operation_not_supported");
    let served = snapshot.route(method, below, headers).map_err(|error| match error {
        RouteError::NotServed(operation) => unsupported(format!("{operation} is not served: {method} {path}")),
        RouteError::NoSuchPath if addressee.is_by_path() => unsupported(format!("no provider serves {method} {path}")),
        RouteError::NoSuchPath => {
            Failure::new(FailureKind::NotFound, format!("there is no {method} {path} here")).code("unknown_url")
        }
        RouteError::OtherMethod(methods) => {
            Failure::new(FailureKind::MethodNotAllowed, format!("{path} takes {methods}, not {method}"))
                .code("method_not_allowed")
        }
    })?;
    let (route, parameters) = (served.route.clone(), served.parameters);
    Ok(Found { addressee, route, parameters })
}

/// The whole body. A caller that sends too much, or too slowly, is cut.
async fn read<B>(mut body: B, headers: &HeaderMap, limits: &Limits, place: &mut Place) -> Result<Bytes, Failure>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limits.body_bytes) {
        drain(body, limits).await;
        return Err(too_large(limits));
    }
    let mut gathered = Gathered::Nothing;
    loop {
        let frame = tokio::time::timeout(limits.caller_timeout, body.frame()).await.map_err(|_| too_slow())?;
        match frame {
            None => return Ok(gathered.into_bytes()),
            Some(Err(error)) => {
                return Err(Failure::invalid("the request's body broke off").detail(error.into().to_string()));
            }
            // Trailers say nothing to us.
            Some(Ok(frame)) => gathered.push(frame.into_data().unwrap_or_default(), announced),
        }
        if gathered.len() > limits.body_bytes {
            drop(gathered);
            drain(body, limits).await;
            return Err(too_large(limits));
        }
        if !place.grow(gathered.len()) {
            drop(gathered);
            drain(body, limits).await;
            return Err(no_room());
        }
    }
}

/// Reads on for a while and throws away. Most clients look for a reply only when they have sent everything; to close on
/// them while they send would look like a broken connection.
async fn drain<B>(mut body: B, limits: &Limits)
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut left = 4 * limits.body_bytes;
    let reading = async {
        while let Some(Ok(frame)) = body.frame().await {
            let Some(rest) = left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) else { return };
            left = rest;
        }
    };
    // Who is slower than that does not get the reply.
    let _ = tokio::time::timeout(limits.caller_timeout.min(LONGEST_DRAIN), reading).await;
}

/// Most bodies come in one piece and need not be copied.
enum Gathered {
    Nothing,
    One(Bytes),
    Many(BytesMut),
}

impl Gathered {
    fn len(&self) -> usize {
        match self {
            Gathered::Nothing => 0,
            Gathered::One(piece) => piece.len(),
            Gathered::Many(pieces) => pieces.len(),
        }
    }

    fn push(&mut self, data: Bytes, announced: Option<usize>) {
        *self = match std::mem::replace(self, Gathered::Nothing) {
            Gathered::Nothing => Gathered::One(data),
            Gathered::One(first) => {
                let mut pieces = BytesMut::with_capacity(announced.unwrap_or(0).max(first.len() + data.len()));
                pieces.extend_from_slice(&first);
                pieces.extend_from_slice(&data);
                Gathered::Many(pieces)
            }
            Gathered::Many(mut pieces) => {
                pieces.extend_from_slice(&data);
                Gathered::Many(pieces)
            }
        };
    }

    fn into_bytes(self) -> Bytes {
        match self {
            Gathered::Nothing => Bytes::new(),
            Gathered::One(piece) => piece,
            Gathered::Many(pieces) => pieces.freeze(),
        }
    }
}

fn too_slow() -> Failure {
    Failure::new(FailureKind::CallerTooSlow, "the rest of the request's body did not come in time")
}

/// Roughly when it is worth coming again.
const ROOM_RETRY_MS: u64 = 1_000;

fn no_room() -> Failure {
    Failure::new(FailureKind::Overloaded, "the gateway holds as many requests' bodies as it may")
        .code("no_room")
        .retry_after_ms(Some(ROOM_RETRY_MS))
}

fn too_large(limits: &Limits) -> Failure {
    let megabytes = limits.body_bytes / (1024 * 1024);
    Failure::new(FailureKind::TooLarge, format!("the request's body is larger than the {megabytes} MB that are taken"))
        .code("request_too_large")
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
