//! Which path means which call, in which dialect. The host mounts the canonical dialect; format plugins mount theirs.

mod canonical;

use crate::operation::Operation;
use crate::plugins::Configured;
use crate::plugins::api::client::Place;
use http::{HeaderMap, HeaderName, Method};
use matchit::{InsertError, Params, Router};
use std::collections::BTreeMap;
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
    /// Only callers who send this header are served here. Others are by the route that asks for none.
    pub header: Option<HeaderName>,
}

impl ClientRoute {
    /// Who mounted it, for the operator.
    fn owner(&self) -> String {
        match &self.format {
            Speaker::Canonical => "the gateway itself".to_owned(),
            Speaker::Format(format) => format!("{:?}", format.plugin),
            Speaker::Gone => "a plugin that has gone".to_owned(),
        }
    }

    fn is_for(&self, headers: &HeaderMap) -> bool {
        self.header.as_ref().is_none_or(|header| headers.contains_key(header))
    }

    /// All paths on which it is found.
    fn paths(&self) -> impl Iterator<Item = String> {
        let without_version = self.path.strip_prefix("/v1/").map(|path| format!("{PROXY}/{path}"));
        [self.path.clone(), format!("{PROXY}{}", self.path)].into_iter().chain(without_version)
    }
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
    /// The path is one of an operation that nobody serves.
    NotServed(Operation),
}

#[derive(Default)]
pub struct Routes {
    router: Router<Vec<Arc<ClientRoute>>>,
    /// What the router is made from: all paths, each with its methods.
    table: Table,
}

type Table = BTreeMap<String, Vec<Arc<ClientRoute>>>;

impl Routes {
    /// The routes of the canonical dialect.
    pub fn canonical() -> Self {
        let mut routes = Routes::default();
        routes.mount(canonical::routes()).expect("the canonical routes do not clash");
        routes
    }

    /// Adds all of these routes or, where one cannot stand beside the others, none; then it says which and why.
    pub fn mount(&mut self, routes: Vec<ClientRoute>) -> Result<(), String> {
        let mut table = self.table.clone();
        for route in routes.into_iter().map(Arc::new) {
            for path in route.paths() {
                let there = table.entry(path.clone()).or_default();
                match there.iter().find(|other| other.method == route.method && other.header == route.header) {
                    // Those that ask for a header are looked at first.
                    None if route.header.is_some() => there.insert(0, route.clone()),
                    None => there.push(route.clone()),
                    Some(other) if path == route.path => {
                        return Err(format!("{} {path} is already served by {}", route.method, other.owner()));
                    }
                    // `/x` and `/v1/x` are one below the prefix.
                    Some(_) => {}
                }
            }
        }
        self.router = router(&table)?;
        self.table = table;
        Ok(())
    }

    /// Routes of an earlier generation that nobody serves any more: callers are told so, instead of that there is no
    /// such thing.
    pub fn remember(&mut self, earlier: &Routes) {
        for (path, routes) in &earlier.table {
            for route in routes.iter().filter(|route| route.path == *path) {
                let gone = ClientRoute { format: Speaker::Gone, ..route.as_ref().clone() };
                // Whoever serves the path now is in the right.
                let _ = self.mount(vec![gone]);
            }
        }
    }

    pub fn find(&self, method: &Method, path: &str, headers: &HeaderMap) -> Result<Served<'_>, RouteError> {
        let found = self.router.at(path).map_err(|_| match canonical::not_served(path) {
            Some(operation) => RouteError::NotServed(operation),
            None => RouteError::NoSuchPath,
        })?;
        let serves = |route: &&Arc<ClientRoute>| route.method == method && route.is_for(headers);
        let Some(route) = found.value.iter().find(serves) else {
            let mut methods: Vec<&str> = found.value.iter().map(|route| route.method.as_str()).collect();
            methods.dedup();
            return Err(RouteError::OtherMethod(methods.join(", ")));
        };
        Ok(Served { route, parameters: owned(&found.params) })
    }

    /// Whoever asks for a path that is not served speaks the dialect of the longest one above it that is.
    pub fn nearest(&self, path: &str, headers: &HeaderMap) -> Option<&Arc<ClientRoute>> {
        let is_above =
            |above: &str| path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let (_, routes) =
            self.table.iter().filter(|(above, _)| is_above(above)).max_by_key(|(above, _)| above.len())?;
        routes.iter().find(|route| route.is_for(headers))
    }
}

fn router(table: &Table) -> Result<Router<Vec<Arc<ClientRoute>>>, String> {
    let mut router = Router::new();
    for (path, routes) in table {
        router.insert(path, routes.clone()).map_err(|error| {
            let owner = |path: &str| table.get(path).and_then(|there| there.first()).map(|route| route.owner());
            let owner = |path: &str| owner(path).unwrap_or_default();
            match error {
                InsertError::Conflict { with } => {
                    format!("{path} of {} cannot be told from {with} of {}", owner(path), owner(&with))
                }
                error => format!("{path} is no path: {error}"),
            }
        })?;
    }
    Ok(router)
}

