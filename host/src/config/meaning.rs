//! From what was typed to what is meant: defaults, and rules that span several keys.

use super::meant::{Admin, Callers, Config, FailedCalls, Isolation, Limits, Log, LogFormat, Plugins, Policy, Store};
use super::provider;
use super::reader::Reader;
use super::routing;
use super::scalars::{FilePath, Folder, Listen, Seconds, Whole};
use super::typed::{
    AdminSection, CallersSection, File, LimitsSection, LogSection, PluginsSection, PolicyEntry, RecordSection,
};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tracing::level_filters::LevelFilter;

const DEFAULT_PORT: u16 = 8080;

/// Where mistakes were noted, what is returned is only good for finding more of them.
pub(super) fn config(file: File, reader: &mut Reader<'_>) -> Config {
    let File { at, listen, plugins, limits, log, policies, providers, models, routing, strict, .. } = file;
    let (admin, store) = (file.admin.unwrap_or_default(), file.store.unwrap_or_default());
    let providers = providers.unwrap_or_default();
    if providers.is_empty() {
        reader.warn(&at.key("providers"), "there is no provider, so that every request will be refused");
    }
    let listen = listen.map_or(SocketAddr::from((Ipv4Addr::LOCALHOST, DEFAULT_PORT)), |Listen(address)| address);
    Config {
        listen,
        plugins: plugins_meant(plugins.unwrap_or_default(), reader),
        limits: limits_meant(limits.unwrap_or_default()),
        log: log_meant(log.unwrap_or_default()),
        policies: policies.unwrap_or_default().into_iter().filter_map(|entry| policy(entry, reader)).collect(),
        providers: providers
            .into_iter()
            .filter_map(|(name, section)| Some((name.clone(), Arc::new(provider::provider(name, section, reader)?))))
            .collect(),
        models: routing::models(models.unwrap_or_default()),
        routing: routing::routing(routing.unwrap_or_default()),
        strict: strict.unwrap_or_default(),
        callers: callers_meant(file.callers.unwrap_or_default()),
        admin: admin_meant(admin, listen, reader),
        store: Store {
            path: store.path.map_or_else(|| reader.base.join(STORE), |FilePath(path)| path),
            encryption_key: file.encryption_key,
        },
        shown: BTreeMap::new(),
        store_trouble: None,
        reads: std::mem::take(&mut reader.reads),
    }
}

fn callers_meant(section: CallersSection) -> Callers {
    let CallersSection { at: _, email_header, user_header, organization_header, project_header } = section;
    let names = [email_header, user_header, organization_header, project_header];
    let named = Callers::VARIABLES.into_iter().zip(names);
    Callers { headers: named.filter_map(|(variable, header)| Some((variable, header?))).collect() }
}

fn admin_meant(section: AdminSection, callers: SocketAddr, reader: &mut Reader<'_>) -> Admin {
    let AdminSection { at, listen, key } = section;
    let listen = listen.map(|Listen(address)| address);
    if listen == Some(callers) && callers.port() != 0 {
        reader.mistake(&at.key("listen"), "is the callers' address; leave it out, or choose another port");
    }
    if key.as_ref().is_some_and(|key| key.literal) {
        reader.warn(&at.key("key"), "the key stands in the file; env.NAME would keep it out");
    }
    Admin { listen, key: key.map(|key| key.value) }
}

/// The store's file, where nothing else is said.
const STORE: &str = "plugway.db";

/// Where it lies without a configuration beside it.
pub(super) fn store_without_file(env: &dyn Fn(&str) -> Option<String>) -> PathBuf {
    let data = match (absolute("XDG_DATA_HOME", env), absolute("HOME", env)) {
        (Some(data), _) => data,
        (None, Some(home)) => home.join(".local").join("share"),
        (None, None) => return PathBuf::from(STORE),
    };
    data.join("plugway").join(STORE)
}

/// The base directory specification wants relative paths ignored.
fn absolute(name: &str, env: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    env(name).map(PathBuf::from).filter(|path| path.is_absolute())
}

