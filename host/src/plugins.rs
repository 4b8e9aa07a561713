//! The plugin runtime. Wasmtime lives here and nowhere else.
//!
//! A file becomes a [`Plugin`] (checked, compiled, linked, introduced), a plugin and settings become a [`Configured`],
//! and that is what the pipeline calls.

pub mod api;
mod artifact;
mod calls;
mod configured;
mod engine;
mod exports;
mod fault;
mod footprint;
mod guest;
mod health;
mod inspect;
mod instance;
mod load;
mod log_budget;
mod plugin;
mod record;
mod script;
mod slots;
mod stats;
mod values;

pub use artifact::{COMPILE, CompileLimits, compile_for_parent, digest};
pub use configured::{CallError, Configured, Failing, MAX_SAID_BYTES, MAX_STATE_BYTES, Moment, Watcher};
pub use fault::Fault;
pub use footprint::{Footprint, footprint};
pub use inspect::{Kind, host_range, is_script_engine, world};
pub use instance::{Function, Instance, Outcome};
pub use load::{EngineError, LoadError, Runtime, extension, is_component, read};
pub use plugin::{Bounds, Plugin};
pub use record::{CallRecord, RecordedOutcome, Recorder, read_record};
pub use script::RunBy;
