//! Sockets and HTTP. Axum lives here and nowhere else.
//!
//! Each serving thread has a runtime, a client pool and connections of its own, and a request never leaves its thread: the
//! wake-ups between threads would cost more than routing does.

mod admin;
mod connections;

use crate::config::AtStart;
use crate::pipeline::{Derived, Gateway, Upstreams};
use crate::snapshot::Live;
use crate::telemetry::{AccessLog, Metrics};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::get;
use connections::{Desk, Worker};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

/// What all serving threads share.
pub struct Shared {
    pub live: Arc<Live>,
    pub metrics: Arc<Metrics>,
    pub access_log: Option<Arc<AccessLog>>,
}

/// A server that listens.
pub struct Server {
    listener: TcpListener,
    desk: Desk,
    threads: Vec<JoinHandle<()>>,
    stop: watch::Sender<bool>,
    config: AtStart,
    metrics: Arc<Metrics>,
}

impl Server {
    /// Binds the address and starts the serving threads.
    pub async fn start(config: AtStart, shared: &Shared) -> io::Result<Self> {
        let listener = TcpListener::bind(config.listen).await?;
        let (stop, stopping) = watch::channel(false);
        let derived = Arc::new(Derived::default());
        let count = std::thread::available_parallelism().map_or(2, usize::from);
        let (mut workers, mut threads) = (Vec::with_capacity(count), Vec::with_capacity(count));
        for index in 0..count {
            let gateway = Gateway {
                live: shared.live.clone(),
                upstreams: Upstreams::new(derived.clone(), count),
                metrics: shared.metrics.clone(),
                access_log: shared.access_log.clone(),
            };
            let router = router(Arc::new(gateway));
            let (worker, thread) = Worker::start(index, router, config.caller_timeout, stopping.clone())?;
            workers.push(worker);
            threads.push(thread);
        }
        let desk = Desk::new(workers, Arc::new(Semaphore::new(config.connections)));
        Ok(Server { listener, desk, threads, stop, config, metrics: shared.metrics.clone() })
    }

    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop` is ready; then running requests get their grace.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        tokio::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                () = self.desk.seat_one(&self.listener) => {}
            }
        }
        self.shut_down().await;
    }

    async fn shut_down(self) {
        let Server { listener, desk, threads, stop, config, metrics } = self;
        drop(listener);
        let running = metrics.in_flight();
        tracing::info!(running, grace_seconds = config.shutdown_grace.as_secs(), "stopping");
        // All threads may have gone already.
        let _ = stop.send(true);
        if tokio::time::timeout(config.shutdown_grace, desk.empty(config.connections)).await.is_err() {
            tracing::warn!(running = metrics.in_flight(), "the grace is over; what still runs is cut");
        }
        drop(desk);
        for thread in threads {
            // A thread that panicked has nothing left to wait for.
            let _ = thread.join();
        }
    }
}

fn router(gateway: Arc<Gateway>) -> Router {
    Router::new()
        .route("/healthz", get(admin::health))
        .route("/metrics", get(admin::metrics))
        .route("/api/plugins", get(admin::plugins))
        .fallback(serve)
        .with_state(gateway)
}

/// Everything that is not the server's own goes down the pipeline, which knows the routes of the day.
async fn serve(State(gateway): State<Arc<Gateway>>, request: Request) -> Response {
    crate::pipeline::serve(&gateway, request).await.map(Body::new)
}

/// How long a thread that stops waits for its connections, beyond the grace, before it drops them.
const LAST_CALL: Duration = Duration::from_millis(100);
