//! Who serves a connection: each new one goes to the thread that has the fewest.

use super::LAST_CALL;
use axum::Router;
use axum::body::Body;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tokio_io_timeout::TimeoutWriter;
use tower::Service;

/// Enough for a browser behind three proxies.
const MAX_HEADERS: usize = 128;
/// For the head of a request, and for what is read ahead of a body.
const MAX_BUFFER_BYTES: usize = 32 * 1024;

/// Connections that a thread has been given and not yet taken up.
const QUEUE: usize = 256;

/// A connection that came to one of the desks.
struct Seated {
    stream: std::net::TcpStream,
    guests: Guests,
    seat: OwnedSemaphorePermit,
}

/// Who comes to an address, and so what is served there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guests {
    Callers,
    /// At the address of the admin API, where it has one of its own.
    Operators,
}

/// What each of them is served.
#[derive(Clone)]
pub struct Routers {
    pub callers: Router,
    pub operators: Router,
}

impl Routers {
    fn of(&self, guests: Guests) -> &Router {
        match guests {
            Guests::Callers => &self.callers,
            Guests::Operators => &self.operators,
        }
    }
}

/// Hands the connections of one address to threads.
pub struct Desk {
    listener: TcpListener,
    guests: Guests,
    workers: Arc<Vec<Worker>>,
    seats: Arc<Semaphore>,
    count: usize,
}

impl Desk {
    pub fn new(listener: TcpListener, guests: Guests, workers: Arc<Vec<Worker>>, seats: usize) -> Self {
        Desk { listener, guests, workers, seats: Arc::new(Semaphore::new(seats)), count: seats }
    }

    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Without end.
    pub async fn seat_all(&self) {
        loop {
            self.seat_one().await;
        }
    }

    /// Takes one connection, once there is a seat for it; until then callers wait in the system's queue.
    async fn seat_one(&self) {
        let Ok(seat) = self.seats.clone().acquire_owned().await else { return };
        let stream = match self.listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of file descriptors, mostly: trying again at once would only burn time.
                tracing::error!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                return;
            }
        };
        let Ok(stream) = prepare(stream) else { return };
        let idlest = self.workers.iter().min_by_key(|worker| worker.connections.load(Ordering::Relaxed));
        if let Some(worker) = idlest {
            worker.connections.fetch_add(1, Ordering::Relaxed);
            let seated = Seated { stream, guests: self.guests, seat };
            if worker.queue.send(seated).await.is_err() {
                // The thread has gone; its connections are closed.
                worker.connections.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }

    /// Nobody comes in any more.
    pub fn close(self) -> Closed {
        Closed { _workers: self.workers, seats: self.seats, count: self.count }
    }
}

/// A desk at which some may still sit. The threads end when the last of these is dropped.
pub struct Closed {
    _workers: Arc<Vec<Worker>>,
    seats: Arc<Semaphore>,
    count: usize,
}

impl Closed {
    /// Waits until every seat is free.
    pub async fn empty(&self) {
        let all = u32::try_from(self.count).unwrap_or(u32::MAX);
        // The semaphore is never closed.
        let _ = self.seats.acquire_many(all).await;
    }
}

fn prepare(stream: TcpStream) -> io::Result<std::net::TcpStream> {
    // Without it, Nagle's algorithm holds back the ends of streams.
    stream.set_nodelay(true)?;
    stream.into_std()
}

/// A serving thread, seen from outside.
pub struct Worker {
    queue: Sender<Seated>,
    connections: Arc<AtomicUsize>,
}

impl Worker {
    /// And what is ready, with an error, once the thread has ended.
    pub fn start(
        index: usize,
        routers: Routers,
        caller_timeout: Duration,
        stopping: watch::Receiver<bool>,
    ) -> io::Result<(Self, oneshot::Receiver<()>)> {
        let (ended, end) = oneshot::channel::<()>();
        let (queue, seated) = mpsc::channel(QUEUE);
        let connections = Arc::new(AtomicUsize::new(0));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let host = Host { routers, caller_timeout, stopping, connections: connections.clone() };
        std::thread::Builder::new().name(format!("serve-{index}")).spawn(move || {
            let _ended = ended;
            runtime.block_on(host.serve(seated));
            runtime.shutdown_timeout(LAST_CALL);
        })?;
        Ok((Worker { queue, connections }, end))
    }
}

/// A connection of a thread, to its end, also where it panics.
struct Counted<'a>(&'a AtomicUsize);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A serving thread, seen from inside.
struct Host {
    routers: Routers,
    caller_timeout: Duration,
    stopping: watch::Receiver<bool>,
    connections: Arc<AtomicUsize>,
}

impl Host {
    /// Until the desk is gone.
    async fn serve(self, mut seated: Receiver<Seated>) {
        let host = Arc::new(self);
        while let Some(Seated { stream, guests, seat }) = seated.recv().await {
            let host = host.clone();
            tokio::spawn(async move {
                let _seated = (seat, Counted(&host.connections));
                host.connection(stream, guests).await;
            });
        }
    }

    async fn connection(&self, stream: std::net::TcpStream, guests: Guests) {
        let Ok(stream) = TcpStream::from_std(stream) else { return };
        // Who does not read what is written would hold this connection for ever, and the provider's with it.
        let mut stream = TimeoutWriter::new(stream);
        stream.set_timeout(Some(self.caller_timeout));
        let router = self.routers.of(guests).clone();
        let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
            let mut router = router.clone();
            async move {
                Ok::<_, Infallible>(router.call(request.map(Body::new)).await.unwrap_or_else(|never| match never {}))
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.caller_timeout)
            .max_headers(MAX_HEADERS)
            .max_buf_size(MAX_BUFFER_BYTES)
            .serve_connection(TokioIo::new(Box::pin(stream)), service);
        let mut connection = pin!(connection);
        let mut stopping = self.stopping.clone();
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = asked_to_stop(&mut stopping) => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a caller's connection ended badly");
        }
    }
}

async fn asked_to_stop(stopping: &mut watch::Receiver<bool>) {
    // An error means that the server has gone, which is as much of a reason to stop.
    let _ = stopping.wait_for(|stopping| *stopping).await;
}
