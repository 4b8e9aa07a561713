//! What the operator sees: the log, one line for each request, and metrics. No secret comes near any of it: secrets have
//! a type of their own that cannot be printed.

mod access;
mod metrics;
mod record;

pub use access::AccessLog;
pub use metrics::{Metrics, ReloadOutcome};
pub use record::{Outcome, Record};

use crate::config::{Log, LogFormat};

/// Sends the log to standard error; standard output has the access log. Later calls do nothing.
pub fn start_log(log: &Log) {
    let builder = tracing_subscriber::fmt()
        .with_max_level(log.level)
        .with_target(false)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()));
    // An error means that a log has been started already, as tests in one process do.
    let _ = match log.format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
}
