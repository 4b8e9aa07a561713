//! The plugin runtime. Wasmtime lives here and nowhere else.
//!
//! A file becomes a [`Plugin`] (checked, compiled, linked, introduced), a plugin and settings become a [`Configured`],
//! and that is what the pipeline calls.

pub mod api;
mod artifact;
mod calls;
mod configured;
mod engine;
mod fault;
mod guest;
mod health;
mod inspect;
mod log_budget;
mod plugin;
mod script;
mod slots;
mod stats;

pub use artifact::{COMPILE, CompileLimits, compile_for_parent, digest};
pub use configured::{CallError, Configured, Failing, Moment, Watcher};
pub use fault::Fault;
pub use inspect::{Kind, world};
pub use plugin::{Bounds, EngineError, Plugin, Runtime, read};
