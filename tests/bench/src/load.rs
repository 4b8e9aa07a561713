//! Load from `wrk`: 32 busy connections for some seconds, and what the gateway used meanwhile.

use crate::lab::{Lab, Route};
use crate::process::Process;
use crate::report::{median, micros};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::process::Command;
use std::slice;
use std::time::Instant;

/// One turn of one gateway.
#[derive(Clone, Copy)]
pub(crate) struct Turn {
    /// Answers that were good.
    pub(crate) answered: u64,
    /// Answers that said that something failed.
    pub(crate) failed: u64,
    /// Processor time for each good answer.
    pub(crate) cpu_micros: f64,
    /// Good answers.
    pub(crate) per_second: f64,
    /// Share of the core that was used.
    pub(crate) busy: f64,
    pub(crate) p50_micros: f64,
    pub(crate) p99_micros: f64,
}

impl Turn {
    /// For measurements where nothing may fail.
    pub(crate) fn all_well(self, name: &str) -> Result<Turn> {
        ensure!(self.failed == 0, "{name}: {} of {} requests failed", self.failed, self.failed + self.answered);
        Ok(self)
    }
}

pub(crate) fn middle(turns: &[Turn], of: fn(&Turn) -> f64) -> f64 {
    median(&turns.iter().map(of).collect::<Vec<_>>())
}

/// Round by round, because the machine may be faster in one than in the next.
pub(crate) fn ratio(turns: &[Turn], base: &[Turn], of: fn(&Turn) -> f64) -> f64 {
    median(&turns.iter().zip(base).map(|(turn, base)| of(turn) / of(base)).collect::<Vec<_>>())
}

/// The same request again and again.
pub(crate) fn turn(lab: &Lab, route: &Route, process: &Process, seconds: u64) -> Result<Turn> {
    turn_over(lab, slice::from_ref(route), process, seconds)
}

/// One route after the other, all of them on one gateway and one path.
pub(crate) fn turn_over(lab: &Lab, routes: &[Route], process: &Process, seconds: u64) -> Result<Turn> {
    let name = routes[0].name;
    let (before, start) = (process.cpu()?, Instant::now());
    let load = wrk(lab, routes, seconds).context(name)?;
    let (cpu, wall) = (process.cpu()? - before, start.elapsed());
    ensure!(load.broken == 0, "{name}: {} of {} requests got no answer", load.broken, load.requests);
    let answered = load.requests - load.failed;
    ensure!(answered > 0, "{name}: none of {} requests was answered well", load.requests);
    Ok(Turn {
        answered,
        failed: load.failed,
        cpu_micros: micros(cpu) / answered as f64,
        per_second: answered as f64 / wall.as_secs_f64(),
        busy: cpu.as_secs_f64() / wall.as_secs_f64(),
        p50_micros: load.p50_micros,
        p99_micros: load.p99_micros,
    })
}

struct Load {
    requests: u64,
    /// Answers with an error status.
    failed: u64,
    /// No connection, no whole answer, or none in time.
    broken: u64,
    p50_micros: f64,
    p99_micros: f64,
}

/// A fixed request is what `wrk` sends fastest, so bodies take turns only where there are several.
const SCRIPT: &str = r#"
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
wrk.body = bodies[1]
if #bodies > 1 then
    local requests, last = {}, 0
    init = function()
        for i, body in ipairs(bodies) do requests[i] = wrk.format(nil, nil, nil, body) end
    end
    request = function()
        last = last % #requests + 1
        return requests[last]
    end
end
done = function(summary, latency)
    local errors = summary.errors
    io.write(string.format('RESULT {"requests": %d, "failed": %d, "broken": %d, "p50": %d, "p99": %d}\n',
        summary.requests, errors.status, errors.connect + errors.read + errors.write + errors.timeout,
        latency:percentile(50), latency:percentile(99)))
end
"#;

fn wrk(lab: &Lab, routes: &[Route], seconds: u64) -> Result<Load> {
    let script = lab.file("wrk.lua");
    let mut text = "local bodies = {\n".to_owned();
    for route in routes {
        text += &format!("[==[{}]==],\n", String::from_utf8(route.body(false).to_vec())?);
    }
    text += "}\n";
    std::fs::write(&script, text + SCRIPT)?;
    let output = Command::new("wrk")
        .args(["-t1", "-c32", &format!("-d{seconds}s"), "-s"])
        .arg(&script)
        .arg(format!("http://{}{}", routes[0].address, routes[0].path))
        .output()
        .context("wrk")?;
    let said = String::from_utf8_lossy(&output.stdout);
    let result = said.lines().find_map(|line| line.strip_prefix("RESULT ")).with_context(|| format!("wrk: {said}"))?;
    let result: Value = serde_json::from_str(result)?;
    let count = |name: &'static str| result[name].as_u64().context(name);
    Ok(Load {
        requests: count("requests")?,
        failed: count("failed")?,
        broken: count("broken")?,
        p50_micros: count("p50")? as f64,
        p99_micros: count("p99")? as f64,
    })
}
