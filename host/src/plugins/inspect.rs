//! What a file says of itself before any of it runs: whether it is a component, which kinds it exports at which contract
//! versions, and what it imports. Every refusal is a sentence that says what to do.

use super::api::CONTRACTS;
use std::collections::BTreeSet;
use std::fmt;
use thiserror::Error;
use wasmparser::{ComponentExternalKind, Encoding, Parser, Payload, Validator, WasmFeatures};

/// The largest file that is taken for a plugin. A Python guest is 18 MB.
pub const MAX_FILE_BYTES: u64 = 128 * 1024 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Provider,
    FormatUpstream,
    FormatClient,
    Headers,
    Policy,
    ScriptEngine,
}

impl Kind {
    pub(super) const ALL: [Kind; 6] =
        [Kind::Provider, Kind::FormatUpstream, Kind::FormatClient, Kind::Headers, Kind::Policy, Kind::ScriptEngine];

    /// The kind that a manifest or `inspect` calls so.
    pub fn named(name: &str) -> Option<Self> {
        Kind::ALL.into_iter().find(|kind| kind.to_string() == name)
    }

    /// The interface's own name, which guest languages give to what they export.
    pub fn interface_name(self) -> &'static str {
        self.interface().split_once('/').map_or("", |(_, name)| name)
    }

    /// The interface that makes a component one of this kind.
    pub(super) fn interface(self) -> &'static str {
        match self {
            Kind::Provider => "plugway:provider/provider",
            Kind::FormatUpstream => "plugway:format/upstream",
            Kind::FormatClient => "plugway:format/client",
            Kind::Headers => "plugway:headers/headers",
            Kind::Policy => "plugway:policy/policy",
            Kind::ScriptEngine => "plugway:script/engine",
        }
    }

    /// By the short word that the host's own code has for it: `upstream`, `client`.
    pub(super) fn of_interface(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.interface().ends_with(&format!("/{name}")))
    }

    /// The word that configurations and file names use.
    pub fn family(self) -> &'static str {
        match self {
            Kind::Provider => "provider",
            Kind::FormatUpstream | Kind::FormatClient => "format",
            Kind::Headers => "headers",
            Kind::Policy => "policy",
            Kind::ScriptEngine => "script",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Kind::Provider => "provider",
            Kind::FormatUpstream => "format-upstream",
            Kind::FormatClient => "format-client",
            Kind::Headers => "headers",
            Kind::Policy => "policy",
            Kind::ScriptEngine => "script-engine",
        })
    }
}

/// What a component exports and imports.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    pub kinds: BTreeSet<Kind>,
    /// `plugway:provider@0.1.0`, each contract package once.
    pub contracts: BTreeSet<String>,
    pub imports: BTreeSet<String>,
}

#[derive(Debug, Error, PartialEq)]
pub enum Refusal {
    #[error("the file is empty; was it still being written?")]
    Empty,
    #[error("the file has {0} bytes; the most a plugin may have is {MAX_FILE_BYTES}")]
    TooLarge(u64),
    #[error("this is not a WebAssembly file: it does not begin with the magic bytes `\\0asm`")]
    NotWasm,
    #[error(
        "this is a core module, not a component; build it for the target `wasm32-wasip2`, or use `plugway plugin build`"
    )]
    CoreModule,
    #[error(
        "this is a core module, built for `wasm32-wasip1`; build it for the target `wasm32-wasip2`, or use `plugway plugin build`"
    )]
    Wasip1,
    #[error("the component is damaged or cut short: {0}; build it again or copy it again as a whole")]
    Damaged(String),
    #[error("the component exports none of Plugway's interfaces; end the plugin with `plugway_sdk::export!`")]
    NoKind,
    #[error(
        "the component does not export `plugway:plugin/lifecycle`, which every plugin has; end the plugin with `plugway_sdk::export!`"
    )]
    NoLifecycle,
    #[error(
        "the plugin needs {wanted}, which runs on hosts that offer {range}; this host, {version}, offers {offered}; {advice}",
        version = env!("CARGO_PKG_VERSION")
    )]
    UnknownVersion { wanted: String, range: String, offered: String, advice: &'static str },
    #[error("the component exports `{0}`, which no version of this host knows; rebuild the plugin with the SDK of this host, {version}", version = env!("CARGO_PKG_VERSION"))]
    UnknownInterface(String),
    #[error(
        "the plugin imports {0}, which a plugin may not use: plugins do no I/O, the host does; take out the code (or the dependency) that needs it"
    )]
    ForbiddenImport(String),
}

/// Reads the component's surface.
pub fn inspect(wasm: &[u8]) -> Result<Shape, Refusal> {
    check_header(wasm)?;
    Validator::new_with_features(features())
        .validate_all(wasm)
        .map_err(|error| Refusal::Damaged(error.message().to_owned()))?;
    let (exports, imports) = surface(wasm).map_err(|error| Refusal::Damaged(error.message().to_owned()))?;
    let shape = classify(&exports, imports)?;
    check_imports(&shape.imports)?;
    Ok(shape)
}

/// Whether this is a component that runs scripts, by its exports alone; loading says whether it is a good one.
pub fn is_script_engine(wasm: &[u8]) -> bool {
    let is_engine = |export: &String| export.split('@').next() == Some(Kind::ScriptEngine.interface());
    check_header(wasm).is_ok() && surface(wasm).is_ok_and(|(exports, _)| exports.iter().any(is_engine))
}

