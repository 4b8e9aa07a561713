//! Credentials that were derived from configured ones: access tokens and the like. Plugins know their names only.

use super::WholeReply;
use crate::config::Secret;
use crate::error::{Failure, FailureKind};
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
/// Beyond this, slots that nobody holds are forgotten.
const MAX_SLOTS: usize = 1_024;

/// A credential and, while it is being got, those who wait for it.
type Slot = Arc<tokio::sync::Mutex<Credential>>;

#[derive(PartialEq, Eq, Hash)]
struct Name {
    provider: String,
    /// A hash of all that decides what a credential is good for and who may use it: the key that it is derived from, where
    /// it was got, and the plugin and settings that got it.
    owner: u64,
    credential: String,
}

/// All derived credentials, each in a slot of its own.
#[derive(Default)]
pub struct Derived {
    slots: Mutex<HashMap<Name, Slot>>,
    /// Set with the first slot: most gateways never have one, and need not look for any with each request.
    any: AtomicBool,
    hasher: RandomState,
}

impl Derived {
    /// The slot of a credential. Holding its lock while getting the credential makes all others wait for that one flight.
    pub fn slot(&self, candidate: &Candidate, credential: &str) -> Slot {
        let provider = candidate.target.config.name.clone();
        let name = Name { provider, owner: self.owner(candidate), credential: credential.to_owned() };
        let mut slots = self.lock();
        if slots.len() >= MAX_SLOTS {
            slots.retain(|_, credential| Arc::strong_count(credential) > 1);
        }
        self.any.store(true, Ordering::Relaxed);
        slots.entry(name).or_default().clone()
    }

    /// A credential for one request; None where there is none that lives.
    pub async fn lend(&self, candidate: &Candidate, credential: &str) -> Option<Lent> {
        let slot = self.slot(candidate, credential);
        let secret = slot.lock().await.secret()?;
        Some(Lent { slot, secret })
    }

    /// The names of what need not be got first. What is being got or renewed is not among them.
    pub fn live(&self, candidate: &Candidate) -> Vec<String> {
        if !self.any.load(Ordering::Relaxed) {
            return Vec::new();
        }
        let owner = self.owner(candidate);
        let slots = self.lock();
        let own = slots.iter().filter(|(name, _)| name.owner == owner);
        let fresh = own.filter(|(_, slot)| slot.try_lock().is_ok_and(|credential| credential.is_fresh()));
        let mut names: Vec<String> = fresh.map(|(name, _)| name.credential.clone()).collect();
        names.sort();
        names
    }

    /// What has been derived for a provider, as far as nobody is renewing it now.
    pub fn secrets_of(&self, candidate: &Candidate) -> Vec<Secret> {
        let slots = self.lock();
        let provider = &candidate.target.config.name;
        let own = slots.iter().filter(|(name, _)| name.provider == *provider);
        own.filter_map(|(_, slot)| slot.try_lock().ok()?.current.as_ref().map(|current| current.secret.clone()))
            .collect()
    }

    fn owner(&self, candidate: &Candidate) -> u64 {
        let ready = &candidate.ready;
        let key = candidate.key().map(|key| key.secret.expose().as_bytes());
        let plugin = (&ready.plugin.plugin.digest, ready.plugin.settings());
        self.hasher.hash_one((&candidate.target.config.name, key, &ready.base_url, plugin))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Name, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
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
    /// Whether it need not be got again yet.
    pub fn is_fresh(&self) -> bool {
        self.current.as_ref().is_some_and(|current| Instant::now() < current.renew)
    }

    /// None where there is none, or none any more.
    pub fn secret(&self) -> Option<Secret> {
        let current = self.current.as_ref().filter(|current| Instant::now() < current.expires)?;
        Some(current.secret.clone())
    }

    /// Takes the secret out of the reply that brought it.
    pub fn renew(&mut self, reply: &WholeReply, acquisition: &Acquisition) -> Result<(), Failure> {
        let failed = |why: &str| {
            let name = &acquisition.credential;
            Failure::new(FailureKind::UpstreamCredential, format!("the credential `{name}` could not be got: {why}"))
        };
        if !reply.status.is_success() {
            return Err(failed(&format!("the reply has status {}", reply.status.as_u16())));
        }
        // The reply holds a secret, so no error may quote it.
        let reply: Value = serde_json::from_slice(&reply.body).map_err(|_| failed("the reply is not JSON"))?;
        let secret = reply.pointer(&acquisition.secret_at).and_then(Value::as_str);
        let secret = secret.ok_or_else(|| failed(&format!("there is no text at `{}`", acquisition.secret_at)))?;
        let secret = Secret::new(secret).ok_or_else(|| failed("it has characters that no header may have"))?;
        let seconds = acquisition.expires_at.as_ref().and_then(|pointer| reply.pointer(pointer)?.as_f64());
        let lifetime = seconds
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
            .unwrap_or(DEFAULT_LIFETIME)
            .min(LONGEST_LIFETIME);
        let now = Instant::now();
        self.current = Some(Current { secret, renew: now + lifetime.mul_f64(0.9), expires: now + lifetime });
        Ok(())
    }
}

/// A derived credential that a request carries.
pub struct Lent {
    slot: Slot,
    pub secret: Secret,
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
