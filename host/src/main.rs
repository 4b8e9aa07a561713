//! `plugway`, the LLM gateway whose providers are plugins. `docs/architecture.md` is the map.

mod address;
mod chat;
mod cli;
mod config;
mod error;
mod form;
mod framing;
mod operation;
mod pipeline;
mod plugins;
mod reload;
mod server;
mod snapshot;
mod store;
mod telemetry;
mod vitals;

use std::process::ExitCode;

/// Serving allocates small things at a great rate on few threads, which the system's allocator is slow at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::run()
}
