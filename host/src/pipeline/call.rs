//! What every stage may know of a call.

use super::addressee::Addressee;
use super::admit::Room;
use super::scrub::Scrubs;
use super::send::Upstreams;
use crate::chat;
use crate::error::{Failure, FailureKind};
use crate::plugins::Moment;
use crate::snapshot::{ClientRoute, Live, Snapshot, Speaker};
use crate::telemetry::{AccessLog, Metrics};
use http::HeaderMap;
use std::sync::Arc;
use std::time::Instant;

/// What a serving thread works with.
pub struct Gateway {
    pub live: Arc<Live>,
    pub upstreams: Upstreams,
    pub scrubs: Scrubs,
    pub metrics: Arc<Metrics>,
    pub access_log: Option<Arc<AccessLog>>,
    pub room: Arc<Room>,
}

/// One call: the generation that serves it, and what is known of its caller.
pub struct Call {
    pub snapshot: Arc<Snapshot>,
    pub route: Arc<ClientRoute>,
    pub addressee: Addressee,
    /// Parameters of the path.
    pub parameters: Vec<(String, String)>,
    pub headers: HeaderMap,
    pub id: String,
    pub moment: Moment,
    /// When it must have ended, with all its tries and to the end of its stream.
    pub deadline: Instant,
}

impl Call {
    /// A call that the gateway makes for itself while it serves this one.
    pub fn of_its_own(&self) -> Call {
        let route =
            ClientRoute { dialect: chat::DIALECT.to_owned(), format: Speaker::Canonical, ..(*self.route).clone() };
        Call {
            snapshot: self.snapshot.clone(),
            route: Arc::new(route),
            addressee: Addressee::default(),
            parameters: Vec::new(),
            headers: HeaderMap::new(),
            id: self.id.clone(),
            moment: self.moment,
            deadline: self.deadline,
        }
    }

    pub fn dialect(&self) -> &str {
        &self.route.dialect
    }

    /// Refuses where hints cannot be carried and the caller wants none dropped.
    pub fn may_drop(&self, hints: &[String]) -> Result<(), Failure> {
        let says_so = self.headers.get("x-plugway-strict").is_some_and(|value| value == "true");
        let is_strict = says_so || self.snapshot.config.strict;
        let Some(first) = hints.first().filter(|_| is_strict) else { return Ok(()) };
        let all = hints.join(", ");
        let who = if says_so { "the request says x-plugway-strict" } else { "the gateway is set to be strict" };
        let message = format!("the target cannot carry {all}, and {who}");
        Err(Failure::invalid(message).at(first.as_str()).code("unsupported_parameter"))
    }

    /// The format that speaks the caller's dialect; None where it is the canonical one.
    pub fn speaker(&self) -> Result<Option<&Arc<crate::plugins::Configured>>, Failure> {
        match &self.route.format {
            Speaker::Canonical => Ok(None),
            Speaker::Format(format) => Ok(Some(format)),
            Speaker::Gone => Err(super::problem::gone(&self.route)),
        }
    }

    /// What `deadline` ends. `what` says of what it was: "the stream went on".
    pub fn out_of_time(&self, what: &str) -> Failure {
        let seconds = self.snapshot.config.limits.total_timeout.as_secs_f64();
        let message =
            format!("{what} for longer than the {seconds} s that a request may take, with all that was tried");
        Failure::new(FailureKind::Timeout, message).code("total_timeout")
    }

    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(parameter, _)| parameter == name).map(|(_, value)| value.as_str())
    }

    pub fn is_canonical(&self) -> bool {
        self.dialect() == chat::DIALECT
    }
}
