//! What is read once, when the gateway starts. Whoever sets something up at that time takes an [`AtStart`] and not the whole
//! configuration, so that what needs a restart is what stands here, and nothing else.

use super::meant::{Config, FailedCalls, Limits, Log, Plugins, Store};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Clone, Debug, PartialEq)]
pub struct AtStart {
    pub listen: SocketAddr,
    pub log: Log,
    pub connections: usize,
    pub caller_timeout: Duration,
    pub shutdown_grace: Duration,
    pub plugins: PluginsAtStart,
    /// None: the admin API is on the callers' address.
    pub admin_listen: Option<SocketAddr>,
    pub store: Store,
}

/// What the plugin runtime is made with.
#[derive(Clone, Debug, PartialEq)]
pub struct PluginsAtStart {
    pub directory: PathBuf,
    pub cache_directory: PathBuf,
    pub call_timeout: Duration,
    pub memory_limit_bytes: usize,
    pub compile_timeout: Duration,
    pub compile_memory_bytes: usize,
    /// The largest text that a plugin may hand back: a body and a half, for what it was given and what it made of it.
    pub answer_bytes: usize,
    pub record_failed_calls: Option<FailedCalls>,
}

impl Config {
    pub fn at_start(&self) -> AtStart {
        let Limits { body_bytes, connections, caller_timeout, shutdown_grace, .. } = self.limits;
        let Plugins { call_timeout, memory_limit_bytes, compile_timeout, compile_memory_bytes, .. } = self.plugins;
        AtStart {
            listen: self.listen,
            log: self.log.clone(),
            connections,
            caller_timeout,
            shutdown_grace,
            plugins: PluginsAtStart {
                directory: self.plugins.directory.clone(),
                cache_directory: self.plugins.cache_directory.clone(),
                call_timeout,
                memory_limit_bytes,
                compile_timeout,
                compile_memory_bytes,
                answer_bytes: body_bytes.saturating_mul(3) / 2,
                record_failed_calls: self.plugins.record_failed_calls.clone(),
            },
            admin_listen: self.admin.listen,
            store: self.store.clone(),
        }
    }
}

impl AtStart {
    /// The keys of the configuration by which another one differs; all of them wait for a restart.
    pub fn differences(&self, other: &AtStart) -> Vec<&'static str> {
        // Taken apart, so that the compiler asks for every field that is added.
        let AtStart { listen, log, connections, caller_timeout, shutdown_grace, plugins, admin_listen, store } = self;
        let changed = [
            ("listen", *listen != other.listen),
            ("log", *log != other.log),
            ("limits.connections", *connections != other.connections),
            ("limits.caller_timeout_seconds", *caller_timeout != other.caller_timeout),
            ("limits.shutdown_grace_seconds", *shutdown_grace != other.shutdown_grace),
            ("admin.listen", *admin_listen != other.admin_listen),
            ("store.path", store.path != other.store.path),
            ("encryption_key", store.encryption_key != other.store.encryption_key),
        ];
        let changed = changed.into_iter().filter_map(|(key, changed)| changed.then_some(key));
        changed.chain(plugins.differences(&other.plugins)).collect()
    }
}

impl PluginsAtStart {
    fn differences(&self, other: &PluginsAtStart) -> impl Iterator<Item = &'static str> {
        let PluginsAtStart {
            directory,
            cache_directory,
            call_timeout,
            memory_limit_bytes,
            compile_timeout,
            compile_memory_bytes,
            answer_bytes,
            record_failed_calls,
        } = self;
        let changed = [
            ("plugins.directory", *directory != other.directory),
            ("plugins.cache_directory", *cache_directory != other.cache_directory),
            ("plugins.call_timeout_ms", *call_timeout != other.call_timeout),
            ("plugins.memory_limit_mb", *memory_limit_bytes != other.memory_limit_bytes),
            ("plugins.compile_timeout_seconds", *compile_timeout != other.compile_timeout),
            ("plugins.compile_memory_mb", *compile_memory_bytes != other.compile_memory_bytes),
            ("plugins.record_failed_calls", *record_failed_calls != other.record_failed_calls),
            ("limits.body_mb (for what plugins return)", *answer_bytes != other.answer_bytes),
        ];
        changed.into_iter().filter_map(|(key, changed)| changed.then_some(key))
    }
}
