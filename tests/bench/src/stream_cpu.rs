//! Processor time of the gateway per event of a stream.

use crate::client::{Connection, probe};
use crate::lab::{Lab, Route};
use crate::process::{GATEWAY_CORE, Process};
use crate::report::{Section, Target, median, micros};
use crate::upstream::Dialect;
use anyhow::{Result, ensure};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// How the events come. Always paced: as fast as both ends can, the number of events in a read, and with it the cost of
/// one, swings several times from run to run.
#[derive(Clone, Copy)]
struct Load {
    streams: usize,
    events: u32,
    /// Events in one write of the upstream, and so in one read of the gateway.
    batch: u32,
}

const INTERVAL: Duration = Duration::from_millis(10);
/// 64,000 events a second: mostly the work on the events themselves.
const BATCHED: Load = Load { streams: 40, events: 4_800, batch: 16 };
/// 20,000 events a second: mostly the work of the sockets.
const SINGLE: Load = Load { streams: 200, events: 300, batch: 1 };

pub(crate) async fn measure(lab: &Lab) -> Result<Section> {
    let nginx = lab.nginx().await?;
    let plugway = lab.plugway(GATEWAY_CORE).await?;
    let mut lanes = vec![(nginx.as_nginx_unbuffered(Dialect::Anthropic), &nginx.process)];
    if let Some(plugway) = &plugway {
        lanes.push((plugway.as_plugway(Dialect::OpenAi), &plugway.process));
        lanes.push((plugway.as_plugway(Dialect::Anthropic), &plugway.process));
    }
    let mut batched = vec![vec![]; lanes.len()];
    let mut single = vec![vec![]; lanes.len()];
    for round in 0..=lab.options.rounds {
        for (at, (route, process)) in lanes.iter().enumerate() {
            if round == 0 {
                lab.upstream.stream(3, 1, Duration::ZERO);
                probe(route, true).await?;
            } else {
                batched[at].push(turn(lab, route, process, BATCHED).await?);
                single[at].push(turn(lab, route, process, SINGLE).await?);
            }
        }
    }
    let rows = lanes.iter().enumerate().map(|(at, (route, _))| {
        let mut row = vec![route.name.to_owned()];
        for turns in [&batched, &single] {
            row.push(format!("{:.2}", cost(&turns[at])));
            row.push(format!("{:.2}", cost(&turns[at]) / cost(&turns[0])));
            row.push(format!("{:.0}", median(&turns[at].iter().map(|turn| turn.per_second).collect::<Vec<_>>())));
        }
        row
    });
    let mut targets = vec![];
    if plugway.is_some() {
        let what = "translated, 16 events a read";
        targets.push(Target { what, measured: cost(&batched[2]), limit: 5.0, unit: " µs an event" });
        let what = "translated, one event a read, above nginx";
        targets.push(Target { what, measured: cost(&single[2]) - cost(&single[0]), limit: 5.0, unit: " µs an event" });
    }
    Ok(Section {
        name: "stream-cpu",
        title: "CPU per event of a stream",
        note: format!(
            "Processor time of the gateway's process ÷ content events; every {} ms, each stream gets {} events in one \
             write ({} streams) or a single one ({} streams). A single event costs mostly the work of the sockets, as \
             nginx shows, which only passes on (`proxy_buffering off`).",
            INTERVAL.as_millis(),
            BATCHED.batch,
            BATCHED.streams,
            SINGLE.streams
        ),
        columns: vec![
            "gateway",
            "16 a read: µs an event",
            "× nginx",
            "events/s",
            "1 a read: µs an event",
            "× nginx",
            "events/s",
        ],
        rows: rows.collect(),
        targets,
        others: 0.0,
    })
}

#[derive(Clone, Copy)]
struct Turn {
    cpu_micros: f64,
    per_second: f64,
}

fn cost(turns: &[Turn]) -> f64 {
    median(&turns.iter().map(|turn| turn.cpu_micros).collect::<Vec<_>>())
}

async fn turn(lab: &Lab, route: &Route, process: &Process, Load { streams, events, batch }: Load) -> Result<Turn> {
    lab.upstream.stream(events, batch, INTERVAL);
    let (before, start) = (process.cpu()?, Instant::now());
    let mut tasks = JoinSet::new();
    for _ in 0..streams {
        let (route, body) = (route.clone(), route.body(true));
        tasks.spawn(async move {
            let mut connection = Connection::open(route.address).await?;
            connection.stream(&route, body).await?.drain().await
        });
    }
    let mut received = 0;
    while let Some(count) = tasks.join_next().await {
        let count = count??;
        ensure!(count == events, "{}: {count} of {events} events arrived", route.name);
        received += count;
    }
    let (cpu, wall) = (process.cpu()? - before, start.elapsed());
    Ok(Turn { cpu_micros: micros(cpu) / f64::from(received), per_second: f64::from(received) / wall.as_secs_f64() })
}
