//! Write a Plugway plugin in Rust.
//!
//! A plugin is a WebAssembly component that exports one or more *kinds*; for each there is a trait here:
//!
//! | kind | trait | answers |
//! |---|---|---|
//! | provider | [`Provider`] | where and how a call is sent |
//! | format, upstream half | [`UpstreamFormat`] | how it is said to a provider |
//! | format, client half | [`ClientFormat`] | how a caller says it |
//! | headers | [`HeaderTemplates`] | how header templates become values |
//! | policy | [`Policy`] | what may pass |
//!
//! Every plugin implements [`Plugin`] (its settings and how it is made from them) and the traits of its kinds, and ends
//! with one line: [`export!`]. All calls are pure: no I/O, no clock but the one in the call, no secrets, and no state
//! but what a stream's `State` type carries.
//!
//! ```
//! use plugway_sdk::{Call, Capabilities, NoSettings, Outgoing, Plugin, Problem, Provider, Step};
//!
//! struct Acme;
//!
//! impl Plugin for Acme {
//!     type Settings = NoSettings;
//!     const DESCRIPTION: &'static str = "Acme's chat service";
//!
//!     fn new(_: NoSettings) -> Result<Self, Problem> {
//!         Ok(Acme)
//!     }
//! }
//!
//! impl Provider for Acme {
//!     fn capabilities(&self) -> Capabilities {
//!         Capabilities::of(["chat_completion", "chat_completion_stream"]).base_url("https://api.acme.example")
//!     }
//!
//!     fn plan(&self, _call: &Call) -> Result<Step, Problem> {
//!         Ok(Outgoing::post("/v1/chat/completions").bearer("api_key").into())
//!     }
//! }
//!
//! plugway_sdk::export!(Acme: provider);
//! # fn main() {}
//! ```
//!
//! # Building and testing
//!
//! `cargo build --target wasm32-wasip2` makes the component; the crate's `crate-type` is `["cdylib", "rlib"]`. Tests run
//! natively, as calls are plain functions: with the feature `cases`, the macro `cases!` makes tests of folders with
//! JSON files, and [`sse`] reads recorded streams.
//!
//! A component gets an allocator that suits short calls, which takes a tenth off them. One that brings its own
//! (`#[global_allocator]`) switches the feature `allocator` off.
#![warn(missing_docs)]

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub mod bindings;
#[cfg(feature = "cases")]
pub mod cases;
pub mod chat;
#[doc(hidden)]
pub mod export;
mod format;
mod headers;
mod log;
#[cfg(all(target_arch = "wasm32", feature = "allocator"))]
#[expect(unsafe_code, reason = "an allocator hands out bare memory")]
mod memory;
mod plugin;
mod policy;
mod problem;
mod provider;
pub mod sse;
mod state;

pub use format::{ClientFormat, Event, Place, Progress, Route, Translated, UpstreamFormat};
pub use headers::{HeaderTemplates, Variable};
pub use log::{Level, log};
pub use plugin::{NoSettings, Plugin};
pub use policy::{Context, Phases, Policy, Verdict};
pub use problem::{Problem, ProblemKind};
pub use provider::{
    Acquisition, Auth, Body, Call, Capabilities, Edit, Fetch, Framing, HttpReply, LocalReply, Outgoing, Pause,
    Placement, Preset, Provider, Step,
};
pub use state::{Pack, StreamState, Unpack};

/// One HTTP header.
pub use bindings::plugin::plugway::plugin::types::Header;

// `export!` names them in the author's crate.
#[doc(hidden)]
pub use serde as __serde;
#[doc(hidden)]
pub use serde_json;
