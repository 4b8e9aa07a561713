//! Processor time of the gateway per request, with 32 busy connections.

use crate::client::probe;
use crate::lab::{Lab, Route};
use crate::process::{GATEWAY_CORE, Process};
use crate::report::{Section, Target, median, micros};
use crate::upstream::Dialect;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::process::Command;
use std::time::Instant;

/// One turn of one gateway.
#[derive(Clone, Copy)]
struct Turn {
    cpu_micros: f64,
    per_second: f64,
    /// Share of the core that was used.
    busy: f64,
    p50_micros: f64,
}

pub(crate) async fn measure(lab: &Lab) -> Result<Section> {
    let nginx = lab.nginx().await?;
    let plugway = lab.plugway(GATEWAY_CORE).await?;
    let mut lanes = vec![(nginx.as_nginx(Dialect::OpenAi), &nginx.process)];
    if let Some(plugway) = &plugway {
        lanes.push((plugway.as_plugway(Dialect::OpenAi), &plugway.process));
        lanes.push((plugway.as_plugway(Dialect::Anthropic), &plugway.process));
    }
    for (route, process) in &lanes {
        probe(route, false).await?;
        turn(lab, route, process, 1)?;
    }
    let mut turns = vec![vec![]; lanes.len()];
    for _ in 0..lab.options.rounds {
        for ((route, process), turns) in lanes.iter().zip(&mut turns) {
            turns.push(turn(lab, route, process, lab.options.seconds)?);
        }
    }
    let middle = |turns: &[Turn], of: fn(&Turn) -> f64| median(&turns.iter().map(of).collect::<Vec<_>>());
    // Round by round, because the machine may be faster in one than in the next.
    let ratio = |lane: &[Turn]| {
        let ratios = lane.iter().zip(&turns[0]).map(|(turn, nginx)| turn.cpu_micros / nginx.cpu_micros);
        median(&ratios.collect::<Vec<_>>())
    };
    let rows = lanes.iter().zip(&turns).map(|((route, _), turns)| {
        vec![
            route.name.to_owned(),
            format!("{:.1}", middle(turns, |turn| turn.cpu_micros)),
            format!("{:.2}", ratio(turns)),
            format!("{:.0}", middle(turns, |turn| turn.per_second)),
            format!("{:.0} %", middle(turns, |turn| turn.busy) * 100.0),
            format!("{:.0}", middle(turns, |turn| turn.p50_micros)),
        ]
    });
    let promises = [("an OpenAI-compatible route", 2.0), ("OpenAI translated to Anthropic and back", 3.0)];
    let targets = turns[1..].iter().zip(promises).map(|(turns, (what, limit))| Target {
        what,
        measured: ratio(turns),
        limit,
        unit: " × nginx",
    });
    Ok(Section {
        name: "cpu",
        title: "CPU per request",
        note: "Processor time of the gateway's process (user and system), 32 kept-alive connections, 1 KB request and \
               1 KB answer, gateway on one core, access log on. Medians over the rounds; the ratio is the median of \
               the ratios within each round."
            .to_owned(),
        columns: vec!["gateway", "µs a request", "× nginx", "requests/s", "core busy", "p50 µs"],
        rows: rows.collect(),
        targets: targets.collect(),
        others: 0.0,
    })
}

fn turn(lab: &Lab, route: &Route, process: &Process, seconds: u64) -> Result<Turn> {
    let (before, start) = (process.cpu()?, Instant::now());
    let load = wrk(lab, route, seconds)?;
    let (cpu, wall) = (process.cpu()? - before, start.elapsed());
    ensure!(load.errors == 0, "{}: {} of {} requests failed", route.name, load.errors, load.requests);
    Ok(Turn {
        cpu_micros: micros(cpu) / load.requests as f64,
        per_second: load.requests as f64 / wall.as_secs_f64(),
        busy: cpu.as_secs_f64() / wall.as_secs_f64(),
        p50_micros: load.p50_micros,
    })
}

struct Load {
    requests: u64,
    errors: u64,
    p50_micros: f64,
}

fn wrk(lab: &Lab, route: &Route, seconds: u64) -> Result<Load> {
    let script = lab.file("wrk.lua");
    let body = String::from_utf8(route.body(false).to_vec())?;
    std::fs::write(
        &script,
        format!(
            r#"
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
wrk.body = [==[{body}]==]
done = function(summary, latency)
    local errors = summary.errors
    io.write(string.format('RESULT {{"requests": %d, "errors": %d, "p50": %d}}\n', summary.requests,
        errors.connect + errors.read + errors.write + errors.status + errors.timeout, latency:percentile(50)))
end
"#
        ),
    )?;
    let output = Command::new("wrk")
        .args(["-t1", "-c32", &format!("-d{seconds}s"), "-s"])
        .arg(&script)
        .arg(format!("http://{}{}", route.address, route.path))
        .output()
        .context("wrk")?;
    let said = String::from_utf8_lossy(&output.stdout);
    let result = said.lines().find_map(|line| line.strip_prefix("RESULT ")).with_context(|| format!("wrk: {said}"))?;
    let result: Value = serde_json::from_str(result)?;
    Ok(Load {
        requests: result["requests"].as_u64().context("requests")?,
        errors: result["errors"].as_u64().context("errors")?,
        p50_micros: result["p50"].as_f64().context("p50")?,
    })
}
