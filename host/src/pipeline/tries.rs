//! Who is tried after whom: the next key, the same one again, the next provider. It ends with the first answer, or with a
//! failure that nobody can mend; where all fail, the first failure is what the caller gets.

mod ring;

pub use ring::{Ring, Turned, slot};

use super::attempt::{Answered, Attempt};
use super::call::{Call, Gateway};
use super::decode::Request;
use super::route::{Candidate, Choice};
use crate::config::{Retries, Routing};
use crate::error::{Failure, FailureKind};
use crate::telemetry::Record;
use crate::vitals::{Full, Hold};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

/// However many keys, retries and fallbacks a configuration has.
const MAX_TRIES: u32 = 64;

pub async fn first_that_answers(
    gateway: &Gateway,
    call: &Call,
    request: &Request,
    choices: Vec<Choice>,
    record: &mut Record,
) -> Result<Answered, Failure> {
    let tries = Tries { gateway, call, request, record, number: 0, first: None, unsaid: None };
    let in_time = tokio::time::timeout_at(call.deadline.into(), tries.run(choices)).await;
    in_time.unwrap_or_else(|_| Err(call.out_of_time("the request was not answered")))
}

struct Tries<'a> {
    gateway: &'a Gateway,
    call: &'a Call,
    request: &'a Request,
    record: &'a mut Record,
    /// Of the next try.
    number: u32,
    first: Option<Failed>,
    /// The last failure, which is worth a line in the log as soon as something is tried after it.
    unsaid: Option<(u32, String, Failure)>,
}

/// A failure, and whom the record is about if it is the outcome.
struct Failed {
    failure: Failure,
    provider: String,
    key: String,
    plugin: String,
    upstream_time: Option<Duration>,
}

/// What comes after a choice: an end, or the next one.
type Next = ControlFlow<Result<Answered, Failure>>;

