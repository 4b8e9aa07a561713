//! A plugin with its settings, and the one place from which it is called.
//!
//! An instance is taken out of the pool for a call and goes back only when the call returned well: a trap, a deadline or
//! a caller that went away in the middle leaves nothing behind.

use super::api::Problem;
use super::api::provider::Capabilities;
use super::fault::Fault;
use super::health::Health;
use super::plugin::{FREE_TICKS, Live, Plugin, within};
use super::record::{self, RecordedOutcome};
use super::slots::Shelf;
use crate::config::Isolation;
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{OnceCell, Semaphore, SemaphorePermit};

/// Instances of one configured plugin that may be running at once. Calls take microseconds, so more than one a thread
/// is needed only while a slow one steps aside.
const MAX_RUNNING: usize = 64;
/// An instance whose memory has grown by more than this since it was made is not kept: one large body would hold it for
/// ever. What it began with does not count, as a guest that brings an interpreter has ten megabytes of that.
const MAX_IDLE_GROWTH_BYTES: usize = 8 * 1024 * 1024;
/// How many times a text's size a guest needs to read it, build something of it and write that.
const MEMORY_PER_BYTE: usize = 6;

/// A call's own clock and chance, the same for all plugins that one request passes.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    pub now_ms: u64,
    pub seed: u64,
}

impl Moment {
    /// For calls that have no time and no chance in them: what they return depends on the settings alone.
    pub const NONE: Moment = Moment { now_ms: 0, seed: 0 };
}

/// What a call is made for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Occasion {
    /// To learn what the plugin is. There is no time and no chance in it, as the answer depends on the settings alone; and
    /// it says nothing of how well requests are served.
    Building,
    Request(Moment),
}

impl Occasion {
    fn moment(self) -> Moment {
        match self {
            Occasion::Building => Moment::NONE,
            Occasion::Request(moment) => moment,
        }
    }
}

impl From<Moment> for Occasion {
    fn from(moment: Moment) -> Self {
        Occasion::Request(moment)
    }
}

/// Why a call brought no answer.
#[derive(Clone, Debug)]
pub enum CallError {
    /// The plugin says no.
    Problem(Problem),
    /// The plugin failed.
    Fault { plugin: String, fault: Fault },
}

/// The largest state that a plugin may keep for one conversation.
pub const MAX_STATE_BYTES: usize = 256 * 1024;
/// The same for the client half of a format, as there are dialects that say at a stream's end again all that was said.
pub const MAX_SAID_BYTES: usize = 2 * 1024 * 1024;

/// A plugin with its settings.
pub struct Configured {
    pub plugin: Arc<Plugin>,
    settings: String,
    isolation: Isolation,
    health: Arc<Health>,
    idle: Arc<Shelf<Live>>,
    running: Semaphore,
    /// The same in every call, so it is asked once, however many providers are served by it.
    pub(super) capabilities: OnceCell<Arc<Capabilities>>,
    /// Told when this use of the plugin goes to rest.
    watcher: Watcher,
}

/// Who wants to know that a plugin keeps trapping.
pub type Watcher = Arc<dyn Fn(Failing) + Send + Sync>;

/// A plugin that keeps failing with these settings.
pub struct Failing {
    pub plugin: Arc<Plugin>,
    pub settings: String,
}

impl Configured {
    /// Makes the first instance, so that settings which the plugin refuses are found here and not in a request.
    pub async fn new(
        plugin: Arc<Plugin>,
        settings: String,
        isolation: Isolation,
        watcher: Watcher,
    ) -> Result<Self, Fault> {
        let configured = Configured {
            health: plugin.uses.with(&settings),
            idle: plugin.mould.slots.shelf(),
            plugin,
            settings,
            isolation,
            running: Semaphore::new(MAX_RUNNING),
            capabilities: OnceCell::new(),
            watcher,
        };
        let first = configured.fresh().await?;
        configured.put_back(first);
        Ok(configured)
    }

    /// Whether this is what a configuration with these settings needs.
    pub fn serves(&self, plugin: &Arc<Plugin>, settings: &str, isolation: Isolation) -> bool {
        Arc::ptr_eq(&self.plugin, plugin) && self.settings == settings && self.isolation == isolation
    }

