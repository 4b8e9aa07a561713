//! Who serves a connection: each new one goes to the thread that has the fewest.

use super::LAST_CALL;
use axum::Router;
use axum::body::Body;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tower::Service;

/// Enough for a browser behind three proxies.
const MAX_HEADERS: usize = 128;
/// For the head of a request, and for what is read ahead of a body.
const MAX_BUFFER_BYTES: usize = 32 * 1024;

/// Connections that a thread has been given and not yet taken up.
const QUEUE: usize = 256;

type Seated = (std::net::TcpStream, OwnedSemaphorePermit);

/// Hands connections to threads.
pub struct Desk {
    workers: Vec<Worker>,
    seats: Arc<Semaphore>,
}

impl Desk {
    pub fn new(workers: Vec<Worker>, seats: Arc<Semaphore>) -> Self {
        Desk { workers, seats }
    }

    /// Takes one connection, once there is a seat for it; until then callers wait in the system's queue.
    pub async fn seat_one(&self, listener: &TcpListener) {
        let Ok(seat) = self.seats.clone().acquire_owned().await else { return };
        let stream = match listener.accept().await {
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
            if worker.queue.send((stream, seat)).await.is_err() {
                // The thread has gone; its connections are closed.
                worker.connections.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }

    /// Waits until every seat is free.
    pub async fn empty(&self, seats: usize) {
        let all = u32::try_from(seats).unwrap_or(u32::MAX);
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
    pub fn start(
        index: usize,
        router: Router,
        caller_timeout: Duration,
        stopping: watch::Receiver<bool>,
    ) -> io::Result<(Self, JoinHandle<()>)> {
        let (queue, seated) = mpsc::channel(QUEUE);
        let connections = Arc::new(AtomicUsize::new(0));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let host = Host { router, caller_timeout, stopping, connections: connections.clone() };
        let thread = std::thread::Builder::new().name(format!("serve-{index}")).spawn(move || {
            runtime.block_on(host.serve(seated));
            runtime.shutdown_timeout(LAST_CALL);
        })?;
        Ok((Worker { queue, connections }, thread))
    }
}

/// A serving thread, seen from inside.
struct Host {
    router: Router,
    caller_timeout: Duration,
    stopping: watch::Receiver<bool>,
    connections: Arc<AtomicUsize>,
}

impl Host {
    /// Until the desk is gone.
    async fn serve(self, mut seated: Receiver<Seated>) {
        let host = Arc::new(self);
        while let Some((stream, seat)) = seated.recv().await {
            let host = host.clone();
            tokio::spawn(async move {
                host.connection(stream).await;
                host.connections.fetch_sub(1, Ordering::Relaxed);
                drop(seat);
            });
        }
    }

    async fn connection(&self, stream: std::net::TcpStream) {
        let Ok(stream) = TcpStream::from_std(stream) else { return };
        let router = self.router.clone();
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
            .serve_connection(TokioIo::new(stream), service);
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
