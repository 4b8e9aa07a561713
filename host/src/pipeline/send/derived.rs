//! Credentials that were derived from configured ones: access tokens and the like. Plugins know their names only.

use crate::config::Secret;
use crate::error::Failure;
use crate::pipeline::route::Candidate;
use crate::plugins::api::provider::Acquisition;
use serde_json::Value;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

const DEFAULT_LIFETIME: Duration = Duration::from_secs(300);
const LONGEST_LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// Beyond this, slots make room that nobody holds: all that have expired, else the one that expires first.
const MAX_SLOTS: usize = 1_024;

/// A credential and, while it is being got, those who wait for it.
pub type Slot = Arc<tokio::sync::Mutex<Credential>>;

struct Held {
    /// A hash of all that decides what a credential is good for and who may use it: the key that it is derived from, where
    /// it was got, and the plugin and settings that got it.
    owner: u64,
    credential: String,
    slot: Slot,
}

/// All derived credentials, each in a slot of its own, by the providers that they are for.
#[derive(Default)]
pub struct Derived {
    slots: Mutex<HashMap<String, Vec<Held>>>,
    /// Set with the first slot: most gateways never have one, and need not look for any with each request.
    any: AtomicBool,
    hasher: RandomState,
}

impl Derived {
    /// The slot of a credential. Holding its lock while getting the credential makes all others wait for that one flight.
    pub fn slot(&self, candidate: &Candidate, credential: &str) -> Slot {
        let owner = self.owner(candidate);
        let mut slots = self.lock();
        let own = slots.entry(candidate.target.config.name.clone()).or_default();
        if let Some(held) = own.iter().find(|held| held.owner == owner && held.credential == credential) {
            return held.slot.clone();
        }
        let slot = Slot::default();
        own.push(Held { owner, credential: credential.to_owned(), slot: slot.clone() });
        make_room(&mut slots, MAX_SLOTS);
        self.any.store(true, Ordering::Relaxed);
        slot
    }

    /// What need not be got first. What is being got or renewed is not among it.
    pub fn live(&self, candidate: &Candidate) -> Vec<Lent> {
        if !self.any.load(Ordering::Relaxed) {
            return Vec::new();
        }
        let owner = self.owner(candidate);
        let slots = self.lock();
        let own = slots.get(&candidate.target.config.name).into_iter().flatten().filter(|held| held.owner == owner);
        let mut live: Vec<Lent> =
            own.filter_map(|held| held.slot.try_lock().ok()?.lend(&held.credential, &held.slot)).collect();
        live.sort_by(|one, other| one.name.cmp(&other.name));
        live
    }

    /// What has been derived for a provider, as far as nobody is renewing it now.
    pub fn secrets_of(&self, candidate: &Candidate) -> Vec<Secret> {
        if !self.any.load(Ordering::Relaxed) {
            return Vec::new();
        }
        let slots = self.lock();
        let own = slots.get(&candidate.target.config.name).into_iter().flatten();
        own.filter_map(|held| held.slot.try_lock().ok()?.current.as_ref().map(|current| current.secret.clone()))
            .collect()
    }

