//! A guest's lines in the host's log, bounded: a plugin that floods the log harms only its own lines, and a call that does
//! only its own.

use super::api::Level;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

/// For one call.
const MAX_CALL_BYTES: usize = 8 * 1024;
/// For one plugin, in one second.
const MAX_LINES_PER_SECOND: u64 = 100;

/// What one instance writes; it works on one call at a time.
pub struct CallLog {
    budget: Arc<LogBudget>,
    /// Written in the running call.
    bytes: AtomicUsize,
}

impl CallLog {
    pub fn new(budget: Arc<LogBudget>) -> Self {
        CallLog { budget, bytes: AtomicUsize::new(0) }
    }

    pub fn begin_call(&self) {
        self.bytes.store(0, Ordering::Relaxed);
    }

    pub fn write(&self, level: Level, message: &str) {
        let spent = self.bytes.fetch_add(message.len(), Ordering::Relaxed);
        match MAX_CALL_BYTES.checked_sub(spent) {
            None | Some(0) => self.budget.suppress(),
            Some(left) => self.budget.write(level, clip(message, left)),
        }
    }
}

/// Counts what one plugin has written.
pub struct LogBudget {
    plugin: String,
    started: Instant,
    /// Second since `started` in the upper half, lines in it in the lower.
    lines: AtomicU64,
    pub suppressed: AtomicU64,
}

impl LogBudget {
    pub fn new(plugin: String) -> Self {
        LogBudget { plugin, started: Instant::now(), lines: AtomicU64::new(0), suppressed: AtomicU64::new(0) }
    }

    fn write(&self, level: Level, message: &str) {
        if !self.take_line() {
            return self.suppress();
        }
        let message = one_line(message);
        let plugin = &self.plugin;
        match level {
            Level::Debug => tracing::debug!(plugin, "{message}"),
            Level::Info => tracing::info!(plugin, "{message}"),
            Level::Warn => tracing::warn!(plugin, "{message}"),
            Level::Error => tracing::error!(plugin, "{message}"),
        }
    }

    fn suppress(&self) {
        if self.suppressed.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::warn!(plugin = self.plugin, "the plugin logs too much; lines are being dropped");
        }
    }

    fn take_line(&self) -> bool {
        let second = self.started.elapsed().as_secs() << 32;
        let mut before = self.lines.load(Ordering::Relaxed);
        loop {
            let now = if before >> 32 == second >> 32 { before + 1 } else { second + 1 };
            if now & 0xFFFF_FFFF > MAX_LINES_PER_SECOND {
                return false;
            }
            match self.lines.compare_exchange_weak(before, now, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(current) => before = current,
            }
        }
    }
}

/// Control characters escaped, so that no plugin can forge a line or move the cursor.
fn one_line(message: &str) -> String {
    let mut line = String::with_capacity(message.len());
    for character in message.chars() {
        match character.is_control() {
            true => line.extend(character.escape_debug()),
            false => line.push(character),
        }
    }
    line
}

fn clip(message: &str, limit: usize) -> &str {
    let mut end = message.len().min(limit);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    &message[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_floods_leaves_the_others_theirs() {
        let budget = Arc::new(LogBudget::new("chatty".into()));
        let (flooding, other) = (CallLog::new(budget.clone()), CallLog::new(budget.clone()));
        flooding.write(Level::Info, &"x".repeat(MAX_CALL_BYTES));
        other.begin_call();
        other.write(Level::Info, "a line");
        assert_eq!(budget.suppressed.load(Ordering::Relaxed), 0);
        flooding.write(Level::Info, "one more line");
        assert_eq!(budget.suppressed.load(Ordering::Relaxed), 1, "another call gives it no more");
    }

    #[test]
    fn a_flood_is_cut_and_counted() {
        let budget = LogBudget::new("chatty".into());
        for _ in 0..1_000 {
            budget.write(Level::Info, "line");
        }
        assert!(budget.suppressed.load(Ordering::Relaxed) >= 1_000 - 2 * MAX_LINES_PER_SECOND);
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        assert_eq!(clip("aé", 2), "a");
        assert_eq!(clip("aé", 3), "aé");
    }
}
