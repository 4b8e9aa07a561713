//! What the end of an answer says of who gave it.

use crate::config::CircuitRule;
use crate::error::{Failure, FailureKind};
use crate::pipeline::call::Call;
use crate::pipeline::route::Candidate;
use crate::snapshot::Target;
use crate::vitals::Pulse;
use std::sync::Arc;

/// Given with the answer to whoever sees its end. Where nobody does, as the caller has left, it says nothing.
pub struct Verdict {
    target: Arc<Target>,
    pulse: Arc<Pulse>,
    rule: CircuitRule,
}

impl Verdict {
    pub fn on(candidate: &Candidate, call: &Call) -> Self {
        let rule = call.snapshot.config.routing.circuit;
        Verdict { target: candidate.target.clone(), pulse: candidate.pulse.clone(), rule }
    }

    pub fn ends(self, end: &Result<(), Failure>) {
        match end {
            Ok(()) => self.well(),
            Err(failure) => self.failed(failure),
        }
    }

    pub fn well(self) {
        self.pulse.circuit.succeeded();
    }

    pub fn failed(self, failure: &Failure) {
        if is_about_the_service(failure.kind) && self.pulse.circuit.failed(self.rule) {
            let (provider, model) = (&self.target.config.name, &self.pulse.model);
            let seconds = self.rule.open.as_secs_f64();
            tracing::warn!(provider, model, "keeps failing, and is tried last for {seconds} s: {}", failure.message);
        }
    }
}

/// Not about the request, the key, or anything on this side of the network.
fn is_about_the_service(kind: FailureKind) -> bool {
    matches!(kind, FailureKind::Upstream | FailureKind::Timeout | FailureKind::Overloaded)
}
