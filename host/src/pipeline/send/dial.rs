//! A URL → a connection to its host, directly or through a proxy, if the host may be called at all.

use super::resolve::Checked;
use super::tunnel::{self, Stream};
use crate::address::Reach;
use crate::config::{Line, Proxy, ProxyServer};
use http::Uri;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use hyper_util::client::proxy::matcher::Matcher;
use rustls::ClientConfig;
use std::error::Error;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tower::Service;

pub type BoxError = Box<dyn Error + Send + Sync>;

/// Makes connections. TLS to the provider, where there is any, is laid over them.
pub struct Dial<R = GaiResolver>(Arc<Ways<R>>);

struct Ways<R> {
    reach: Reach,
    proxy: Proxy,
    /// Says no to hosts that are called without the environment's proxy.
    through_proxy: Matcher,
    direct: HttpConnector<Checked<R>>,
    /// The operator says where the proxy is, and most are in a private network: its address is not checked.
    to_proxy: HttpsConnector<HttpConnector>,
}

impl Dial {
    pub fn new(line: &Line, tls: Arc<ClientConfig>) -> Self {
        Dial::with_resolver(line, tls, GaiResolver::new())
    }
}

impl<R> Dial<R> {
    fn with_resolver(line: &Line, tls: Arc<ClientConfig>, resolver: R) -> Self {
        let except = match &line.proxy {
            Proxy::Environment { except, .. } => except.as_str(),
            Proxy::None | Proxy::Server(_) => "",
        };
        // Which proxy it is does not matter here: its answer is yes or no.
        let through_proxy = Matcher::builder().all("http://proxy").no(except).build();
        let checked = Checked { resolver, reach: line.reach };
        Dial(Arc::new(Ways {
            reach: line.reach,
            proxy: line.proxy.clone(),
            through_proxy,
            direct: socket(HttpConnector::new_with_resolver(checked), line),
            to_proxy: HttpsConnector::from((socket(HttpConnector::new(), line), tls)),
        }))
    }
}

fn socket<R>(mut connector: HttpConnector<R>, line: &Line) -> HttpConnector<R> {
    connector.enforce_http(false);
    // Without it, Nagle's algorithm and delayed acknowledgements cost 40 ms a request.
    connector.set_nodelay(true);
    // Shared out over the addresses of a name, so that a dead one leaves time for the next.
    connector.set_connect_timeout(Some(line.connect_timeout));
    connector.set_keepalive(Some(Duration::from_secs(60)));
    connector
}

impl<R> Ways<R>
where
    R: Service<Name> + Clone + Send + Sync + 'static,
    R::Response: Iterator<Item = SocketAddr>,
    R::Error: Into<BoxError>,
    R::Future: Send + 'static,
{
    async fn dial(&self, destination: Uri) -> Result<Stream, BoxError> {
        // Literal addresses are never resolved, and what a proxy resolves is not seen here.
        self.reach.check_host(destination.host().unwrap_or_default())?;
        match self.proxy_to(&destination) {
            None => Ok(MaybeHttpsStream::Http(call(self.direct.clone(), destination).await?)),
            Some(server) => {
                let stream = call(self.to_proxy.clone(), server.url.clone()).await;
                tunnel::through(server, destination, stream.map_err(|error| tunnel::unreachable(server, error))?).await
            }
        }
    }

    fn proxy_to(&self, destination: &Uri) -> Option<&ProxyServer> {
        match &self.proxy {
            Proxy::None => None,
            Proxy::Server(server) => Some(server),
            Proxy::Environment { http, https, except: _ } => {
                self.through_proxy.intercept(destination)?;
                if destination.scheme_str() == Some("https") { https.as_ref() } else { http.as_ref() }
            }
        }
    }
}

/// Calls a service as soon as it is ready.
pub async fn call<S: Service<Uri>>(mut service: S, uri: Uri) -> Result<S::Response, S::Error> {
    poll_fn(|context| service.poll_ready(context)).await?;
    service.call(uri).await
}

// Derived, it would want a resolver that can be cloned.
impl<R> Clone for Dial<R> {
    fn clone(&self) -> Self {
        Dial(self.0.clone())
    }
}

impl<R> Service<Uri> for Dial<R>
where
    R: Service<Name> + Clone + Send + Sync + 'static,
    R::Response: Iterator<Item = SocketAddr>,
    R::Error: Into<BoxError>,
    R::Future: Send + 'static,
{
    type Response = Stream;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, destination: Uri) -> Self::Future {
        let ways = self.0.clone();
        Box::pin(async move { ways.dial(destination).await })
    }
}

#[cfg(test)]
mod tests {
    use super::super::resolve::tests::Fickle;
    use super::super::tls;
    use super::*;
    use crate::address::Forbidden;
    use crate::config::Tls;
    use tokio::net::TcpListener;

    fn dial(reach: Reach, resolver: Fickle) -> Dial<Fickle> {
        let line = Line {
            reach,
            tls: Tls::Unverified,
            proxy: Proxy::None,
            connect_timeout: Duration::from_secs(5),
            keep_alive: Duration::from_secs(5),
            max_connections: None,
        };
        let tls = tls::config(&line.tls).expect("a configuration");
        Dial::with_resolver(&line, Arc::new(tls), resolver)
    }

    async fn dialled(dial: &Dial<Fickle>, url: &str) -> Result<(), BoxError> {
        call(dial.clone(), url.parse().expect("a URL")).await.map(drop)
    }

    /// Whether it was refused, rather than tried in vain.
    fn is_forbidden(error: &BoxError) -> bool {
        super::super::causes(error.as_ref()).any(|cause| cause.is::<Forbidden>())
    }

    /// The second answer of a name server that lies is one for the second connection, and is looked at like the first.
    #[tokio::test]
    async fn the_address_that_was_checked_is_connected_to() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let resolver = Fickle::new(&[&["127.0.0.1:0"], &["169.254.169.254:0"], &["169.254.169.254:0", "127.0.0.1:0"]]);
        let dial = dial(Reach::Private, resolver.clone());
        let url = format!("http://name.example:{port}");
        dialled(&dial, &url).await.expect("connected");
        listener.accept().await.expect("connected to");
        assert_eq!(resolver.answers_left(), 2, "one question for one connection");
        let refused = dialled(&dial, &url).await.expect_err("refused");
        assert!(is_forbidden(&refused), "{refused:?}");
        dialled(&dial, &url).await.expect("what may be called is called");
        listener.accept().await.expect("connected to");
    }

    /// With Nagle's algorithm, the second of two small writes waits for the other side's delayed acknowledgement.
    #[tokio::test]
    async fn sockets_send_what_they_have_at_once() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let dial = dial(Reach::Private, Fickle::new(&[]));
        let stream = call(dial, url.parse().expect("a URL")).await.expect("connected");
        let MaybeHttpsStream::Http(socket) = stream else { panic!("no TLS was asked for") };
        assert!(socket.inner().nodelay().expect("a connected socket"));
    }

    #[tokio::test]
    async fn addresses_that_need_no_resolver_are_checked_too() {
        let dial = dial(Reach::Public, Fickle::new(&[]));
        for host in ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254", "10.0.0.1", "localhost"] {
            for scheme in ["http", "https"] {
                let refused = dialled(&dial, &format!("{scheme}://{host}:9")).await.expect_err("refused");
                assert!(is_forbidden(&refused), "{host}: {refused:?}");
            }
        }
    }
}