impl Tries<'_> {
    async fn run(mut self, choices: Vec<Choice>) -> Result<Answered, Failure> {
        // Who keeps failing is tried where everybody else has failed: nothing is gained by refusing.
        let mut last_resorts = Vec::new();
        for choice in choices {
            if self.number >= MAX_TRIES {
                return self.give_up();
            }
            if !choice.target.vitals.circuit.admits(self.routing().circuit) {
                last_resorts.push(choice);
            } else if let ControlFlow::Break(outcome) = self.choice(&choice).await {
                return outcome;
            }
        }
        for choice in last_resorts {
            if let ControlFlow::Break(outcome) = self.choice(&choice).await {
                return outcome;
            }
        }
        self.give_up()
    }

    fn routing(&self) -> &Routing {
        &self.call.snapshot.config.routing
    }

    /// One provider: each key that serves, and some of them again.
    async fn choice(&mut self, choice: &Choice) -> Next {
        let rules = choice.target.config.retries;
        let is_first = self.first.is_none();
        let (mut ring, mut retries) = (Ring::of(choice), 0);
        loop {
            let key = match ring.turn() {
                Turned::Key(key) => key,
                Turned::Resting(pause) => {
                    self.fail(choice, &choice.candidate(None), resting(choice, pause));
                    return ControlFlow::Continue(());
                }
                Turned::Spent => return ControlFlow::Continue(()),
            };
            let candidate = choice.candidate(key);
            let hold = match choice.target.vitals.enter(choice.target.config.network.timeouts.request).await {
                Ok(hold) => hold,
                Err(full) => {
                    self.fail(choice, &candidate, no_turn(choice, full));
                    return ControlFlow::Continue(());
                }
            };
            let failure = match self.once(&candidate, hold).await {
                Ok(answered) => {
                    choice.target.vitals.keys.accepted(ring::slot(key));
                    return ControlFlow::Break(Ok(answered));
                }
                Err(failure) => failure,
            };
            let wait = match self.lesson(choice, key, &failure, &mut ring) {
                Lesson::Final if is_first => return ControlFlow::Break(self.end_with(choice, &candidate, failure)),
                Lesson::Final | Lesson::NextChoice => None,
                Lesson::NextKey => Some(Duration::ZERO),
                Lesson::Again { after } => (retries < rules.max)
                    .then(|| after.unwrap_or_default().max(backoff(rules, retries)))
                    // A service that wants to be left alone for longer is left alone.
                    .filter(|wait| *wait <= rules.backoff_max.mul_f64(1.2)),
            };
            self.fail(choice, &candidate, failure);
            let Some(wait) = wait.filter(|_| self.number < MAX_TRIES) else { return ControlFlow::Continue(()) };
            if !wait.is_zero() {
                tokio::time::sleep(wait).await;
                retries += 1;
                ring.again();
            }
        }
    }

    /// One key, once.
    async fn once(&mut self, candidate: &Candidate, hold: Hold) -> Result<Answered, Failure> {
        if let Some((number, provider, failure)) = self.unsaid.take() {
            failure.log_attempt(&self.call.id, &provider, number);
        }
        note(self.record, candidate);
        let Tries { gateway, call, request, .. } = *self;
        let attempt = Attempt { gateway, call, request, candidate, number: self.number };
        let began = Instant::now();
        self.number += 1;
        self.record.tries = self.number;
        let answered = attempt.run(self.record).await?;
        candidate.target.vitals.answered(began.elapsed());
        self.record.usage = answered.answer.usage();
        self.record.keep(hold);
        Ok(answered)
    }

    /// What a failure says of the key and of the provider, to this request and to those that come after it.
    fn lesson(&self, choice: &Choice, key: Option<usize>, failure: &Failure, ring: &mut Ring<'_>) -> Lesson {
        let vitals = &choice.target.vitals;
        let asked_for = failure.retry_after_ms.map(Duration::from_millis);
        if !failure.may_be_rescued() {
            // It is the request that is wrong, and the provider is well.
            vitals.circuit.succeeded();
            return Lesson::Final;
        }
        match failure.kind {
            FailureKind::RateLimited => {
                if let Some(pause) = asked_for {
                    vitals.keys.rest(ring::slot(key), pause.min(self.routing().longest_rest));
                }
                ring.limited(key);
                if ring.has_another() { Lesson::NextKey } else { Lesson::Again { after: asked_for } }
            }
            FailureKind::UpstreamCredential | FailureKind::Forbidden => {
                if failure.kind == FailureKind::UpstreamCredential {
                    vitals.keys.refused(ring::slot(key));
                }
                ring.refused(key);
                Lesson::NextKey
            }
            FailureKind::Upstream | FailureKind::Timeout | FailureKind::Overloaded => {
                if vitals.circuit.failed(self.routing().circuit) {
                    let provider = &choice.target.config.name;
                    let seconds = self.routing().circuit.open.as_secs_f64();
                    tracing::warn!(provider, "keeps failing, and is tried last for {seconds} s: {}", failure.message);
                }
                ring.stay_with(key);
                Lesson::Again { after: asked_for }
            }
            FailureKind::Plugin | FailureKind::Unavailable | FailureKind::ForbiddenAddress => Lesson::NextChoice,
            // Not to be rescued, so final above.
            FailureKind::InvalidRequest
            | FailureKind::NotFound
            | FailureKind::MethodNotAllowed
            | FailureKind::CallerTooSlow
            | FailureKind::TooLarge
            | FailureKind::Refused
            | FailureKind::Unsupported
            | FailureKind::Internal => Lesson::Final,
        }
    }

    fn fail(&mut self, choice: &Choice, candidate: &Candidate, failure: Failure) {
        let provider = &choice.target.config.name;
        self.record.try_failed(provider, failure.kind.error_type());
        if self.first.is_none() {
            note_unless_noted(self.record, candidate);
            self.first = Some(Failed {
                failure: failure.clone(),
                provider: self.record.provider.clone(),
                key: self.record.key.clone(),
                plugin: self.record.plugin.clone(),
                upstream_time: self.record.upstream_time,
            });
        }
        self.unsaid = Some((self.number.saturating_sub(1), provider.clone(), failure));
    }

    /// A failure that is the caller's own to mend.
    fn end_with(&mut self, choice: &Choice, candidate: &Candidate, failure: Failure) -> Result<Answered, Failure> {
        self.record.try_failed(&choice.target.config.name, failure.kind.error_type());
        note_unless_noted(self.record, candidate);
        Err(failure)
    }

    fn give_up(self) -> Result<Answered, Failure> {
        if let Some((number, provider, failure)) = self.unsaid.filter(|(number, ..)| *number > 0) {
            failure.log_attempt(&self.call.id, &provider, number);
        }
        let Some(Failed { failure, provider, key, plugin, upstream_time }) = self.first else {
            return Err(Failure::upstream("there was no provider to try"));
        };
        let record = self.record;
        (record.provider, record.key, record.plugin) = (provider, key, plugin);
        record.upstream_time = upstream_time;
        Err(failure)
    }
}