    fn owner(&self, candidate: &Candidate) -> u64 {
        let ready = &candidate.ready;
        let key = candidate.key().map(|key| key.secret.expose().as_bytes());
        let plugin = (&ready.plugin.plugin.digest, ready.plugin.settings());
        self.hasher.hash_one((&candidate.target.config.name, key, &ready.base_url, plugin))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Vec<Held>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What somebody holds stays: a request that carries it, or a flight that gets it.
fn make_room(slots: &mut HashMap<String, Vec<Held>>, limit: usize) {
    let is_full = |slots: &HashMap<String, Vec<Held>>| slots.values().map(Vec::len).sum::<usize>() > limit;
    if is_full(slots) {
        let now = Instant::now();
        keep(slots, |expires| expires > Some(now));
    }
    if is_full(slots) {
        let first = slots.values().flatten().filter(|held| !held.is_in_use()).map(Held::expires).min();
        keep(slots, |expires| Some(expires) > first);
    }
}

fn keep(slots: &mut HashMap<String, Vec<Held>>, is_kept: impl Fn(Option<Instant>) -> bool) {
    slots.retain(|_, own| {
        own.retain(|held| held.is_in_use() || is_kept(held.expires()));
        !own.is_empty()
    });
}

impl Held {
    fn is_in_use(&self) -> bool {
        Arc::strong_count(&self.slot) > 1
    }

    fn expires(&self) -> Option<Instant> {
        self.slot.try_lock().ok()?.current.as_ref().map(|current| current.expires)
    }
}

#[derive(Default)]
pub struct Credential {
    current: Option<Current>,
}

struct Current {
    secret: Secret,
    /// A tenth before it expires, so that none does on its way.
    renew: Instant,
    expires: Instant,
}

impl Credential {
    /// For one request; None where it must be got first.
    pub fn lend(&self, name: &str, slot: &Slot) -> Option<Lent> {
        let current = self.current.as_ref().filter(|current| Instant::now() < current.renew)?;
        Some(current.lend(name, slot))
    }

    /// Takes the secret out of a reply, and lends it to whoever got it, however short it lives.
    pub fn renew(&mut self, reply: &[u8], acquisition: &Acquisition, slot: &Slot) -> Result<Lent, Failure> {
        let name = &acquisition.credential;
        // The reply holds a secret, so no error may quote it.
        let failed = |why: &str| {
            Failure::upstream(format!("the credential `{name}` could not be got: {why}")).code("upstream_malformed")
        };
        let reply: Value = serde_json::from_slice(reply).map_err(|_| failed("the reply is not JSON"))?;
        let secret = reply.pointer(&acquisition.secret_at).and_then(Value::as_str);
        let secret = secret.ok_or_else(|| failed(&format!("there is no text at `{}`", acquisition.secret_at)))?;
        let secret = Secret::new(secret).ok_or_else(|| failed("it has characters that no header may have"))?;
        let seconds = acquisition.expires_at.as_ref().and_then(|pointer| reply.pointer(pointer)?.as_f64());
        let lifetime = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let lifetime = lifetime.unwrap_or(DEFAULT_LIFETIME).min(LONGEST_LIFETIME);
        let now = Instant::now();
        let current = Current { secret, renew: now + lifetime.mul_f64(0.9), expires: now + lifetime };
        Ok(self.current.insert(current).lend(name, slot))
    }
}

impl Current {
    fn lend(&self, name: &str, slot: &Slot) -> Lent {
        Lent { name: name.to_owned(), secret: self.secret.clone(), slot: slot.clone() }
    }
}

/// A derived credential that one request may carry. It keeps it, whatever becomes of the slot meanwhile: another request's
/// answer may give it up, and its time may pass. Then the upstream says so, and the request is planned once more.
#[derive(Clone)]
pub struct Lent {
    pub name: String,
    pub secret: Secret,
    slot: Slot,
}

impl Lent {
    /// The upstream does not take it: whoever needs it next gets a new one, unless somebody has got that already. It stays
    /// known, as the upstream may quote it.
    pub async fn give_up(&self) {
        if let Some(current) = &mut self.slot.lock().await.current
            && current.secret == self.secret
        {
            let now = Instant::now();
            (current.renew, current.expires) = (now, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots<const N: usize>(lifetimes: [Option<u64>; N]) -> HashMap<String, Vec<Held>> {
        let now = Instant::now();
        let held = |lifetime: Option<u64>| {
            let current = lifetime.map(|seconds| {
                let expires = now + Duration::from_secs(seconds);
                Current { secret: Secret::new("token").expect("a secret"), renew: expires, expires }
            });
            let slot = Arc::new(tokio::sync::Mutex::new(Credential { current }));
            Held { owner: 0, credential: format!("{lifetime:?}"), slot }
        };
        HashMap::from([("acme".to_owned(), lifetimes.map(held).into())])
    }

    fn left(slots: &HashMap<String, Vec<Held>>) -> Vec<&str> {
        slots.values().flatten().map(|held| held.credential.as_str()).collect()
    }

    #[test]
    fn what_has_expired_makes_room_and_what_lives_stays() {
        let mut slots = slots([Some(0), Some(60), None, Some(90)]);
        make_room(&mut slots, 4);
        assert_eq!(left(&slots).len(), 4, "there is room for all");
        make_room(&mut slots, 3);
        assert_eq!(left(&slots), ["Some(60)", "Some(90)"]);
    }

    #[test]
    fn where_all_live_the_one_makes_room_that_expires_first() {
        let mut slots = slots([Some(90), Some(60), Some(75)]);
        make_room(&mut slots, 2);
        assert_eq!(left(&slots), ["Some(90)", "Some(75)"]);
    }

    #[test]
    fn what_somebody_holds_stays() {
        let mut slots = slots([Some(60), Some(0), Some(75)]);
        let held: Vec<Slot> = slots["acme"].iter().take(2).map(|held| held.slot.clone()).collect();
        make_room(&mut slots, 1);
        assert_eq!(left(&slots), ["Some(60)", "Some(0)"]);
        drop(held);
        make_room(&mut slots, 1);
        assert_eq!(left(&slots), ["Some(60)"]);
    }
}
