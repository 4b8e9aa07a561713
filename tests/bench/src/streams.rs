//! Many slow streams at once: how late is an event, and what do the streams cost?

use crate::client::{Connection, probe};
use crate::lab::{Lab, Route};
use crate::process::{GATEWAY_CORE, Process};
use crate::report::{Section, Target, megabytes, millis, percentile};
use crate::upstream::Dialect;
use anyhow::{Context, Result, ensure};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::task::LocalSet;
use tokio::time::{sleep, timeout};

const INTERVAL: Duration = Duration::from_millis(50);
/// How long is counted once all streams are open.
const WINDOW: Duration = Duration::from_secs(5);
/// Opened over this time, so that their events are spread over the interval.
const RAMP: Duration = Duration::from_secs(2);

/// What the streams of one route have seen.
#[derive(Default)]
struct Seen {
    open: Cell<usize>,
    counting: Cell<bool>,
    /// Microseconds from the upstream's write to the client's read, of each event.
    delays: RefCell<Vec<u32>>,
    failure: RefCell<Option<anyhow::Error>>,
}

struct Outcome {
    delays: Vec<u32>,
    /// How late the upstream itself was.
    behind: Duration,
    busy: f64,
    resident: u64,
}

pub(crate) async fn measure(lab: &Lab) -> Result<Section> {
    let mut lanes = vec![];
    let direct = lab.direct(Dialect::Anthropic);
    lanes.push((direct.name, run(lab, &direct, None).await?));
    {
        let nginx = lab.nginx().await?;
        let route = nginx.as_nginx_unbuffered(Dialect::Anthropic);
        lanes.push((route.name, run(lab, &route, Some(&nginx.process)).await?));
    }
    // A fresh process for each, so that one does not inherit the other's memory.
    for dialect in [Dialect::OpenAi, Dialect::Anthropic] {
        if let Some(plugway) = lab.plugway(GATEWAY_CORE).await? {
            let route = plugway.as_plugway(dialect);
            lanes.push((route.name, run(lab, &route, Some(&plugway.process)).await?));
        }
    }
    let worst = |outcome: &Outcome| f64::from(outcome.delays.iter().copied().max().unwrap_or_default()) / 1e3;
    let rows = lanes.iter().map(|(name, outcome)| {
        let late = outcome.delays.iter().filter(|&&delay| delay > 50_000).count();
        vec![
            (*name).to_owned(),
            outcome.delays.len().to_string(),
            format!("{:.2}", f64::from(percentile(&outcome.delays, 0.5)) / 1e3),
            format!("{:.2}", f64::from(percentile(&outcome.delays, 0.99)) / 1e3),
            format!("{:.1}", worst(outcome)),
            late.to_string(),
            format!("{:.1}", millis(outcome.behind)),
            format!("{:.0} %", outcome.busy * 100.0),
            format!("{:.1}", megabytes(outcome.resident)),
        ]
    });
    let mut targets = vec![];
    if let [_, _, passed, translated] = &lanes[..] {
        for (what, (_, outcome)) in [("latest event, passed through", passed), ("latest event, translated", translated)]
        {
            targets.push(Target { what, measured: worst(outcome), limit: 50.0, unit: " ms" });
        }
        for (what, (_, outcome)) in [("memory, passed through", passed), ("memory, translated", translated)] {
            targets.push(Target { what, measured: megabytes(outcome.resident), limit: 150.0, unit: " MB" });
        }
    }
    Ok(Section {
        name: "streams",
        title: "Many streams at once",
        note: format!(
            "{} streams open at once, one event every {} ms in each, counted for {} s after the last one was opened. \
             The delay of an event is the time from the upstream's write to the client's read; \"upstream behind\" is \
             how late the load itself was at worst, which is not the gateway's doing.",
            lab.options.streams,
            INTERVAL.as_millis(),
            WINDOW.as_secs()
        ),
        columns: vec![
            "route",
            "events",
            "delay p50 ms",
            "p99 ms",
            "max ms",
            "over 50 ms",
            "upstream behind ms",
            "core busy",
            "resident MB",
        ],
        rows: rows.collect(),
        targets,
        others: 0.0,
    })
}

async fn run(lab: &Lab, route: &Route, process: Option<&Process>) -> Result<Outcome> {
    lab.upstream.stream(3, 1, Duration::ZERO);
    probe(route, true).await?;
    lab.upstream.stream(u32::MAX, 1, INTERVAL);
    let seen = Rc::new(Seen::default());
    let tasks = LocalSet::new();
    let counted = tasks.run_until(count(lab, route, process, seen.clone())).await;
    // Hangs up on all streams.
    drop(tasks);
    if let Some(failure) = seen.failure.take() {
        return Err(failure.context(format!("a stream of {} failed", route.name)));
    }
    let (busy, resident, behind) = counted?;
    Ok(Outcome { delays: seen.delays.take(), behind, busy, resident })
}

async fn count(lab: &Lab, route: &Route, process: Option<&Process>, seen: Rc<Seen>) -> Result<(f64, u64, Duration)> {
    let streams = lab.options.streams;
    for _ in 0..streams {
        tokio::task::spawn_local(follow(route.clone(), seen.clone()));
        sleep(RAMP / streams as u32).await;
    }
    let all_open = async {
        while seen.open.get() < streams {
            sleep(Duration::from_millis(10)).await;
        }
    };
    let opened = timeout(Duration::from_secs(20), all_open).await;
    opened.with_context(|| format!("{}: only {} streams came to be open", route.name, seen.open.get()))?;

    let cpu = || process.map_or(Ok(Duration::ZERO), Process::cpu);
    // The opening is over, and its delays with it.
    sleep(INTERVAL * 2).await;
    lab.upstream.forget_behind();
    seen.counting.set(true);
    let (before, start) = (cpu()?, Instant::now());
    sleep(WINDOW).await;
    seen.counting.set(false);
    let busy = (cpu()? - before).as_secs_f64() / start.elapsed().as_secs_f64();
    ensure!(seen.open.get() == streams, "{}: a stream ended too early", route.name);
    Ok((busy, process.map_or(Ok(0), Process::resident)?, lab.upstream.behind()))
}

/// Reads one stream for as long as it is let.
async fn follow(route: Route, seen: Rc<Seen>) {
    let reading = async {
        let mut connection = Connection::open(route.address).await?;
        let mut stream = connection.stream(&route, route.body(true)).await?;
        let mut first = true;
        let on_event = |sent: u64| {
            if std::mem::take(&mut first) {
                seen.open.set(seen.open.get() + 1);
            }
            if seen.counting.get() {
                seen.delays.borrow_mut().push((crate::stamp::now() - sent) as u32);
            }
        };
        let mut on_event = on_event;
        while stream.read(&mut on_event).await? {}
        seen.open.set(seen.open.get() - 1);
        anyhow::Ok(())
    };
    if let Err(error) = reading.await {
        seen.failure.replace(Some(error));
    }
}
