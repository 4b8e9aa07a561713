//! A gateway as the kernel sees it: its cores, its processor time, its memory.

use anyhow::{Context, Result, bail, ensure};
use std::fs::{File, read_to_string};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// The kernel's unit of processor time towards programs, whatever its own timer does.
const TICK: Duration = Duration::from_millis(10);

pub(crate) fn cores() -> usize {
    let online = read_to_string("/proc/cpuinfo").unwrap_or_default();
    online.lines().filter(|line| line.starts_with("processor")).count().max(1)
}

/// The core of the gateway that is measured.
pub(crate) const GATEWAY_CORE: &str = "0";

/// The cores of everything else.
pub(crate) fn load_cores() -> String {
    match cores() {
        1 => "0".to_owned(),
        cores => format!("1-{}", cores - 1),
    }
}

pub(crate) fn all_cores() -> String {
    format!("0-{}", cores() - 1)
}

/// Moves this program, and what it starts from now on, to these cores; and lets it open enough sockets.
pub(crate) fn take_cores(list: String) -> Result<()> {
    let pid = std::process::id().to_string();
    let output = Command::new("taskset").args(["-a", "-c", "-p", &list, &pid]).output().context("taskset")?;
    ensure!(output.status.success(), "taskset: {}", String::from_utf8_lossy(&output.stderr));
    let output = Command::new("prlimit").args(["--pid", &pid, "--nofile=16384:"]).output().context("prlimit")?;
    ensure!(output.status.success(), "prlimit: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// How much of the machine other programs use while this one does nothing, from 0 to 1.
pub(crate) async fn used_by_others() -> Result<f64> {
    let before = machine_ticks()?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let after = machine_ticks()?;
    let (idle, all) = (after.0 - before.0, after.1 - before.1);
    Ok(1.0 - idle as f64 / all.max(1) as f64)
}

/// Idle ticks and all ticks, over all cores.
fn machine_ticks() -> Result<(u64, u64)> {
    let stat = read_to_string("/proc/stat")?;
    let line = stat.lines().next().context("an empty /proc/stat")?;
    // user nice system idle iowait irq softirq steal; the guests' times behind them are part of user and nice.
    let ticks: Vec<u64> =
        line.split_ascii_whitespace().skip(1).take(8).filter_map(|field| field.parse().ok()).collect();
    ensure!(ticks.len() == 8, "/proc/stat: {line}");
    Ok((ticks[3] + ticks[4], ticks.iter().sum()))
}

pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a program on these cores, with what it writes in `log`.
    pub(crate) fn start(cores: &str, program: &Path, arguments: &[&str], log: PathBuf) -> Result<Process> {
        let output = File::create(&log)?;
        // `taskset` becomes the program, so that the child's process id is the program's.
        let child = Command::new("taskset")
            .args(["-c", cores])
            .arg(program)
            .args(arguments)
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("{}", program.display()))?;
        Ok(Process { child, log })
    }

    /// Waits until it listens there.
    pub(crate) async fn listens(&mut self, address: SocketAddr) -> Result<()> {
        let start = Instant::now();
        while tokio::net::TcpStream::connect(address).await.is_err() {
            self.still_runs()?;
            if start.elapsed() > Duration::from_secs(60) {
                bail!("it does not listen on {address} after a minute:\n{}", self.last_words());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    }

    pub(crate) fn still_runs(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("it ended, {status}:\n{}", self.last_words());
        }
        Ok(())
    }

    pub(crate) fn last_words(&self) -> String {
        let log = read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// Processor time, its own and the kernel's on its behalf, since it started.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let stat = self.proc("stat")?;
        // The second field is the program's name in parentheses, which may hold anything.
        let (_, fields) = stat.rsplit_once(')').context("a stat file without a name")?;
        let mut fields = fields.split_ascii_whitespace().skip(11);
        let mut ticks = || fields.next().and_then(|field| field.parse::<u32>().ok()).context("a short stat file");
        Ok(TICK * (ticks()? + ticks()?))
    }

    /// Resident memory in bytes.
    pub(crate) fn resident(&self) -> Result<u64> {
        let rollup = self.proc("smaps_rollup")?;
        let line = rollup.lines().find_map(|line| line.strip_prefix("Rss:")).context("no Rss in smaps_rollup")?;
        let kilobytes: u64 = line.trim_end_matches("kB").trim().parse()?;
        Ok(kilobytes << 10)
    }

    fn proc(&self, file: &str) -> Result<String> {
        let file = format!("/proc/{}/{file}", self.child.id());
        read_to_string(&file).context(file)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
