//! What the operator sees: the log, one line for each request, and metrics. No secret comes near any of it: secrets have
//! a type of their own that cannot be printed.

mod access;
mod cost;
mod metrics;
mod one_line;
mod record;
mod series;

pub use access::AccessLog;
pub use metrics::{Metrics, ReloadOutcome};
pub use record::{Outcome, Record};

use crate::config::{Log, LogFormat};
use one_line::OneLine;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Sends the log to standard error; standard output has the access log. Later calls do nothing.
pub fn start_log(log: &Log) {
    // Only our own lines: libraries say at `debug` what a plugin writes, and that is bounded elsewhere.
    let ours = Targets::new().with_target(env!("CARGO_CRATE_NAME"), log.level);
    let lines = tracing_subscriber::fmt::layer()
        .with_target(false)
        .with_writer(|| OneLine(std::io::stderr()))
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()));
    let registry = tracing_subscriber::registry();
    // An error means that a log has been started already.
    let _ = match log.format {
        LogFormat::Text => registry.with(lines.with_filter(ours)).try_init(),
        LogFormat::Json => registry.with(lines.json().flatten_event(true).with_filter(ours)).try_init(),
    };
}
