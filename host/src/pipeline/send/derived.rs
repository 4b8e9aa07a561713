//! Credentials that were derived from configured ones: access tokens and the like. Plugins know their names only.

use super::WholeReply;
use crate::config::Secret;
use crate::error::{Failure, FailureKind};
use crate::pipeline::route::Candidate;
use crate::plugins::api::provider::Acquisition;
use serde_json::Value;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

const DEFAULT_LIFETIME: Duration = Duration::from_secs(300);
const LONGEST_LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// Beyond this, slots that nobody holds are forgotten.
const MAX_SLOTS: usize = 1_024;

#[derive(PartialEq, Eq, Hash)]
struct Slot {
    provider: String,
    credential: String,
    /// A hash of the key that it is derived from: another key, another token.
    key: u64,
}

/// All derived credentials, each in a slot of its own.
#[derive(Default)]
pub struct Derived {
    slots: Mutex<HashMap<Slot, Arc<tokio::sync::Mutex<Credential>>>>,
    hasher: RandomState,
}

impl Derived {
    /// The slot of a credential. Holding its lock while getting the credential makes all others wait for that one flight.
    pub fn slot(&self, candidate: &Candidate, credential: &str) -> Arc<tokio::sync::Mutex<Credential>> {
        let key = candidate.key().map_or(0, |key| self.hasher.hash_one(key.secret.expose().as_bytes()));
        let provider = candidate.target.config.name.clone();
        let slot = Slot { provider, credential: credential.to_owned(), key };
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= MAX_SLOTS {
            slots.retain(|_, credential| Arc::strong_count(credential) > 1);
        }
        slots.entry(slot).or_default().clone()
    }
}

impl Derived {
    /// What has been derived for a provider, as far as nobody is renewing it now.
    pub fn secrets_of(&self, candidate: &Candidate) -> Vec<Secret> {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let provider = &candidate.target.config.name;
        let own = slots.iter().filter(|(slot, _)| slot.provider == *provider);
        own.filter_map(|(_, credential)| credential.try_lock().ok()?.secret()).collect()
    }
}

#[derive(Default)]
pub struct Credential {
    current: Option<(Secret, Instant)>,
}

impl Credential {
    pub fn is_alive(&self) -> bool {
        self.current.as_ref().is_some_and(|(_, until)| Instant::now() < *until)
    }

    pub fn secret(&self) -> Option<Secret> {
        self.current.as_ref().map(|(secret, _)| secret.clone())
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
        // Renewed a tenth early, so that none expires on its way.
        self.current = Some((secret, Instant::now() + lifetime.mul_f64(0.9)));
        Ok(())
    }
}
