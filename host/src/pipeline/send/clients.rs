//! HTTP clients, one for each way of connecting. Every serving thread has its own, so that no request crosses threads.

use super::connector::Connector;
use super::derived::Derived;
use super::payload::Payload;
use crate::config::Line;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

pub type HttpClient = Client<Connector, Payload>;

const MAX_IDLE_PER_HOST: usize = 512;
/// For each connection. Hyper's own buffers grow with what comes, up to 400 KB; thousands of streams would hold a
/// gigabyte as soon as callers are slower than upstreams.
const READ_BYTES: usize = 8 * 1024;
/// A configuration has a few. Beyond this, those are forgotten that came with configurations that are no more.
const MANY_CLIENTS: usize = 32;

/// What a serving thread sends with.
pub struct Upstreams {
    clients: Mutex<HashMap<Arc<Line>, HttpClient>>,
    derived: Arc<Derived>,
    threads: usize,
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
        if let Some(client) = clients.get(line) {
            return Ok(client.clone());
        }
        if clients.len() >= MANY_CLIENTS {
            clients.retain(|line, _| Arc::strong_count(line) > 1);
        }
        let client = build(line, self.threads)?;
        clients.insert(line.clone(), client.clone());
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
