//! One line for each request, on standard output. Lines are gathered and written a few times a second: a write for each
//! would cost more than routing the request.

use super::record::Record;
use crate::config::LogFormat;
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, SystemTime};

const FLUSH_EVERY: Duration = Duration::from_millis(100);
/// Beyond this, lines are written at once, by the thread that brought the last one.
const FLUSH_BYTES: usize = 64 * 1024;

pub struct AccessLog {
    format: LogFormat,
    lines: Mutex<String>,
}

impl AccessLog {
    /// Starts the thread that writes; it ends with the log.
    pub fn start(format: LogFormat) -> std::io::Result<Arc<Self>> {
        let log = Arc::new(AccessLog { format, lines: Mutex::new(String::new()) });
        let weak = Arc::downgrade(&log);
        std::thread::Builder::new().name("access-log".into()).spawn(move || keep_flushing(&weak))?;
        Ok(log)
    }

    pub fn write(&self, record: &Record) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        match self.format {
            LogFormat::Text => write_text(&mut lines, record),
            LogFormat::Json => write_json(&mut lines, record),
        }
        if lines.len() > FLUSH_BYTES {
            flush(&mut lines);
        }
    }

    pub fn flush(&self) {
        flush(&mut self.lines.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        self.flush();
    }
}

#[expect(clippy::disallowed_methods, reason = "a thread of its own, which has nothing else to do")]
fn keep_flushing(log: &Weak<AccessLog>) {
    while let Some(log) = log.upgrade() {
        log.flush();
        drop(log);
        std::thread::sleep(FLUSH_EVERY);
    }
}

fn flush(lines: &mut String) {
    if lines.is_empty() {
        return;
    }
    // Nobody can be told when standard output is gone.
    let _ = std::io::stdout().lock().write_all(lines.as_bytes());
    lines.clear();
    lines.shrink_to(2 * FLUSH_BYTES);
}

fn write_text(line: &mut String, record: &Record) {
    let time = humantime::format_rfc3339_millis(SystemTime::now());
    let _ = write!(
        line,
        "{time} {} {} {} {} {:.3}ms",
        record.request_id,
        record.method,
        Quoted(&record.path),
        record.status,
        record.elapsed().as_secs_f64() * 1e3,
    );
    for (name, value) in record.texts() {
        let _ = write!(line, " {name}={}", Quoted(value));
    }
    for (name, value) in record.numbers() {
        let _ = write!(line, " {name}={value}");
    }
    if let Some(cost) = record.cost() {
        let _ = write!(line, " cost_usd={cost}");
    }
    line.push('\n');
}

fn write_json(line: &mut String, record: &Record) {
    let time = humantime::format_rfc3339_millis(SystemTime::now());
    let _ = write!(
        line,
        "{{\"time\":\"{time}\",\"request_id\":{},\"method\":{},\"path\":{},\"status\":{},\"duration_ms\":{:.3}",
        Json(&record.request_id),
        Json(record.method.as_str()),
        Json(&record.path),
        record.status,
        record.elapsed().as_secs_f64() * 1e3,
    );
    for (name, value) in record.texts() {
        let _ = write!(line, ",\"{name}\":{}", Json(value));
    }
    for (name, value) in record.numbers() {
        let _ = write!(line, ",\"{name}\":{value}");
    }
    if let Some(cost) = record.cost() {
        let _ = write!(line, ",\"cost_usd\":{cost}");
    }
    line.push_str("}\n");
}

/// Text as it is where it is plain, else as a JSON string, so that nobody can forge a line.
struct Quoted<'a>(&'a str);

impl std::fmt::Display for Quoted<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let plain = !self.0.is_empty() && self.0.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"');
        match plain {
            true => formatter.write_str(self.0),
            false => Json(self.0).fmt(formatter),
        }
    }
}

struct Json<'a>(&'a str);

impl std::fmt::Display for Json<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&serde_json::to_string(self.0).map_err(|_| std::fmt::Error)?)
    }
}
