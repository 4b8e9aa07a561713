//! HTTP clients, one for each way of connecting. Every serving thread has its own, so that no request crosses threads.

use super::connector::Connector;
use super::derived::Derived;
use super::payload::Payload;
use crate::config::Line;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::sync::{Arc, Mutex, PoisonError, Weak};

pub type HttpClient = Client<Connector, Payload>;

const MAX_IDLE_PER_HOST: usize = 512;
/// For each connection. Hyper's own buffers grow with what comes, up to 400 KB; thousands of streams would hold a
/// gigabyte as soon as callers are slower than upstreams.
const READ_BYTES: usize = 8 * 1024;
/// A configuration has a few. Beyond this, those are forgotten that came with configurations that are no more.
const MANY_CLIENTS: usize = 32;

/// What a serving thread sends with.
pub struct Upstreams {
    /// A few, so that looking for one by its place in memory is faster than any hash of what is in it.
    clients: Mutex<Vec<Known>>,
    derived: Arc<Derived>,
    threads: usize,
}

struct Known {
    line: Line,
    /// The configuration's own, one of those that are equal.
    user: Weak<Line>,
    client: HttpClient,
}

impl Upstreams {
    /// For one of so many threads.
    pub fn new(derived: Arc<Derived>, threads: usize) -> Self {
        Upstreams { clients: Mutex::default(), derived, threads }
    }

    /// Credentials that were derived from others; all threads share them.
    pub fn derived(&self) -> &Derived {
        &self.derived
    }

    /// Whoever may reach further, believes others or goes another way has a client, and so connections, of its own.
    pub fn client(&self, line: &Arc<Line>) -> Result<HttpClient, rustls::Error> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = clients.iter().find(|known| known.user.as_ptr() == Arc::as_ptr(line)) {
            return Ok(known.client.clone());
        }
        if let Some(known) = clients.iter_mut().find(|known| known.line == **line) {
            // The configuration was read again, or another provider agrees with this one.
            if known.user.strong_count() == 0 {
                known.user = Arc::downgrade(line);
            }
            return Ok(known.client.clone());
        }
        if clients.len() >= MANY_CLIENTS {
            clients.retain(|known| known.user.strong_count() > 0);
        }
        let client = build(line, self.threads)?;
        clients.push(Known { line: Line::clone(line), user: Arc::downgrade(line), client: client.clone() });
        Ok(client)
    }
}

fn build(line: &Line, threads: usize) -> Result<HttpClient, rustls::Error> {
    Ok(Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(line.keep_alive)
        .pool_max_idle_per_host(MAX_IDLE_PER_HOST)
        .http1_max_headers(256)
        .http1_read_buf_exact_size(READ_BYTES)
        .build(Connector::new(line, threads)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Reach;
    use crate::config::{Proxy, Tls};
    use std::time::Duration;

    fn line(keep_alive: u64) -> Arc<Line> {
        Arc::new(Line {
            reach: Reach::Private,
            tls: Tls::Unverified,
            proxy: Proxy::None,
            connect_timeout: Duration::from_secs(5),
            keep_alive: Duration::from_secs(keep_alive),
            max_connections: None,
        })
    }

    fn known(thread: &Upstreams) -> usize {
        thread.clients.lock().expect("no test panicked").len()
    }

    #[tokio::test]
    async fn equal_lines_share_a_client_over_all_readings_of_a_configuration() {
        let thread = Upstreams::new(Arc::default(), 2);
        for _ in 0..3 {
            let (one, another) = (line(1), line(1));
            thread.client(&one).expect("a client");
            thread.client(&another).expect("a client");
        }
        assert_eq!(known(&thread), 1);
    }

    /// Also where other threads have clients for the same.
    #[tokio::test]
    async fn clients_of_configurations_that_are_no_more_are_forgotten() {
        let threads = [Upstreams::new(Arc::default(), 2), Upstreams::new(Arc::default(), 2)];
        let kept = line(0);
        for keep_alive in 0..100 {
            let passing = line(keep_alive);
            for thread in &threads {
                thread.client(&kept).expect("a client");
                thread.client(&passing).expect("a client");
            }
        }
        for thread in &threads {
            assert!(known(thread) <= MANY_CLIENTS, "{}", known(thread));
            assert!(thread.clients.lock().expect("no test panicked").iter().any(|known| known.line == *kept));
        }
    }
}
