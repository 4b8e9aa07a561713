//! What the features of a route cost: processor time per request with each of them, beside the same route without any.

use crate::client::probe;
use crate::lab::Lab;
use crate::load::{self, Turn, middle};
use crate::process::GATEWAY_CORE;
use crate::report::{Section, Target, median};
use anyhow::Result;
use serde_json::{Value, json};

const MODEL: &str = "gpt-4o-mini";

/// What is measured, and how much of the plain route's processor time it may take.
struct Feature {
    name: &'static str,
    config: Value,
    limit: Option<f64>,
}

pub(crate) async fn measure(lab: &Lab) -> Result<Section> {
    let features = features(lab);
    let mut lanes = vec![];
    for (number, feature) in features.iter().enumerate() {
        // A process for each, all of them there from the first round to the last.
        let name = format!("feature-{number}");
        let Some(plugway) = lab.plugway_with(GATEWAY_CORE, &name, feature.config.clone()).await? else { break };
        let route = plugway.to(feature.name, MODEL);
        probe(&route, false).await?;
        load::turn(lab, &route, &plugway.process, 1)?.all_well(route.name)?;
        lanes.push((feature, route, plugway.process));
    }
    let mut turns = vec![vec![]; lanes.len()];
    for _ in 0..lab.options.rounds {
        for ((_, route, process), turns) in lanes.iter().zip(&mut turns) {
            turns.push(load::turn(lab, route, process, lab.options.seconds)?.all_well(route.name)?);
        }
    }
    let ratio = |lane: &[Turn]| load::ratio(lane, &turns[0], |turn| turn.cpu_micros);
    let more = |lane: &[Turn]| {
        median(&lane.iter().zip(&turns[0]).map(|(turn, plain)| turn.cpu_micros - plain.cpu_micros).collect::<Vec<_>>())
    };
    let rows = lanes.iter().zip(&turns).map(|((feature, ..), turns)| {
        vec![
            feature.name.to_owned(),
            format!("{:.1}", middle(turns, |turn| turn.cpu_micros)),
            format!("{:.2}", ratio(turns)),
            format!("{:+.1}", more(turns)),
            format!("{:.0}", middle(turns, |turn| turn.per_second)),
            format!("{:.0} %", middle(turns, |turn| turn.busy) * 100.0),
            format!("{:.0}", middle(turns, |turn| turn.p50_micros)),
        ]
    });
    let targets = lanes.iter().zip(&turns).filter_map(|((feature, ..), turns)| {
        Some(Target { what: feature.name, measured: ratio(turns), limit: feature.limit?, unit: " × plain" })
    });
    Ok(Section {
        name: "features",
        title: "What features cost",
        note: "As CPU per request: 32 kept-alive connections, 1 KB each way, gateway on one core, access log on; the \
               model is asked for by its bare name. Each row is a process of its own with one thing more in its \
               configuration; the second row has nothing more, so what it differs by is noise. Ratio and difference \
               are medians of those within each round."
            .to_owned(),
        columns: vec!["configuration", "µs a request", "× plain", "µs more", "requests/s", "core busy", "p50 µs"],
        rows: rows.collect(),
        targets: targets.collect(),
        others: 0.0,
    })
}

fn features(lab: &Lab) -> Vec<Feature> {
    let provider = || lab.provider(&[MODEL]);
    let another = || {
        let mut provider = provider();
        provider["plugin"] = json!("openai");
        provider
    };
    let mut templates = provider();
    templates["headers"] = json!({"X-Served-By": "{{provider}}/{{model}}", "X-Request": "{{request_id}}"});
    let plain = || json!({"providers": {"openai": provider()}});
    let two = || json!({"providers": {"openai": provider(), "another": another()}});
    let mut in_order = two();
    in_order["models"] = json!({MODEL: {"targets": ["another", "openai"], "strategy": "in-order"}});
    let mut reviewed = plain();
    let rule = json!({"name": "no-nightfall", "contains": ["nightfall"], "message": "not to be talked about"});
    reviewed["policies"] = json!([{"plugin": "deny", "settings": {"rules": [rule]}}]);
    let feature = |name, config, limit| Feature { name, config, limit };
    vec![
        feature("plain", plain(), None),
        feature("plain, in another process", plain(), None),
        feature("one more candidate, weighted", two(), Some(1.1)),
        feature("one more candidate, in order", in_order, Some(1.1)),
        feature("two header templates", json!({"providers": {"openai": templates}}), Some(1.3)),
        feature("a policy with one rule", reviewed, Some(1.5)),
    ]
}
