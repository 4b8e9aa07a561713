//! Who is tried after whom: the next key, the same one again, the next provider. It ends with the first answer, or with a
//! failure that nobody can mend; where all fail, the first failure is what the caller gets.

mod first;
mod ring;
mod round;
mod verdict;

pub use ring::{Ring, Turned, slot};
pub use verdict::Verdict;

use super::attempt::{Answered, Attempt};
use super::call::{Call, Gateway};
use super::decode::Request;
use super::route::{Candidate, Choice};
use crate::config::Routing;
use crate::error::{Failure, FailureKind};
use crate::telemetry::Record;
use crate::vitals::{Full, Hold};
use first::{Failed, First};
use round::{Lesson, Round};
use std::ops::ControlFlow;
use std::time::Duration;

/// However many keys, retries and fallbacks a configuration has.
const MAX_TRIES: u32 = 64;

pub async fn first_that_answers(
    gateway: &Gateway,
    call: &Call,
    request: &Request,
    choices: Vec<Choice>,
    record: &mut Record,
) -> Result<Answered, Failure> {
    let mut tries = Tries { gateway, call, request, record, number: 0, first: First::Nothing };
    let in_time = tokio::time::timeout_at(call.deadline.into(), tries.run(choices)).await;
    in_time.unwrap_or_else(|_| Err(tries.out_of_time()))
}

struct Tries<'a> {
    gateway: &'a Gateway,
    call: &'a Call,
    request: &'a Request,
    record: &'a mut Record,
    /// Of the next try.
    number: u32,
    first: First,
}

/// What comes after a choice: an end, or the next one.
type Next = ControlFlow<Result<Answered, Failure>>;

impl Tries<'_> {
    async fn run(&mut self, choices: Vec<Choice>) -> Result<Answered, Failure> {
        // Who keeps failing is tried where everybody else has failed: nothing is gained by refusing.
        let mut last_resorts = Vec::new();
        for choice in choices {
            if self.number >= MAX_TRIES {
                return Err(self.give_up());
            }
            if !choice.pulse.circuit.admits(self.routing().circuit) {
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
        Err(self.give_up())
    }

    fn routing(&self) -> &Routing {
        &self.call.snapshot.config.routing
    }

    /// One provider: each key that serves, and some of them again.
    async fn choice(&mut self, choice: &Choice) -> Next {
        let nobody_failed_before = self.first.is_to_come();
        let mut round = Round::of(choice);
        while let Some(key) = self.key(&mut round) {
            let candidate = choice.candidate(key);
            note(self.record, &candidate);
            let hold = match choice.pulse.enter(choice.target.config.network.timeouts.request).await {
                Ok(hold) => hold,
                Err(full) => {
                    self.fail(choice, no_turn(choice, full));
                    break;
                }
            };
            round.begins();
            let failure = match self.once(&candidate, hold).await {
                Ok(answered) => {
                    round.answered();
                    choice.target.vitals.keys.accepted(ring::slot(key));
                    return ControlFlow::Break(Ok(answered));
                }
                Err(failure) => failure,
            };
            let lesson = self.lesson(&candidate, key, &failure, &mut round.ring);
            if let (Lesson::Final, true) = (&lesson, nobody_failed_before) {
                self.record.try_failed(&choice.target.config.name, failure.kind.error_type());
                return ControlFlow::Break(Err(failure));
            }
            self.fail(choice, failure);
            let Some(pause) = round.next(&lesson).filter(|_| self.number < MAX_TRIES) else { break };
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
        }
        ControlFlow::Continue(())
    }

    /// The key whose turn it is.
    fn key(&mut self, round: &mut Round<'_>) -> Option<Option<usize>> {
        match round.turn() {
            Turned::Key(key) => Some(key),
            Turned::Resting(pause) => {
                let choice = round.choice;
                note(self.record, &choice.candidate(None));
                self.fail(choice, resting(choice, pause));
                None
            }
            Turned::Spent => None,
        }
    }

    /// One key, once.
    async fn once(&mut self, candidate: &Candidate, hold: Hold) -> Result<Answered, Failure> {
        self.first.tell(&self.call.id);
        let Tries { gateway, call, request, .. } = *self;
        let attempt = Attempt { gateway, call, request, candidate, number: self.number };
        self.number += 1;
        self.record.tries = self.number;
        let mut answered = attempt.run(self.record).await?;
        answered.answer.is_judged_by(Verdict::on(candidate, call));
        self.record.usage = answered.answer.usage();
        self.record.keep(hold);
        Ok(answered)
    }

    /// What a failure says of the key and of the provider, to this request and to those that come after it.
    fn lesson(&self, candidate: &Candidate, key: Option<usize>, failure: &Failure, ring: &mut Ring<'_>) -> Lesson {
        let keys = &candidate.target.vitals.keys;
        let verdict = Verdict::on(candidate, self.call);
        let asked_for = failure.retry_after_ms.map(Duration::from_millis);
        if !failure.may_be_rescued() {
            // It is the request that is wrong, and the provider is well, if it was asked at all.
            if self.record.upstream_time.is_some() {
                verdict.well();
            }
            return Lesson::Final;
        }
        match failure.kind {
            FailureKind::RateLimited => {
                if let Some(pause) = asked_for {
                    keys.rest(ring::slot(key), pause.min(self.routing().longest_rest));
                }
                ring.limited(key);
                if ring.has_another() { Lesson::NextKey } else { Lesson::Again { after: asked_for } }
            }
            FailureKind::UpstreamCredential | FailureKind::Forbidden => {
                if failure.kind == FailureKind::UpstreamCredential {
                    keys.refused(ring::slot(key));
                }
                ring.refused(key);
                Lesson::NextKey
            }
            FailureKind::Upstream | FailureKind::Timeout | FailureKind::Overloaded => {
                verdict.failed(failure);
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

    /// Of the one that the record is about.
    fn fail(&mut self, choice: &Choice, failure: Failure) {
        self.record.try_failed(&choice.target.config.name, failure.kind.error_type());
        let failed = Failed::new(failure, self.number.saturating_sub(1), self.record);
        self.first.add(failed, &self.call.id);
    }

    fn give_up(&mut self) -> Failure {
        match std::mem::take(&mut self.first).into_failed() {
            Some(failed) => failed.outcome(self.record),
            None => Failure::upstream("there was no provider to try"),
        }
    }

    /// What failed first is what the operator can do something about, so it is said with it.
    fn out_of_time(&mut self) -> Failure {
        self.first.tell(&self.call.id);
        let failure = self.call.out_of_time("the request was not answered");
        match std::mem::take(&mut self.first).into_failed() {
            Some(first) => {
                let message = format!("{}; what failed first: {}", failure.message, first.failure.message);
                Failure { message: message.into(), ..failure }
            }
            None => failure,
        }
    }
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