fn owned(parameters: &Params<'_, '_>) -> Vec<(String, String)> {
    let decode = |value: &str| percent_encoding::percent_decode_str(value).decode_utf8_lossy().into_owned();
    parameters.iter().map(|(name, value)| (name.to_owned(), decode(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find<'a>(routes: &'a Routes, method: &Method, path: &str) -> Result<Served<'a>, RouteError> {
        routes.find(method, path, &HeaderMap::new())
    }

    #[test]
    fn canonical_routes_stand_under_the_proxy_prefix_too() {
        let routes = Routes::canonical();
        for path in ["/v1/chat/completions", "/v1/proxy/v1/chat/completions", "/v1/proxy/chat/completions"] {
            assert!(find(&routes, &Method::POST, path).is_ok(), "{path}");
        }
        assert_eq!(find(&routes, &Method::GET, "/v1/nothing").err(), Some(RouteError::NoSuchPath));
        let other = find(&routes, &Method::GET, "/v1/chat/completions").err();
        assert_eq!(other, Some(RouteError::OtherMethod("POST".to_owned())));
    }

    fn chat_at(path: &str) -> ClientRoute {
        let routes = Routes::canonical();
        let chat = find(&routes, &Method::POST, "/v1/chat/completions").expect("canonical").route;
        ClientRoute { path: path.to_owned(), ..chat.as_ref().clone() }
    }

    #[test]
    fn of_routes_that_clash_none_is_mounted() {
        let mut routes = Routes::canonical();
        routes.mount(vec![chat_at("/v1/things/{id}")]).expect("free");
        let get = |path: &str| ClientRoute { method: Method::GET, ..chat_at(path) };
        for (route, why) in [
            (chat_at("/v1/chat/completions"), "POST /v1/chat/completions is already served by the gateway itself"),
            (chat_at("/v1/free"), "POST /v1/free is already served by the gateway itself"),
            (get("/v1/things/{name}"), "cannot be told from"),
            (get("/v1/things/{"), "things/{ is no path"),
        ] {
            let refused = routes.mount(vec![chat_at("/v1/free"), route]).expect_err(why);
            assert!(refused.contains(why), "{refused}");
            assert_eq!(find(&routes, &Method::POST, "/v1/free").err(), Some(RouteError::NoSuchPath));
        }
    }

    #[test]
    fn a_path_with_a_parameter_leaves_others_theirs() {
        let mut routes = Routes::canonical();
        routes.mount(vec![chat_at("/v1/{kind}"), chat_at("/v1/things")]).expect("they can be told apart");
        let path = |path: &str| find(&routes, &Method::POST, path).map(|found| found.route.path.clone());
        assert_eq!(path("/v1/things"), Ok("/v1/things".to_owned()));
        assert_eq!(path("/v1/others"), Ok("/v1/{kind}".to_owned()));
        assert_eq!(path("/v1/models"), Err(RouteError::OtherMethod("GET".to_owned())));
    }

    #[test]
    fn a_route_may_ask_for_a_header() {
        let mut routes = Routes::canonical();
        let header = HeaderName::from_static("x-version");
        let other = ClientRoute {
            dialect: "other".to_owned(),
            header: Some(header.clone()),
            ..chat_at("/v1/chat/completions")
        };
        routes.mount(vec![other.clone()]).expect("they can be told apart");
        assert!(routes.mount(vec![other]).is_err(), "but not two of one header");
        let with = HeaderMap::from_iter([(header, http::HeaderValue::from_static("1"))]);
        let dialect = |headers: &HeaderMap| {
            let found = routes.find(&Method::POST, "/v1/chat/completions", headers);
            found.map(|found| found.route.dialect.clone()).ok()
        };
        assert_eq!(dialect(&with).as_deref(), Some("other"));
        assert_eq!(dialect(&HeaderMap::new()).as_deref(), Some("openai-chat"));
    }

    #[test]
    fn the_nearest_route_is_the_longest_path_above() {
        let mut routes = Routes::canonical();
        let deeper = ClientRoute { dialect: "other".to_owned(), ..chat_at("/v1/models/other") };
        routes.mount(vec![deeper]).expect("free");
        let near = |path: &str| routes.nearest(path, &HeaderMap::new()).map(|route| route.path.as_str());
        assert_eq!(near("/v1/models/other/one"), Some("/v1/models/other"));
        assert_eq!(near("/v1/proxy/models/other/one"), Some("/v1/models/other"));
        assert_eq!(near("/v1/models/others"), Some("/v1/models"));
        assert_eq!(near("/v2/models"), None);
    }

    #[test]
    fn a_route_whose_plugin_has_gone_is_remembered() {
        let mut before = Routes::canonical();
        before.mount(vec![chat_at("/v1/other")]).expect("free");
        let mut after = Routes::canonical();
        after.remember(&before);
        let found = find(&after, &Method::POST, "/v1/other");
        assert!(found.is_ok_and(|found| matches!(found.route.format, Speaker::Gone)));
    }
}