    /// A JSON object.
    pub fn settings(&self) -> &str {
        &self.settings
    }

    /// Whether it is out of use after repeated faults.
    pub fn is_resting(&self) -> bool {
        self.health.resting().is_some()
    }

    async fn fresh(&self) -> Result<Live, Fault> {
        let mut live = self.plugin.instantiate().await?;
        live.store.data_mut().begin(0, 0);
        let limit = self.plugin.load_timeout();
        let lifecycle = live.exports.lifecycle.plugway_plugin_lifecycle();
        match within(limit, lifecycle.call_configure(&mut live.store, &self.settings)).await? {
            Ok(()) => {
                live.fresh_bytes = live.memory_bytes();
                Ok(live)
            }
            Err(problem) => Err(Fault::Unconfigured(problem.message)),
        }
    }

    /// An instance for one call. It is on its own until [`Taken::finish`] says that the call went well.
    pub(super) async fn take(&self, occasion: Occasion) -> Result<Taken<'_>, Fault> {
        if let (Occasion::Request(_), Some(left)) = (occasion, self.health.resting()) {
            return Err(Fault::OutOfUse(left));
        }
        let Moment { now_ms, seed } = occasion.moment();
        let permit = match self.running.try_acquire() {
            Ok(permit) => permit,
            Err(_) => tokio::time::timeout(self.limit(), self.running.acquire())
                .await
                .ok()
                .and_then(Result::ok)
                .ok_or(Fault::Busy(MAX_RUNNING))?,
        };
        let mut live = match self.idle.take() {
            Some(live) => live,
            None => self.fresh().await.inspect_err(|fault| self.note(fault, occasion))?,
        };
        live.store.data_mut().begin(now_ms, seed);
        live.store.set_epoch_deadline(FREE_TICKS);
        live.store.set_hostcall_fuel(self.plugin.mould.bounds.answer_bytes);
        Ok(Taken { live, owner: self, occasion, _permit: permit, began: Instant::now() })
    }

    /// Remembers a call that is about to be made, where failed calls are written down.
    pub(super) fn remember<const N: usize>(
        &self,
        occasion: Occasion,
        kind: &'static str,
        function: &'static str,
        arguments: impl FnOnce() -> [(&'static str, Value); N],
    ) {
        let Some(recorder) = &self.plugin.mould.recorder else { return };
        let arguments = arguments().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let call = record::Call { kind, function, arguments, moment: occasion.moment() };
        recorder.remember(self.address(), call);
    }

    fn record(&self, outcome: impl FnOnce() -> RecordedOutcome) {
        if let Some(recorder) = &self.plugin.mould.recorder {
            recorder.failed(self.address(), &self.plugin, &self.settings, outcome());
        }
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// A plugin's problem is the call's.
    pub(super) fn flatten<T>(&self, answer: Result<Result<T, Problem>, CallError>) -> Result<T, CallError> {
        answer?.map_err(|problem| {
            self.record(|| RecordedOutcome::problem(&problem));
            CallError::Problem(problem)
        })
    }

    /// Refuses a request that the plugin could not work on within its memory: that is nobody's fault but the text's.
    pub(super) fn fits(&self, text: &str) -> Result<(), CallError> {
        let limit = self.plugin.mould.bounds.memory_limit_bytes / MEMORY_PER_BYTE;
        if needs(text) <= limit { Ok(()) } else { Err(self.failed(Fault::TooLargeForIt { limit })) }
    }

    /// The same for an answer, which the caller has no part in.
    pub(super) fn fits_answer(&self, text: &str) -> Result<(), CallError> {
        let limit = self.plugin.mould.bounds.memory_limit_bytes / MEMORY_PER_BYTE;
        if needs(text) <= limit { Ok(()) } else { Err(self.failed(Fault::AnswerTooLargeForIt { limit })) }
    }

    /// Refuses a state that would make many conversations large.
    pub(super) fn bounded(&self, state: &str) -> Result<(), CallError> {
        self.within(MAX_STATE_BYTES, state)
    }

    pub(super) fn within(&self, bytes: usize, state: &str) -> Result<(), CallError> {
        match state.len() <= bytes {
            true => Ok(()),
            false => Err(self.broke_contract(format!("its state is larger than {} KiB", bytes / 1024))),
        }
    }

    pub(super) fn limit(&self) -> Duration {
        self.plugin.mould.bounds.call_timeout
    }

    fn put_back(&self, live: Live) {
        let grown = live.memory_bytes().saturating_sub(live.fresh_bytes);
        if self.isolation == Isolation::PerRequest || grown > MAX_IDLE_GROWTH_BYTES {
            return;
        }
        self.plugin.mould.slots.put_back(&self.idle, live);
    }

    fn note(&self, fault: &Fault, occasion: Occasion) {
        match occasion {
            Occasion::Building => self.tell(fault),
            Occasion::Request(_) => self.note_in_request(fault),
        }
    }

    /// Counts a fault, and speaks up when it was one too many.
    fn note_in_request(&self, fault: &Fault) {
        self.tell(fault);
        if fault.is_the_plugins() && self.health.fault() {
            let plugin = &self.plugin;
            tracing::error!(plugin = ?plugin, "the plugin keeps failing and is taken out of use for a while");
            (self.watcher)(Failing { plugin: plugin.clone(), settings: self.settings.clone() });
        }
    }

    fn tell(&self, fault: &Fault) {
        self.plugin.stats.fault(fault.to_string());
        tracing::error!(plugin = ?self.plugin, %fault, "a call into a plugin failed");
        match fault {
            Fault::BrokeContract(what) => self.record(|| RecordedOutcome::Malformed(what.clone())),
            fault if fault.is_the_plugins() => self.record(|| RecordedOutcome::Fault(fault.to_string())),
            _ => {}
        }
    }

    /// A plugin that answered with something the contract forbids has failed as much as one that trapped.
    pub fn broke_contract(&self, what: impl Into<String>) -> CallError {
        let fault = Fault::BrokeContract(what.into());
        self.health.retract();
        self.note_in_request(&fault);
        self.failed(fault)
    }

    pub(super) fn failed(&self, fault: Fault) -> CallError {
        CallError::Fault { plugin: format!("{:?}", self.plugin), fault }
    }
}

/// An instance in the middle of a call.
pub(super) struct Taken<'a> {
    pub live: Live,
    owner: &'a Configured,
    occasion: Occasion,
    _permit: SemaphorePermit<'a>,
    began: Instant,
}

impl Taken<'_> {
    /// Ends the call: the instance goes back only if the guest returned.
    pub fn finish<T>(
        self,
        function: &'static str,
        outcome: Result<wasmtime::Result<T>, tokio::time::error::Elapsed>,
    ) -> Result<T, CallError> {
        let (owner, took) = (self.owner, self.began.elapsed());
        owner.plugin.stats.call(took);
        tracing::debug!(plugin = ?owner.plugin, took_us = took.as_micros(), "{}", function.trim_start_matches("call_"));
        let fault = match outcome {
            Ok(Ok(value)) => {
                if matches!(self.occasion, Occasion::Request(_)) {
                    owner.health.answer();
                }
                owner.put_back(self.live);
                return Ok(value);
            }
            Ok(Err(error)) => Fault::from_call(&error),
            Err(_) => Fault::TookTooLong(owner.limit()),
        };
        owner.note(&fault, self.occasion);
        Err(owner.failed(fault))
    }
}

/// How large a text is for a guest that builds something of it: a value of two bytes takes as much room there as one of
/// thirty. Without this, a body of many small values would run a plugin out of memory or time, and five of those would take
/// it out of use for everybody.
fn needs(text: &str) -> usize {
    const VALUE_BYTES: usize = 32;
    match text.len() {
        ..SMALL => text.len(),
        length => length.max(memchr::memchr2_iter(b',', b':', text.as_bytes()).count() * VALUE_BYTES),
    }
}

/// What cannot be too large, however many values are in it.
const SMALL: usize = 256 * 1024;