enum Lesson {
    /// Nobody can mend it.
    Final,
    NextKey,
    /// With the same key, if there are retries left; not before the service wants it.
    Again {
        after: Option<Duration>,
    },
    NextChoice,
}

/// Twice as long each time, and never all at once.
fn backoff(rules: Retries, retries: u32) -> Duration {
    let doubled = rules.backoff_initial.saturating_mul(2_u32.saturating_pow(retries));
    doubled.min(rules.backoff_max).mul_f64(0.8 + 0.4 * fastrand::f64()).max(Duration::from_millis(1))
}

pub fn resting(choice: &Choice, pause: Duration) -> Failure {
    let name = &choice.target.config.name;
    let message =
        format!("the provider `{name}` asked to be left alone for another {:.0} s", pause.as_secs_f64().ceil());
    Failure::new(FailureKind::RateLimited, message)
        .code("keys_resting")
        .retry_after_ms(Some(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX)))
}

/// Roughly when it is worth coming again.
const QUEUE_RETRY_MS: u64 = 1_000;

fn no_turn(choice: &Choice, full: Full) -> Failure {
    let name = &choice.target.config.name;
    match full {
        Full::Queue => Failure::new(
            FailureKind::RateLimited,
            format!("as many requests as may are waiting for the provider `{name}`"),
        )
        .code("queue_full"),
        Full::TookTooLong => {
            Failure::new(FailureKind::Overloaded, format!("the provider `{name}` is busy; there was no turn in time"))
                .code("queue_timeout")
        }
    }
    .retry_after_ms(Some(QUEUE_RETRY_MS))
}

/// Whom the record is about.
fn note(record: &mut Record, candidate: &Candidate) {
    record.provider.clone_from(&candidate.target.config.name);
    record.key = candidate.key().map(|key| key.name.clone()).unwrap_or_default();
    record.plugin = format!("{:?}", candidate.ready.plugin.plugin);
    record.prices = candidate.prices;
    record.upstream_time = None;
}

/// For who failed before anything was tried.
fn note_unless_noted(record: &mut Record, candidate: &Candidate) {
    if record.provider != candidate.target.config.name {
        note(record, candidate);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_their_bound() {
        let rules =
            Retries { max: 9, backoff_initial: Duration::from_millis(100), backoff_max: Duration::from_millis(500) };
        for (retries, around_ms) in [(0, 100), (1, 200), (2, 400), (3, 500), (40, 500)] {
            let pause = backoff(rules, retries);
            let around = Duration::from_millis(around_ms);
            assert!((around.mul_f64(0.8)..=around.mul_f64(1.2)).contains(&pause), "{retries}: {pause:?}");
        }
    }
}
