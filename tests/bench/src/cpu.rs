//! Processor time of the gateway per request, with 32 busy connections.

use crate::client::probe;
use crate::lab::Lab;
use crate::load::{self, Turn, middle};
use crate::process::GATEWAY_CORE;
use crate::report::{Section, Target};
use crate::upstream::Dialect;
use anyhow::Result;

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
        load::turn(lab, route, process, 1)?.all_well(route.name)?;
    }
    let mut turns = vec![vec![]; lanes.len()];
    for _ in 0..lab.options.rounds {
        for ((route, process), turns) in lanes.iter().zip(&mut turns) {
            turns.push(load::turn(lab, route, process, lab.options.seconds)?.all_well(route.name)?);
        }
    }
    let ratio = |lane: &[Turn]| load::ratio(lane, &turns[0], |turn| turn.cpu_micros);
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
