//! A proxy and nothing else, with the HTTP library that Plugway stands on: no routing, no plugin, no metrics, no log. What
//! it costs is the floor for whatever is built on that library.

use anyhow::{Context, Result};
use http_body_util::BodyExt;
use http_body_util::Full;
use http_body_util::combinators::BoxBody;
use hyper::body::{Bytes, Incoming};
use hyper::header::HOST;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::net::SocketAddr;
use tokio::net::TcpListener;

/// Serves until it is killed: `bench bare LISTEN UPSTREAM`.
pub(crate) async fn serve(listen: SocketAddr, upstream: SocketAddr) -> Result<()> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client = Client::builder(TokioExecutor::new()).build(connector);
    let listener = TcpListener::bind(listen).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let client = client.clone();
        let service = service_fn(move |request| pass(client.clone(), upstream, request));
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

/// The body is gathered first, as a gateway must that looks into it.
async fn pass(
    client: Client<HttpConnector, Full<Bytes>>,
    upstream: SocketAddr,
    request: Request<Incoming>,
) -> Result<Response<BoxBody<Bytes, hyper::Error>>> {
    let (mut parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().context("a request without a path")?.clone();
    parts.uri = Uri::builder().scheme("http").authority(upstream.to_string()).path_and_query(path).build()?;
    parts.headers.remove(HOST);
    let body = body.collect().await?.to_bytes();
    let reply = client.request(Request::from_parts(parts, Full::new(body))).await?;
    Ok(reply.map(BodyExt::boxed))
}
