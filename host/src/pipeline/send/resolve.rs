//! A name → the addresses that may be called. What is checked here is the list that is connected to: nothing is resolved
//! a second time, so a name server that changes its mind in between gains nothing.

use crate::address::{Forbidden, Reach};
use hyper_util::client::legacy::connect::dns::Name;
use std::error::Error;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::vec;
use tower::Service;

/// A resolver that keeps to itself what may not be called.
#[derive(Clone)]
pub struct Checked<R> {
    pub resolver: R,
    pub reach: Reach,
}

impl<R> Service<Name> for Checked<R>
where
    R: Service<Name>,
    R::Response: Iterator<Item = SocketAddr>,
    R::Error: Into<Box<dyn Error + Send + Sync>>,
    R::Future: Send + 'static,
{
    type Response = vec::IntoIter<SocketAddr>;
    type Error = Box<dyn Error + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.resolver.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let (reach, resolving) = (self.reach, self.resolver.call(name));
        Box::pin(async move {
            let addresses = resolving.await.map_err(Into::into)?;
            Ok(allowed(reach, addresses)?.into_iter())
        })
    }
}

/// Those that may be called; where there is none, why the first may not.
fn allowed(reach: Reach, addresses: impl Iterator<Item = SocketAddr>) -> Result<Vec<SocketAddr>, Forbidden> {
    let (mut allowed, mut first) = (Vec::new(), None);
    for address in addresses {
        match reach.check(address.ip()) {
            Ok(()) => allowed.push(address),
            Err(forbidden) => first = first.or(Some(forbidden)),
        }
    }
    match first {
        Some(forbidden) if allowed.is_empty() => Err(forbidden),
        Some(_) | None => Ok(allowed),
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use std::convert::Infallible;
    use std::future::{Ready, ready};
    use std::sync::{Arc, Mutex};

    /// Gives one answer after the other, as a name server does that wants to be trusted first.
    #[derive(Clone)]
    pub struct Fickle(pub Arc<Mutex<Vec<Vec<SocketAddr>>>>);

    impl Fickle {
        pub fn new(answers: &[&[&str]]) -> Self {
            let parse = |answer: &&[&str]| answer.iter().map(|text| text.parse().expect("an address")).collect();
            Fickle(Arc::new(Mutex::new(answers.iter().rev().map(parse).collect())))
        }

        pub fn answers_left(&self) -> usize {
            self.0.lock().expect("no test panicked").len()
        }
    }

    impl Service<Name> for Fickle {
        type Response = vec::IntoIter<SocketAddr>;
        type Error = Infallible;
        type Future = Ready<Result<Self::Response, Infallible>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Name) -> Self::Future {
            let answer = self.0.lock().expect("no test panicked").pop().expect("an answer");
            ready(Ok(answer.into_iter()))
        }
    }

    async fn resolved(reach: Reach, answer: &[&str]) -> Result<Vec<String>, String> {
        let mut checked = Checked { resolver: Fickle::new(&[answer]), reach };
        let addresses = checked.call("name.example".parse().expect("a name")).await;
        addresses.map(|list| list.map(|address| address.ip().to_string()).collect()).map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn only_what_may_be_called_comes_out() {
        let mixed = ["10.0.0.1:0", "8.8.8.8:0", "169.254.169.254:0", "[::1]:0"];
        assert_eq!(resolved(Reach::Public, &mixed).await, Ok(vec!["8.8.8.8".to_owned()]));
        let private = ["10.0.0.1".to_owned(), "8.8.8.8".to_owned(), "::1".to_owned()];
        assert_eq!(resolved(Reach::Private, &mixed).await, Ok(private.to_vec()));
        let refused = resolved(Reach::Public, &["10.0.0.1:0", "[::1]:0"]).await.expect_err("nothing is left");
        assert!(refused.starts_with("10.0.0.1 is in a private network"), "{refused}");
        assert_eq!(resolved(Reach::Public, &[]).await, Ok(Vec::new()));
    }
}