fn plugins_meant(section: PluginsSection, reader: &mut Reader<'_>) -> Plugins {
    let PluginsSection {
        at: _,
        directory,
        cache_directory,
        debounce_ms,
        call_timeout_ms,
        memory_limit_mb,
        compile_timeout_seconds,
        compile_memory_mb,
        record_failed_calls,
    } = section;
    let directory = directory.map_or_else(|| reader.base.join("plugins"), |Folder(path)| path);
    Plugins {
        cache_directory: cache_directory
            .map_or_else(|| default_cache_directory(&directory, reader.env), |Folder(path)| path),
        directory,
        debounce: milliseconds(debounce_ms, 200),
        call_timeout: milliseconds(call_timeout_ms, 1000),
        memory_limit_bytes: mebibytes(memory_limit_mb, 256),
        compile_timeout: seconds(compile_timeout_seconds, 120),
        compile_memory_bytes: mebibytes(compile_memory_mb, 2048),
        record_failed_calls: record_failed_calls.and_then(|section| failed_calls(section, reader)),
    }
}

fn failed_calls(section: RecordSection, reader: &mut Reader<'_>) -> Option<FailedCalls> {
    let RecordSection { at, directory, max_files, max_file_kb } = section;
    if directory.is_none() {
        reader.missing(&at.key("directory"), "is missing; it names the folder that records are written to");
    }
    let Folder(directory) = directory?;
    Some(FailedCalls {
        directory,
        max_files: max_files.map_or(100, |Whole(count)| as_usize(count)),
        max_file_bytes: as_usize(max_file_kb.map_or(1024, |Whole(kibibytes)| kibibytes) * 1024),
    })
}

fn default_cache_directory(plugins: &Path, env: &dyn Fn(&str) -> Option<String>) -> PathBuf {
    match (absolute("XDG_CACHE_HOME", env), absolute("HOME", env)) {
        (Some(cache), _) => cache.join("plugway"),
        (None, Some(home)) => home.join(".cache").join("plugway"),
        (None, None) => plugins.join(".cache"),
    }
}

fn limits_meant(section: LimitsSection) -> Limits {
    let LimitsSection {
        at: _,
        body_mb,
        bodies_mb,
        event_mb,
        connections,
        caller_timeout_seconds,
        shutdown_grace_seconds,
        total_timeout_seconds,
    } = section;
    Limits {
        body_bytes: mebibytes(body_mb, 32),
        bodies_bytes: mebibytes(bodies_mb, 1024),
        event_bytes: mebibytes(event_mb, 4),
        connections: connections.map_or(10_000, |Whole(count)| as_usize(count)),
        caller_timeout: seconds(caller_timeout_seconds, 30),
        shutdown_grace: seconds(shutdown_grace_seconds, 30),
        total_timeout: seconds(total_timeout_seconds, 3600),
    }
}

fn log_meant(section: LogSection) -> Log {
    let LogSection { at: _, level, format, access } = section;
    Log {
        level: level.unwrap_or(LevelFilter::INFO),
        format: format.unwrap_or(LogFormat::Text),
        access: access.unwrap_or(true),
    }
}

fn policy(PolicyEntry(section): PolicyEntry, reader: &mut Reader<'_>) -> Option<Policy> {
    if section.plugin.is_none() {
        reader.missing(&section.at.key("plugin"), "is missing; it names the policy's plugin, such as deny@^1");
    }
    Some(Policy {
        plugin: section.plugin?,
        settings: section.settings.unwrap_or_default(),
        isolation: section.isolation.unwrap_or(Isolation::Shared),
    })
}

pub(super) fn seconds(typed: Option<Seconds>, default: u64) -> Duration {
    typed.map_or(Duration::from_secs(default), |Seconds(duration)| duration)
}

pub(super) fn milliseconds<const MIN: u64, const MAX: u64>(typed: Option<Whole<MIN, MAX>>, default: u64) -> Duration {
    Duration::from_millis(typed.map_or(default, |Whole(number)| number))
}

fn mebibytes<const MIN: u64, const MAX: u64>(typed: Option<Whole<MIN, MAX>>, default: u64) -> usize {
    as_usize(typed.map_or(default, |Whole(number)| number).saturating_mul(1024 * 1024))
}

/// The ranges of the typed numbers fit; a smaller machine gets as much as it can count.
pub(super) fn as_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
