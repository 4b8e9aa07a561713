//! Throughput while some of the upstream's answers are failures, which the gateway makes good by trying again.

use crate::client::probe;
use crate::lab::Lab;
use crate::load::{self, Turn, middle};
use crate::process::GATEWAY_CORE;
use crate::report::{Section, Target};
use anyhow::Result;
use serde_json::json;

const MODEL: &str = "gpt-4o-mini";
const RETRIES: i32 = 2;
/// The shortest, in milliseconds: then waiting connections leave the load nearly as it is.
const BACKOFF: u32 = 1;

struct Lane {
    name: &'static str,
    failing_of_thousand: u32,
    promise: &'static str,
    /// How many callers of a hundred may see a failure: a little more than chance leaves over.
    limit: f64,
    turns: Vec<Turn>,
}

pub(crate) async fn measure(lab: &Lab) -> Result<Section> {
    let mut lanes = vec![];
    let mut provider = lab.provider(&[MODEL]);
    provider["network_config"]["max_retries"] = json!(RETRIES);
    provider["network_config"]["retry_backoff_initial"] = json!(BACKOFF);
    let config = json!({"providers": {"openai": provider}});
    if let Some(plugway) = lab.plugway_with(GATEWAY_CORE, "failures", config).await? {
        let lane = |name, promise, failing_of_thousand, limit| Lane {
            name,
            failing_of_thousand,
            promise,
            limit,
            turns: vec![],
        };
        lanes = vec![
            lane("none", "callers that saw a failure, none failing", 0, 0.0),
            lane("1 % failing", "callers that saw a failure, 1 % failing", 10, 0.01),
            lane("20 % failing", "callers that saw a failure, 20 % failing", 200, 1.0),
        ];
        let route = plugway.to("plugway", MODEL);
        probe(&route, false).await?;
        load::turn(lab, &route, &plugway.process, 1)?.all_well(route.name)?;
        for _ in 0..lab.options.rounds {
            for lane in &mut lanes {
                lab.upstream.fail(lane.failing_of_thousand);
                lane.turns.push(load::turn(lab, &route, &plugway.process, lab.options.seconds)?);
            }
        }
        lab.upstream.fail(0);
    }
    let targets = lanes.iter().map(|lane| Target {
        what: lane.promise,
        measured: 100.0 * seen(&lane.turns) as f64 / asked(&lane.turns) as f64,
        limit: lane.limit,
        unit: " %",
    });
    Ok(Section {
        name: "failures",
        title: "Upstream failures",
        note: format!(
            "As CPU per request, with one provider and `max_retries: {RETRIES}`, `retry_backoff_initial: {BACKOFF}` (ms). \
             So many of the upstream's answers are a 500, each by chance and whatever came before. A try has no better \
             chance than the one before it, so a caller sees a failure where chance takes all {} tries: 1 request of \
             1,000,000 with 1 %, 8 of 1,000 with 20 %. Throughput and processor time are those of good answers; with \
             20 %, each takes 1.25 tries, so what is done towards the upstream is done so often.",
            RETRIES + 1
        ),
        columns: vec![
            "upstream's failures",
            "good answers/s",
            "× none",
            "µs a good answer",
            "× none",
            "core busy",
            "p50 µs",
            "p99 µs",
            "callers that saw one",
        ],
        rows: lanes.iter().map(|lane| row(lane, &lanes[0])).collect(),
        targets: targets.collect(),
        others: 0.0,
    })
}

fn row(Lane { name, turns, .. }: &Lane, none: &Lane) -> Vec<String> {
    vec![
        (*name).to_owned(),
        format!("{:.0}", middle(turns, |turn| turn.per_second)),
        format!("{:.2}", load::ratio(turns, &none.turns, |turn| turn.per_second)),
        format!("{:.1}", middle(turns, |turn| turn.cpu_micros)),
        format!("{:.2}", load::ratio(turns, &none.turns, |turn| turn.cpu_micros)),
        format!("{:.0} %", middle(turns, |turn| turn.busy) * 100.0),
        format!("{:.0}", middle(turns, |turn| turn.p50_micros)),
        format!("{:.0}", middle(turns, |turn| turn.p99_micros)),
        format!("{} of {}", seen(turns), asked(turns)),
    ]
}

fn seen(turns: &[Turn]) -> u64 {
    turns.iter().map(|turn| turn.failed).sum()
}

fn asked(turns: &[Turn]) -> u64 {
    turns.iter().map(|turn| turn.failed + turn.answered).sum()
}
