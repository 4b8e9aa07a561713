//! One line for each request, on standard output. Lines are gathered, and a thread of its own writes them a few times a
//! second: whoever reads them may be slow, and no request waits for that.

use super::record::Record;
use crate::config::LogFormat;
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, SystemTime};
use tokio::sync::oneshot;

const FLUSH_EVERY: Duration = Duration::from_millis(100);
const LONGEST_CLOSE: Duration = Duration::from_secs(2);
/// Where nobody reads them, lines beyond this are lost.
const MOST_BYTES: usize = 16 * 1024 * 1024;

pub struct AccessLog {
    format: LogFormat,
    gathered: Mutex<Gathered>,
}

#[derive(Default)]
struct Gathered {
    lines: String,
    lost: u64,
}

impl AccessLog {
    /// Starts the thread that writes; it ends with the log.
    pub fn start(format: LogFormat) -> std::io::Result<Arc<Self>> {
        let log = Arc::new(AccessLog { format, gathered: Mutex::default() });
        let weak = Arc::downgrade(&log);
        std::thread::Builder::new().name("access-log".into()).spawn(move || keep_flushing(&weak))?;
        Ok(log)
    }

    pub fn write(&self, record: &Record) {
        let mut line = String::with_capacity(256);
        match self.format {
            LogFormat::Text => write_text(&mut line, record),
            LogFormat::Json => write_json(&mut line, record),
        }
        let mut gathered = self.gathered.lock().unwrap_or_else(PoisonError::into_inner);
        match gathered.lines.len() + line.len() <= MOST_BYTES {
            true => gathered.lines.push_str(&line),
            false => gathered.lost += 1,
        }
    }

    /// Writes what is left, unless nobody reads it.
    pub async fn close(self: Arc<Self>) {
        let (written, end) = oneshot::channel();
        let writing = std::thread::Builder::new().name("access-log".into()).spawn(move || {
            self.flush();
            // Who no longer waits need not know.
            let _ = written.send(());
        });
        if writing.is_err() || tokio::time::timeout(LONGEST_CLOSE, end).await.is_err() {
            tracing::warn!("the end of the access log is lost, as nobody reads standard output");
        }
    }

    /// Waits for whoever reads standard output.
    fn flush(&self) {
        let mut out = std::io::stdout().lock();
        // Taken with the output in hand, so that lines stay in their order.
        let Gathered { lines, lost } =
            std::mem::take(&mut *self.gathered.lock().unwrap_or_else(PoisonError::into_inner));
        // Nobody can be told when standard output is gone.
        let _ = out.write_all(lines.as_bytes());
        if lost > 0 {
            tracing::error!("{lost} lines of the access log are lost, as nobody read standard output fast enough");
        }
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
