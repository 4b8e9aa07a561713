//! Sockets and HTTP. Axum lives here and nowhere else.
//!
//! Each serving thread has a runtime, a client pool and connections of its own, and a request never leaves its thread: the
//! wake-ups between threads would cost more than routing does.

mod admin;
mod body;
mod connections;
mod explain;
mod guard;
mod providers;
mod reply;

use crate::config::AtStart;
use crate::pipeline::{Derived, Gateway, Room, Scrubs, Upstreams};
use crate::reload::Changes;
use crate::snapshot::Live;
use crate::telemetry::{AccessLog, Metrics};
use axum::Router;
use axum::body::Body;
use axum::extract::{FromRef, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use connections::{Desk, Guests, Routers, Worker};
use futures_util::future::join_all;
pub use guard::is_loopback;
use reply::{Failed, Kind};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};

/// What all serving threads share.
pub struct Shared {
    pub live: Arc<Live>,
    pub metrics: Arc<Metrics>,
    pub access_log: Option<Arc<AccessLog>>,
    /// Where the admin API asks for changes.
    pub changes: Changes,
}

/// A server that listens.
pub struct Server {
    callers: Desk,
    /// None: operators come where callers come.
    operators: Option<Desk>,
    /// Each is ready when a serving thread has ended.
    threads: Vec<oneshot::Receiver<()>>,
    stop: watch::Sender<bool>,
    grace: Duration,
    metrics: Arc<Metrics>,
}

/// Connections to the admin API's own address at once.
const OPERATORS: usize = 64;

impl Server {
    /// Binds the addresses and starts the serving threads.
    pub async fn start(config: AtStart, shared: &Shared) -> io::Result<Self> {
        let for_callers = bind(config.listen).await?;
        let for_operators = match config.admin_listen {
            Some(address) => Some(bind(address).await?),
            None => None,
        };
        let admin = for_operators.as_ref().unwrap_or(&for_callers).local_addr()?;
        let (stop, stopping) = watch::channel(false);
        let (derived, room) = (Arc::new(Derived::default()), Arc::new(Room::default()));
        let count = std::thread::available_parallelism().map_or(2, usize::from);
        let (mut workers, mut threads) = (Vec::with_capacity(count), Vec::with_capacity(count));
        for index in 0..count {
            let gateway = Arc::new(Gateway {
                live: shared.live.clone(),
                upstreams: Upstreams::new(derived.clone(), count),
                scrubs: Scrubs::default(),
                metrics: shared.metrics.clone(),
                access_log: shared.access_log.clone(),
                room: room.clone(),
            });
            let api = api(Api { gateway: gateway.clone(), changes: shared.changes.clone(), bound: admin });
            let routers = routers(gateway, api, for_operators.is_some());
            let (worker, thread) = Worker::start(index, routers, config.caller_timeout, stopping.clone())?;
            workers.push(worker);
            threads.push(thread);
        }
        let workers = Arc::new(workers);
        let operators =
            for_operators.map(|listener| Desk::new(listener, Guests::Operators, workers.clone(), OPERATORS));
        let callers = Desk::new(for_callers, Guests::Callers, workers, config.connections);
        let (grace, metrics) = (config.shutdown_grace, shared.metrics.clone());
        Ok(Server { callers, operators, threads, stop, grace, metrics })
    }

    pub fn address(&self) -> io::Result<SocketAddr> {
        self.callers.address()
    }

    /// Where the admin API is.
    pub fn admin_address(&self) -> io::Result<SocketAddr> {
        self.operators.as_ref().unwrap_or(&self.callers).address()
    }

    /// Serves until `stop` is ready; then running requests get their grace.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let seating = async {
            match &self.operators {
                None => self.callers.seat_all().await,
                Some(operators) => _ = tokio::join!(self.callers.seat_all(), operators.seat_all()),
            }
        };
        tokio::select! {
            () = stop => {}
            () = seating => {}
        }
        self.shut_down().await;
    }

    async fn shut_down(self) {
        let Server { callers, operators, threads, stop, grace, metrics } = self;
        let (callers, operators) = (callers.close(), operators.map(Desk::close));
        let running = metrics.in_flight();
        tracing::info!(running, grace_seconds = grace.as_secs(), "stopping");
        // All threads may have gone already.
        let _ = stop.send(true);
        let empty = async {
            callers.empty().await;
            if let Some(operators) = &operators {
                operators.empty().await;
            }
        };
        if tokio::time::timeout(grace, empty).await.is_err() {
            tracing::warn!(running = metrics.in_flight(), "the grace is over; what still runs is cut");
        }
        drop((callers, operators));
        // A thread that panicked has ended too.
        if tokio::time::timeout(LAST_CALL * 10, join_all(threads)).await.is_err() {
            tracing::warn!("a serving thread does not come to an end; it is left behind");
        }
    }
}

/// The address belongs to the error: there may be two.
async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|error| io::Error::new(error.kind(), format!("{address}: {error}")))
}

/// What the admin API works with.
#[derive(Clone)]
pub struct Api {
    gateway: Arc<Gateway>,
    changes: Changes,
    /// The address that its requests come to.
    bound: SocketAddr,
}

impl FromRef<Api> for Arc<Gateway> {
    fn from_ref(api: &Api) -> Self {
        api.gateway.clone()
    }
}

/// Everything that changes something, or tells more than that all is well. Nothing of it is served unguarded.
fn api(api: Api) -> Router<Arc<Gateway>> {
    Router::new()
        .route("/api/plugins", get(admin::plugins))
        .route("/api/explain", post(explain::explain))
        .route("/api/providers", get(providers::list).post(providers::create))
        .route("/api/providers/{name}", get(providers::show).put(providers::replace).delete(providers::remove))
        .method_not_allowed_fallback(providers::other_method)
        .route_layer(middleware::from_fn_with_state(api.clone(), guarded))
        .with_state(api)
}

async fn guarded(State(api): State<Api>, request: Request, next: Next) -> Response {
    let snapshot = api.gateway.live.current();
    match guard::check(snapshot.config.admin.key.as_ref(), api.bound, request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(failed) => failed.into_response(),
    }
}

fn routers(gateway: Arc<Gateway>, api: Router<Arc<Gateway>>, apart: bool) -> Routers {
    let observed = Router::new().route("/healthz", get(admin::health)).route("/metrics", get(admin::metrics));
    let callers = if apart { observed.clone() } else { observed.clone().merge(api.clone()) };
    Routers {
        callers: callers.fallback(serve).with_state(gateway.clone()),
        operators: observed.merge(api).fallback(nothing_else).with_state(gateway),
    }
}

async fn nothing_else() -> Failed {
    Failed::new(
        Kind::NotFound,
        "unknown_url",
        "this is the address of the admin API; models are asked at the other one",
    )
}

/// Everything that is not the server's own goes down the pipeline, which knows the routes of the day.
async fn serve(State(gateway): State<Arc<Gateway>>, request: Request) -> Response {
    crate::pipeline::serve(&gateway, request).await.map(Body::new)
}

/// How long a thread that stops waits for its connections, beyond the grace, before it drops them.
const LAST_CALL: Duration = Duration::from_millis(100);
