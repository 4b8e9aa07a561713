//! From the start of the program to its first answer, and what it takes up when it has nothing to do.

use crate::client::Connection;
use crate::lab::{Gateway, Lab, Route};
use crate::process::all_cores;
use crate::report::{Section, Target, median, megabytes, millis};
use crate::upstream::Dialect;
use anyhow::{Result, ensure};
use hyper::Method;
use std::time::{Duration, Instant};

/// After the first answer, for what the start has put off.
pub(crate) const SETTLE: Duration = Duration::from_secs(1);

pub(crate) async fn measure(lab: &Lab) -> Result<Section> {
    // Another benchmark may have filled it.
    let _ = std::fs::remove_dir_all(lab.cache());
    let mut cold = None;
    let mut warm = vec![];
    let mut resident = vec![];
    for _ in 0..=lab.options.rounds * 2 {
        let start = Instant::now();
        let Some(mut plugway) = lab.start_plugway(&all_cores())? else { break };
        let route = plugway.as_plugway(Dialect::OpenAi);
        let time = first_answer(&mut plugway, &route, start).await?;
        if cold.is_none() {
            cold = Some(time);
            continue;
        }
        warm.push(millis(time));
        tokio::time::sleep(SETTLE).await;
        resident.push(megabytes(plugway.process.resident()?));
    }
    let mut rows = vec![];
    let mut targets = vec![];
    if let Some(cold) = cold {
        let worst = |values: &[f64]| values.iter().copied().fold(0.0, f64::max);
        let row =
            |what: &str, middle: f64, worst: f64| vec![what.to_owned(), format!("{middle:.1}"), format!("{worst:.1}")];
        rows.push(row("first answer, artifacts cached, ms", median(&warm), worst(&warm)));
        rows.push(row("first answer, everything to be compiled, ms (once)", millis(cold), millis(cold)));
        rows.push(row("resident when idle, MB", median(&resident), worst(&resident)));
        targets.push(Target { what: "first answer, cached", measured: median(&warm), limit: 300.0, unit: " ms" });
        targets.push(Target { what: "idle memory", measured: median(&resident), limit: 60.0, unit: " MB" });
    }
    Ok(Section {
        name: "start",
        title: "Start",
        note: "All first-party plugins, all cores. From starting the process to a chat completion through the OpenAI \
               plugin; memory a second later."
            .to_owned(),
        columns: vec!["what", "median", "worst"],
        rows,
        targets,
        others: 0.0,
    })
}

pub(crate) async fn first_answer(plugway: &mut Gateway, route: &Route, start: Instant) -> Result<Duration> {
    loop {
        if let Ok(mut connection) = Connection::open(route.address).await
            && connection.send(Method::POST, route.path, route.body(false)).await.is_ok()
        {
            return Ok(start.elapsed());
        }
        plugway.process.still_runs()?;
        ensure!(start.elapsed() < Duration::from_secs(120), "no answer:\n{}", plugway.process.last_words());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
