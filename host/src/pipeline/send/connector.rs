//! What the HTTP client connects with: `Dial`, TLS over it, and bounds around both.

use super::dial::{BoxError, Dial};
use super::tls;
use super::tunnel::Stream;
use crate::config::Line;
use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::{Connected, Connection};
use std::collections::HashMap;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tower::Service;

#[derive(Clone)]
pub struct Connector {
    https: HttpsConnector<Dial>,
    places: Option<Arc<Places>>,
    /// For the waiting and the connecting together.
    limit: Duration,
}

impl Connector {
    /// For one of so many threads, each of which has a share of the connections that there may be.
    pub fn new(line: &Line, threads: usize) -> Result<Self, rustls::Error> {
        let tls = Arc::new(tls::config(&line.tls)?);
        let each = line.max_connections.map(|max| (max.get() / threads.max(1)).max(1));
        let places = each.map(|each| Arc::new(Places { each, of_hosts: Mutex::default() }));
        let https = HttpsConnector::from((Dial::new(line, tls.clone()), tls));
        Ok(Connector { https, places, limit: line.connect_timeout })
    }
}

impl Service<Uri> for Connector {
    type Response = Held<MaybeHttpsStream<Stream>>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.https.poll_ready(context)
    }

    fn call(&mut self, destination: Uri) -> Self::Future {
        let Connector { mut https, places, limit } = self.clone();
        Box::pin(async move {
            let deadline = Instant::now() + limit;
            let place = match &places {
                Some(places) => Some(places.take(&destination, deadline, limit).await?),
                None => None,
            };
            let left = deadline.duration_since(Instant::now());
            let connecting = tokio::time::timeout_at(deadline, https.call(destination)).await;
            let stream = connecting.map_err(|_| match places {
                // Who got a place late had no time to connect, which says nothing of the service.
                Some(places) if left < limit / 2 => BoxError::from(NoPlace { each: places.each, limit }),
                Some(_) | None => TooSlow(limit).into(),
            })??;
            Ok(Held { stream, _place: place })
        })
    }
}

/// How many connections a thread may have to each host.
struct Places {
    each: usize,
    of_hosts: Mutex<HashMap<String, Arc<Semaphore>>>,
}

impl Places {
    /// Hosts come from configurations, so there are few; but configurations come and go.
    const MAX_HOSTS: usize = 64;

    async fn take(
        &self,
        destination: &Uri,
        deadline: Instant,
        limit: Duration,
    ) -> Result<OwnedSemaphorePermit, NoPlace> {
        let places = self.of_host(destination);
        // A request that is served by another's connection meanwhile leaves its wait behind, for this time at most: if
        // there is a place then, the connection is made in advance.
        let taken = tokio::time::timeout_at(deadline, places.acquire_owned()).await;
        taken.ok().and_then(Result::ok).ok_or(NoPlace { each: self.each, limit })
    }

    fn of_host(&self, destination: &Uri) -> Arc<Semaphore> {
        let mut hosts = self.of_hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if hosts.len() >= Places::MAX_HOSTS {
            hosts.retain(|_, places| Arc::strong_count(places) > 1);
        }
        hosts.entry(destination.to_string()).or_insert_with(|| Arc::new(Semaphore::new(self.each))).clone()
    }
}

/// Every connection that there may be is in use.
#[derive(Debug)]
pub struct NoPlace {
    each: usize,
    limit: Duration,
}

impl fmt::Display for NoPlace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let NoPlace { each, limit } = self;
        write!(
            formatter,
            "none of the {each} connections that each serving thread may have to the host became free within {} s \
             (network_config.max_conns_per_host)",
            limit.as_secs_f64()
        )
    }
}

impl std::error::Error for NoPlace {}

#[derive(Debug)]
struct TooSlow(Duration);

impl fmt::Display for TooSlow {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "connecting took more than {} s", self.0.as_secs_f64())
    }
}

impl std::error::Error for TooSlow {}

/// A connection, and the place that it takes as long as it lives.
pub struct Held<T> {
    stream: T,
    _place: Option<OwnedSemaphorePermit>,
}

impl<T: Connection> Connection for Held<T> {
    fn connected(&self) -> Connected {
        self.stream.connected()
    }
}

impl<T: Read + Unpin> Read for Held<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<T: Write + Unpin> Write for Held<T> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }
}
