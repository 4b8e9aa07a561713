//! Which path means which call, in which dialect. The host mounts the canonical dialect; format plugins mount theirs.

use crate::chat;
use crate::operation::Operation;
use crate::plugins::Configured;
use crate::plugins::api::client::Place;
use http::Method;
use matchit::{Params, Router};
use std::sync::Arc;

/// Under this, every route is found again, with and without its version: clients put it before `/chat/completions` as well
/// as before `/v1/chat/completions`.
const PROXY: &str = "/v1/proxy";

#[derive(Clone)]
pub struct ClientRoute {
    pub method: Method,
    pub path: String,
    pub dialect: String,
    pub operation: Operation,
    pub model: Place,
    pub streaming: Place,
    pub format: Speaker,
}

/// Who speaks the caller's dialect.
#[derive(Clone)]
pub enum Speaker {
    /// The host: it is the canonical one.
    Canonical,
    Format(Arc<Configured>),
    /// The plugin that mounted the route has gone.
    Gone,
}

/// A route and the parameters of the path.
pub struct Served<'a> {
    pub route: &'a Arc<ClientRoute>,
    pub parameters: Vec<(String, String)>,
}

#[derive(Debug, PartialEq)]
pub enum RouteError {
    NoSuchPath,
    /// The path is there, for these methods.
    OtherMethod(String),
}

#[derive(Default)]
pub struct Routes {
    router: Router<Vec<Arc<ClientRoute>>>,
    all: Vec<Arc<ClientRoute>>,
}

impl Routes {
    /// The routes of the canonical dialect.
    pub fn canonical() -> Self {
        let mut routes = Routes::default();
        let chat = ClientRoute {
            method: Method::POST,
            path: "/v1/chat/completions".to_owned(),
            dialect: chat::DIALECT.to_owned(),
            operation: Operation::ChatCompletion,
            model: Place::Member("model".to_owned()),
            streaming: Place::Member("stream".to_owned()),
            format: Speaker::Canonical,
        };
        let models = ClientRoute {
            method: Method::GET,
            path: "/v1/models".to_owned(),
            operation: Operation::ListModels,
            model: Place::Never,
            streaming: Place::Never,
            ..chat.clone()
        };
        for route in [chat, models] {
            routes.mount(route).expect("the canonical routes do not clash");
        }
        routes
    }

    /// Adds a route; says why where it cannot stand beside the others.
    pub fn mount(&mut self, route: ClientRoute) -> Result<(), String> {
        if self.find(&route.method, &route.path).is_ok() {
            return Err(format!("{} {} is already served", route.method, route.path));
        }
        let route = Arc::new(route);
        let without_version = route.path.strip_prefix("/v1/").map(|path| format!("{PROXY}/{path}"));
        let paths = [route.path.clone(), format!("{PROXY}{}", route.path)];
        for path in paths.into_iter().chain(without_version) {
            match self.router.at_mut(&path) {
                Ok(found) => found.value.push(route.clone()),
                Err(_) => self.router.insert(&path, vec![route.clone()]).map_err(|error| format!("{path}: {error}"))?,
            }
        }
        self.all.push(route);
        Ok(())
    }

    /// Routes of an earlier generation that nobody serves any more: callers are told so, instead of that there is no
    /// such thing.
    pub fn remember(&mut self, earlier: &Routes) {
        for route in &earlier.all {
            let gone = ClientRoute { format: Speaker::Gone, ..route.as_ref().clone() };
            // Whoever serves the path now is in the right.
            let _ = self.mount(gone);
        }
    }

    pub fn find(&self, method: &Method, path: &str) -> Result<Served<'_>, RouteError> {
        let found = self.router.at(path).map_err(|_| RouteError::NoSuchPath)?;
        let Some(route) = found.value.iter().find(|route| route.method == method) else {
            let methods: Vec<&str> = found.value.iter().map(|route| route.method.as_str()).collect();
            return Err(RouteError::OtherMethod(methods.join(", ")));
        };
        Ok(Served { route, parameters: owned(&found.params) })
    }
}

fn owned(parameters: &Params<'_, '_>) -> Vec<(String, String)> {
    let decode = |value: &str| percent_encoding::percent_decode_str(value).decode_utf8_lossy().into_owned();
    parameters.iter().map(|(name, value)| (name.to_owned(), decode(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_routes_stand_under_the_proxy_prefix_too() {
        let routes = Routes::canonical();
        for path in ["/v1/chat/completions", "/v1/proxy/v1/chat/completions", "/v1/proxy/chat/completions"] {
            assert!(routes.find(&Method::POST, path).is_ok(), "{path}");
        }
        assert_eq!(routes.find(&Method::GET, "/v1/nothing").err(), Some(RouteError::NoSuchPath));
        let other = routes.find(&Method::GET, "/v1/chat/completions").err();
        assert_eq!(other, Some(RouteError::OtherMethod("POST".to_owned())));
    }

    #[test]
    fn a_second_format_cannot_take_a_route() {
        let mut routes = Routes::canonical();
        let route = routes.all[0].as_ref().clone();
        assert_eq!(routes.mount(route), Err("POST /v1/chat/completions is already served".to_owned()));
    }

    #[test]
    fn a_route_whose_plugin_has_gone_is_remembered() {
        let mut before = Routes::canonical();
        let route = ClientRoute { path: "/v1/other".to_owned(), ..before.all[0].as_ref().clone() };
        before.mount(route).expect("free");
        let mut after = Routes::canonical();
        after.remember(&before);
        let found = after.find(&Method::POST, "/v1/other");
        assert!(found.is_ok_and(|found| matches!(found.route.format, Speaker::Gone)));
    }
}
