//! One connection to a gateway, for measurements that `wrk` cannot make.

use crate::lab::Route;
use crate::stamp;
use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use tokio::net::TcpStream;

pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    host: String,
}

/// A streamed answer.
pub(crate) struct Stream {
    body: Incoming,
    stamps: stamp::Finder,
    /// The last bytes, to see how it ends.
    tail: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Result<Connection> {
        let socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(socket)).await?;
        // Its error is the next request's error too.
        tokio::spawn(async move { connection.await.ok() });
        Ok(Connection { sender, host: address.to_string() })
    }

    /// Sends a request and takes its whole answer, which must be a 200.
    pub(crate) async fn send(&mut self, method: Method, path: &str, body: Bytes) -> Result<Bytes> {
        let response = self.start(method, path, body).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        ensure!(status.is_success(), "{path}: {status}: {}", String::from_utf8_lossy(&body));
        Ok(body)
    }

    pub(crate) async fn stream(&mut self, route: &Route, body: Bytes) -> Result<Stream> {
        let response = self.start(Method::POST, route.path, body).await?;
        ensure!(response.status().is_success(), "{}: {}", route.path, response.status());
        Ok(Stream { body: response.into_body(), stamps: stamp::Finder::default(), tail: vec![] })
    }

    async fn start(&mut self, method: Method, path: &str, body: Bytes) -> Result<Response<Incoming>> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", &self.host)
            .header("content-type", "application/json")
            .body(Full::new(body))?;
        self.sender.ready().await?;
        Ok(self.sender.send_request(request).await?)
    }
}

impl Stream {
    /// Calls `event` with the stamp of each content event of the next read; false at the end.
    pub(crate) async fn read(&mut self, event: impl FnMut(u64)) -> Result<bool> {
        let Some(frame) = self.body.frame().await else { return Ok(false) };
        if let Ok(data) = frame?.into_data() {
            self.stamps.feed(&data, event);
            let kept = self.tail.len().saturating_sub(64);
            self.tail.drain(..kept);
            self.tail.extend_from_slice(&data[data.len().saturating_sub(64)..]);
        }
        Ok(true)
    }

    /// Reads to the end, which must be a good one, and gives the number of content events.
    pub(crate) async fn drain(&mut self) -> Result<u32> {
        let mut events = 0;
        while self.read(|_| events += 1).await? {}
        let tail = String::from_utf8_lossy(&self.tail);
        let whole = ["[DONE]", "message_stop"].iter().any(|marker| tail.contains(marker));
        ensure!(whole, "the stream was cut off: {tail}");
        Ok(events)
    }
}

/// Asks once, to see that the route works before it is measured.
pub(crate) async fn probe(route: &Route, streaming: bool) -> Result<()> {
    let mut connection = Connection::open(route.address).await?;
    let asked = async {
        if streaming {
            let events = connection.stream(route, route.body(true)).await?.drain().await?;
            ensure!(events > 0, "the stream has no content");
            return Ok(());
        }
        let answer = connection.send(Method::POST, route.path, route.body(false)).await?;
        ensure!(String::from_utf8_lossy(&answer).contains("A gateway stands"), "the answer is another one");
        Ok(())
    };
    asked.await.with_context(|| format!("asking {} once", route.name))
}
