//! The gateway that a page has started.

use crate::gateway::collect;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::process::{Child, Command};

/// A block may build something, while other tests keep the machine busy; `dev` does so before a line is in its log.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// It ends with all that it has started when this is dropped.
pub struct Serving {
    pub address: String,
    child: Child,
    log: Arc<Mutex<String>>,
}

impl Serving {
    pub fn start(mut command: Command, address: String) -> Self {
        let mut child = command.spawn().expect("a shell");
        let log = Arc::default();
        collect(child.stdout.take().expect("piped"), &log);
        collect(child.stderr.take().expect("piped"), &log);
        Serving { address, child, log }
    }

    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    pub async fn wait_until_healthy(&mut self) -> Result<(), String> {
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("it ended with {status} instead of serving:\n{}", self.log()));
            }
            let asked = client.get(format!("http://{}/healthz", self.address)).send().await;
            if asked.is_ok_and(|answer| answer.status() == 200) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Err(format!("it does not answer:\n{}", self.log()))
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        if let Some(pid) = self.child.id() {
            // The group: a shell, the gateway, and what it builds with.
            let _ = std::process::Command::new("kill").args(["-s", "KILL", "--", &format!("-{pid}")]).status();
        }
    }
}