fn check_header(wasm: &[u8]) -> Result<(), Refusal> {
    if wasm.is_empty() {
        return Err(Refusal::Empty);
    }
    if !wasm.starts_with(b"\0asm") {
        return Err(Refusal::NotWasm);
    }
    if Parser::is_core_wasm(wasm) {
        let is_wasip1 = memchr::memmem::find(wasm, b"wasi_snapshot_preview1").is_some();
        return Err(if is_wasip1 { Refusal::Wasip1 } else { Refusal::CoreModule });
    }
    Ok(())
}

fn features() -> WasmFeatures {
    WasmFeatures::default()
        .difference(
            WasmFeatures::THREADS | WasmFeatures::MEMORY64 | WasmFeatures::MULTI_MEMORY | WasmFeatures::EXCEPTIONS,
        )
        .union(WasmFeatures::COMPONENT_MODEL)
}

/// Names of the instances that the outermost component exports and imports.
fn surface(wasm: &[u8]) -> wasmparser::Result<(Vec<String>, BTreeSet<String>)> {
    let (mut exports, mut imports, mut depth) = (Vec::new(), BTreeSet::new(), 0_usize);
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::Version { encoding: Encoding::Component | Encoding::Module, .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::ComponentExportSection(section) if depth == 1 => {
                for export in section {
                    let export = export?;
                    if export.kind == ComponentExternalKind::Instance {
                        exports.push(export.name.name.to_owned());
                    }
                }
            }
            Payload::ComponentImportSection(section) if depth == 1 => {
                for import in section {
                    imports.insert(import?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    Ok((exports, imports))
}

fn classify(exports: &[String], imports: BTreeSet<String>) -> Result<Shape, Refusal> {
    let (mut kinds, mut contracts, mut lifecycle) = (BTreeSet::new(), BTreeSet::new(), false);
    for export in exports.iter().filter(|name| name.starts_with("plugway:")) {
        let (interface, version) = export.split_once('@').unwrap_or((export, ""));
        let package = interface.split('/').next().unwrap_or(interface);
        check_version(package, version)?;
        match Kind::ALL.into_iter().find(|kind| kind.interface() == interface) {
            Some(kind) => _ = kinds.insert(kind),
            None if interface == "plugway:plugin/lifecycle" => lifecycle = true,
            None => return Err(Refusal::UnknownInterface(export.clone())),
        }
        contracts.insert(format!("{package}@{version}"));
    }
    match (kinds.is_empty(), lifecycle) {
        (true, _) => Err(Refusal::NoKind),
        (false, false) => Err(Refusal::NoLifecycle),
        (false, true) => Ok(Shape { kinds, contracts, imports }),
    }
}

/// What a component of these kinds exports and may import, as WIT.
pub fn world(name: &str, kinds: &[Kind]) -> String {
    let versioned = |interface: &str| {
        let package = interface.split('/').next().unwrap_or(interface);
        format!("{interface}@{}", offered(package).unwrap_or_default())
    };
    let exports = kinds.iter().map(|kind| format!("    export {};\n", versioned(kind.interface())));
    let include = format!("    include {};\n", versioned("plugway:plugin/plugin"));
    format!("world {name} {{\n{include}{}}}\n", exports.collect::<String>())
}

/// The version of a contract package that this host has.
fn offered(package: &str) -> Option<&'static str> {
    CONTRACTS.iter().find(|(name, _)| *name == package).map(|(_, version)| *version)
}

/// A plugin built against `0.1.2` runs on a host that offers any `0.1.x` with x at least 2.
fn check_version(package: &str, wanted: &str) -> Result<(), Refusal> {
    let offered = offered(package);
    let refusal = |advice| Refusal::UnknownVersion {
        wanted: format!("{package}@{wanted}"),
        range: host_range(wanted),
        offered: offered.map_or_else(|| "no such package".to_owned(), |version| format!("{package}@{version}")),
        advice,
    };
    let (Ok(asked), Some(Ok(have))) = (semver::Version::parse(wanted), offered.map(semver::Version::parse)) else {
        return Err(refusal("rebuild the plugin with the SDK of this host"));
    };
    let compatible = semver::VersionReq::parse(&format!("^{asked}")).is_ok_and(|range| range.matches(&have));
    match compatible {
        true => Ok(()),
        false if asked > have => Err(refusal("update the host, or rebuild the plugin with the SDK of this host")),
        false => Err(refusal("rebuild the plugin with the SDK of this host")),
    }
}

/// Which hosts a plugin of a contract's version runs on, by the version that they offer.
pub fn host_range(version: &str) -> String {
    match semver::Version::parse(version) {
        Ok(semver::Version { major: 0, minor, .. }) => format!("{version} up to, but not including, 0.{}.0", minor + 1),
        Ok(semver::Version { major, .. }) => format!("{version} up to, but not including, {}.0.0", major + 1),
        Err(_) => format!("{version:?}, which is no version"),
    }
}

/// WASI packages that the host links with nothing behind them, and Plugway's own.
const ALLOWED_IMPORTS: &[&str] = &[
    "wasi:cli/",
    "wasi:io/",
    "wasi:clocks/",
    "wasi:filesystem/",
    "wasi:random/",
    "plugway:plugin/",
    "plugway:format/types@",
];

fn check_imports(imports: &BTreeSet<String>) -> Result<(), Refusal> {
    let forbidden: Vec<String> = imports
        .iter()
        .filter(|name| !ALLOWED_IMPORTS.iter().any(|allowed| name.starts_with(allowed)))
        .map(|name| format!("`{name}`"))
        .collect();
    if forbidden.is_empty() {
        return Ok(());
    }
    Err(Refusal::ForbiddenImport(forbidden.join(", ")))
}
