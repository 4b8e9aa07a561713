//! How many files the process may have open; to the system, connections are files.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// A caller's connection and the one to an upstream.
const PER_CONNECTION: u64 = 2;
/// Plugins, the watcher, logs, and idle connections to upstreams.
const OTHERS: u64 = 256;

/// Raises what shells and service managers give by default (mostly 1024) to all that they allow, and says where that is
/// too little for what was configured.
pub fn allow(connections: usize) {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: maximum, maximum };
    let allowed = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => maximum,
        Err(error) => {
            tracing::warn!(%error, "the limit of open files cannot be raised");
            current
        }
    };
    let needed = u64::try_from(connections).unwrap_or(u64::MAX).saturating_mul(PER_CONNECTION).saturating_add(OTHERS);
    if let Some(allowed) = allowed.filter(|allowed| *allowed < needed) {
        tracing::warn!(
            "{connections} connections need up to {needed} open files and the system allows {allowed}; raise that limit \
             (`ulimit -n`, LimitNOFILE=), or lower limits.connections"
        );
    }
}
