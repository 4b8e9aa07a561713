//! Calls that failed, written down so that they can be made again: a call is a function of its arguments, its clock and its
//! seed, and all of that is in a record.
//!
//! Some failures are found only when the host looks at an answer, so the latest calls are remembered for a moment. A
//! request makes its calls one after the other in one task; the latest of a task is the one whose answer it looks at.

use super::api::Problem;
use super::configured::Moment;
use super::inspect::Kind;
use super::plugin::{Bounds, Plugin};
use super::values;
use crate::config::FailedCalls;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::VecDeque;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use tokio::task;

/// Calls that are remembered, over all threads. A request that looks at an answer later than that many other calls has none.
const REMEMBERED: usize = 64;
/// Records that wait to be written. What comes when so many do is lost, not waited for.
const QUEUE: usize = 64;

/// What a record's file holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CallRecord {
    pub plugin: String,
    pub version: String,
    /// sha256 of the plugin's file.
    pub digest: String,
    /// Of its engine, where the plugin is a script.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    pub kind: String,
    pub function: String,
    /// What `configure` got.
    pub settings: Value,
    /// By the names of the WIT.
    pub arguments: Map<String, Value>,
    pub now_ms: u64,
    pub seed: u64,
    pub call_timeout_ms: u64,
    pub memory_limit_bytes: usize,
    pub answer_bytes: usize,
    pub outcome: RecordedOutcome,
}

/// How a recorded call failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RecordedOutcome {
    /// The plugin said no.
    Problem(Value),
    /// It trapped, took too long or gave too much back.
    Fault(String),
    /// It answered, and the host could not use the answer.
    Malformed(String),
}

impl RecordedOutcome {
    /// In the words of the WIT.
    pub(super) fn problem(problem: &Problem) -> Self {
        let mut told = serde_json::to_value(problem).unwrap_or_default();
        if let Value::Object(members) = &mut told {
            members.retain(|_, member| !member.is_null());
        }
        told["kind"] = values::kebab(told["kind"].as_str().unwrap_or_default()).into();
        RecordedOutcome::Problem(told)
    }
}

/// Remembers calls and hands those that failed to a thread of its own.
pub struct Recorder {
    latest: Mutex<VecDeque<Remembered>>,
    max_bytes: usize,
    writer: SyncSender<CallRecord>,
}

struct Remembered {
    task: Option<task::Id>,
    /// Which configured plugin was called: its address.
    callee: usize,
    call: Call,
}

/// What is known of a call before it is made.
pub(super) struct Call {
    pub kind: &'static str,
    pub function: &'static str,
    pub arguments: Map<String, Value>,
    pub moment: Moment,
}

impl Recorder {
    pub fn start(config: &FailedCalls) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&config.directory)?;
        let (writer, queue) = sync_channel(QUEUE);
        let folder = Folder { path: config.directory.clone(), max_files: config.max_files };
        std::thread::Builder::new().name("call-records".into()).spawn(move || folder.write_all(&queue))?;
        Ok(Recorder { latest: Mutex::default(), max_bytes: config.max_file_bytes, writer })
    }

    pub(super) fn remember(&self, callee: usize, call: Call) {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let task = task::try_id();
        // Even where this one is too large: a failure must not be taken for that of the call before.
        latest.retain(|other| other.task != task || other.callee != callee);
        if call.arguments.values().map(|value| value.to_string().len()).sum::<usize>() > self.max_bytes {
            return;
        }
        if latest.len() == REMEMBERED {
            latest.pop_front();
        }
        latest.push_back(Remembered { task, callee, call });
    }

    /// Writes down the latest call of this task into `callee`, once.
    pub(super) fn failed(&self, callee: usize, plugin: &Plugin, settings: &str, outcome: RecordedOutcome) {
        let task = task::try_id();
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let found = latest.iter().rposition(|call| call.task == task && call.callee == callee);
        let Some(Remembered { call, .. }) = found.and_then(|at| latest.remove(at)) else { return };
        drop(latest);
        let Bounds { call_timeout, memory_limit_bytes, answer_bytes } = plugin.mould.bounds;
        let record = CallRecord {
            plugin: plugin.name.clone(),
            version: plugin.version.to_string(),
            digest: plugin.digest.clone(),
            engine: plugin.script.as_ref().map(|script| script.engine.digest.clone()),
            kind: Kind::of_interface(call.kind).map(|kind| kind.to_string()).unwrap_or_default(),
            // `bindgen!` calls the host's side of `decode-events` `call_decode_events`.
            function: call.function.trim_start_matches("call_").replace('_', "-"),
            settings: serde_json::from_str(settings).unwrap_or_default(),
            arguments: call.arguments,
            now_ms: call.moment.now_ms,
            seed: call.moment.seed,
            call_timeout_ms: u64::try_from(call_timeout.as_millis()).unwrap_or(u64::MAX),
            memory_limit_bytes,
            answer_bytes,
            outcome,
        };
        if self.writer.try_send(record).is_err() {
            tracing::debug!("calls fail faster than they can be written down; one is not");
        }
    }
}

struct Folder {
    path: PathBuf,
    max_files: usize,
}

impl Folder {
    /// Until the gateway ends.
    fn write_all(&self, queue: &Receiver<CallRecord>) {
        for (number, record) in queue.iter().enumerate() {
            match self.write(&record, number) {
                Ok(file) => tracing::info!(file = %file.display(), "a failed call into a plugin was written down"),
                Err(error) => {
                    tracing::warn!(folder = %self.path.display(), %error, "a failed call was not written down")
                }
            }
        }
    }

    fn write(&self, record: &CallRecord, number: usize) -> io::Result<PathBuf> {
        let CallRecord { plugin, function, now_ms, .. } = record;
        // Their names are in the order of their times.
        let file = self.path.join(format!("{now_ms:015}-{number:06}-{plugin}-{function}.json"));
        let unfinished = file.with_extension("unfinished");
        let mut output =
            fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
        output.write_all(&serde_json::to_vec_pretty(record)?)?;
        drop(output);
        fs::rename(&unfinished, &file)?;
        self.make_room()?;
        Ok(file)
    }

    fn make_room(&self) -> io::Result<()> {
        let is_record = |file: &PathBuf| file.extension().is_some_and(|ending| ending == "json");
        let mut files: Vec<PathBuf> =
            fs::read_dir(&self.path)?.flatten().map(|entry| entry.path()).filter(is_record).collect();
        files.sort();
        let excess = files.len().saturating_sub(self.max_files);
        files[..excess].iter().try_for_each(fs::remove_file)
    }
}

/// Reads a record.
pub fn read_record(file: &Path) -> Result<CallRecord, String> {
    let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    serde_json::from_str(&text).map_err(|error| {
        format!(
            "{}: this is no record of a call ({error}); gateways write them to plugins.record_failed_calls.directory",
            file.display()
        )
    })
}
