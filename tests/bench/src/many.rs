//! Many providers: what starting, reloading, routing and memory have to do with their number.

use crate::client::{Connection, probe};
use crate::lab::{Gateway, Lab, Route};
use crate::load;
use crate::plugway::DEBOUNCE;
use crate::process::{GATEWAY_CORE, Process, all_cores};
use crate::report::{Section, Target, median, megabytes, millis};
use crate::start::{SETTLE, first_answer};
use anyhow::{Result, ensure};
use hyper::Method;
use serde_json::{Map, Value, json};
use std::slice;
use std::time::{Duration, Instant};

const MODELS: usize = 10;

/// A configuration that grows.
#[derive(Clone, Copy)]
struct Size {
    name: &'static str,
    providers: usize,
    /// Else providers of one plugin share its instances, as they say the same to it.
    own_settings: bool,
}

/// The first is what the others are held against.
const SIZES: [Size; 3] = [
    Size { name: "few", providers: 5, own_settings: false },
    Size { name: "many", providers: 500, own_settings: false },
    Size { name: "many-own", providers: 500, own_settings: true },
];

/// What was measured of one size, round by round.
#[derive(Default)]
struct Lane {
    start: Vec<f64>,
    reload: Vec<f64>,
    resident: Vec<f64>,
    by_name: Vec<f64>,
    by_address: Vec<f64>,
    in_turn: Vec<f64>,
}

/// A row of the table, and how many times that of few providers it may be with many, and with many that have settings of
/// their own. Requests must not feel how many there are; start, reload and memory may, and miss where that grows grossly.
struct Measure {
    what: &'static str,
    of: fn(&Lane) -> &[f64],
    limits: [f64; 2],
}

const MEASURES: [Measure; 6] = [
    Measure { what: "start to first answer, ms", of: |lane| &lane.start, limits: [2.5, 4.0] },
    Measure { what: "new configuration to its serving, ms", of: |lane| &lane.reload, limits: [10.0, 12.0] },
    Measure { what: "resident when idle, MB", of: |lane| &lane.resident, limits: [1.5, 4.0] },
    Measure { what: "CPU of a request by bare name, µs", of: |lane| &lane.by_name, limits: [1.1, 1.2] },
    Measure { what: "CPU of a request by address, µs", of: |lane| &lane.by_address, limits: [1.1, 1.2] },
    Measure { what: "CPU of a request, all providers in turn, µs", of: |lane| &lane.in_turn, limits: [1.4, 2.0] },
];

pub(crate) async fn measure(lab: &Lab) -> Result<Section> {
    let mut lanes = SIZES.map(|_| Lane::default());
    let found = lab.options.plugway.exists();
    if found {
        for round in 0..=lab.options.rounds {
            for (size, lane) in SIZES.iter().zip(&mut lanes) {
                // The first round compiles, and is not counted.
                let lane = if round == 0 { &mut Lane::default() } else { lane };
                on_all_cores(lab, *size, lane).await?;
            }
        }
        on_one_core(lab, &mut lanes).await?;
    }
    let [few, ..] = &lanes;
    let rows = MEASURES.iter().map(|Measure { what, of, .. }| {
        let mut row = vec![(*what).to_owned(), format!("{:.1}", median(of(few)))];
        for many in &lanes[1..] {
            row.push(format!("{:.1}", median(of(many))));
            row.push(format!("{:.2}", ratio(of(many), of(few))));
        }
        row
    });
    let units = [" × 5 providers", " × 5 providers (own settings)"];
    let targets = MEASURES.iter().flat_map(|Measure { what, of, limits }| {
        let what = what.rsplit_once(", ").map_or(*what, |(what, _)| what);
        let many = lanes[1..].iter().zip(limits).zip(units);
        many.map(move |((many, limit), unit)| Target { what, measured: ratio(of(many), of(few)), limit: *limit, unit })
    });
    Ok(Section {
        name: "many",
        title: "Many providers",
        note: format!(
            "Providers with {MODELS} models each, all over the OpenAI plugin. \"Own settings\": each tells the plugin \
             something else, so that none shares instances with another. Start (artifacts cached), reload and memory on \
             all cores: from starting the process to a chat completion, memory a second later, and from renaming a \
             configuration with one model more into place to that model's first answer, minus the {} ms for which the \
             folder must be quiet. CPU as in CPU per request. Ratios are medians of those within each round.",
            DEBOUNCE.as_millis()
        ),
        columns: vec!["what", "5 providers", "500", "500 : 5", "500, own settings", "500 : 5"],
        rows: if found { rows.collect() } else { vec![] },
        targets: if found { targets.collect() } else { vec![] },
        others: 0.0,
    })
}

fn ratio(many: &[f64], few: &[f64]) -> f64 {
    median(&many.iter().zip(few).map(|(many, few)| many / few).collect::<Vec<_>>())
}

impl Size {
    /// One of these names for the model that is asked for: neither the first nor the last.
    fn middle(self) -> (String, String) {
        (provider_name(self.providers / 2), model_name(self.providers / 2, MODELS / 2))
    }

    /// The configuration, and one model more in the middle.
    fn config(self, lab: &Lab, fresh: Option<&str>) -> Value {
        let providers = (0..self.providers).map(|number| {
            let mut models: Vec<String> = (0..MODELS).map(|model| model_name(number, model)).collect();
            models.extend(fresh.filter(|_| number == self.providers / 2).map(str::to_owned));
            let mut provider = lab.provider(&models);
            provider["plugin"] = json!("openai");
            if self.own_settings {
                provider["settings"] = json!({"organization": format!("org-{number:03}")});
            }
            (provider_name(number), provider)
        });
        json!({"providers": providers.collect::<Map<_, _>>()})
    }
}

fn provider_name(number: usize) -> String {
    format!("service-{number:03}")
}

fn model_name(provider: usize, number: usize) -> String {
    format!("model-{provider:03}-{number}")
}

/// Start, memory and one reload.
async fn on_all_cores(lab: &Lab, size: Size, lane: &mut Lane) -> Result<()> {
    let (_, model) = size.middle();
    let config = size.config(lab, None);
    let start = Instant::now();
    let Some(mut plugway) = lab.start_plugway_with(&all_cores(), size.name, config)? else { return Ok(()) };
    let route = plugway.to(size.name, &model);
    lane.start.push(millis(first_answer(&mut plugway, &route, start).await?));
    tokio::time::sleep(SETTLE).await;
    lane.resident.push(megabytes(plugway.process.resident()?));
    lane.reload.push(reload(lab, size, &plugway).await?);
    Ok(())
}

/// Milliseconds until a model that only the new configuration has is served, without the debounce.
async fn reload(lab: &Lab, size: Size, plugway: &Gateway) -> Result<f64> {
    let fresh = plugway.to(size.name, "fresh");
    let mut caller = Connection::open(plugway.address).await?;
    lab.write_config(size.name, plugway.address, size.config(lab, Some("fresh")))?;
    let start = Instant::now();
    while let Err(error) = caller.send(Method::POST, fresh.path, fresh.body(false)).await {
        let words = plugway.process.last_words();
        ensure!(start.elapsed() < Duration::from_secs(60), "not reloaded, {error}:\n{words}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(millis(start.elapsed().saturating_sub(DEBOUNCE)))
}

/// What a request costs, with all sizes side by side.
async fn on_one_core(lab: &Lab, lanes: &mut [Lane]) -> Result<()> {
    let mut gateways = vec![];
    for size in SIZES {
        let Some(plugway) = lab.plugway_with(GATEWAY_CORE, size.name, size.config(lab, None)).await? else { continue };
        let (provider, model) = size.middle();
        let by_name = plugway.to(size.name, &model);
        let by_address = plugway.to(size.name, &format!("{provider}/{model}"));
        let numbers = 0..size.providers;
        let in_turn: Vec<Route> = numbers.map(|number| plugway.to(size.name, &model_name(number, 0))).collect();
        probe(&by_name, false).await?;
        probe(&by_address, false).await?;
        cpu(lab, &in_turn, &plugway.process, 1)?;
        gateways.push((plugway.process, by_name, by_address, in_turn));
    }
    for _ in 0..lab.options.rounds {
        for ((process, by_name, by_address, in_turn), lane) in gateways.iter().zip(&mut *lanes) {
            let seconds = lab.options.seconds;
            lane.by_name.push(cpu(lab, slice::from_ref(by_name), process, seconds)?);
            lane.by_address.push(cpu(lab, slice::from_ref(by_address), process, seconds)?);
            lane.in_turn.push(cpu(lab, in_turn, process, seconds)?);
        }
    }
    Ok(())
}

fn cpu(lab: &Lab, routes: &[Route], process: &Process, seconds: u64) -> Result<f64> {
    Ok(load::turn_over(lab, routes, process, seconds)?.all_well(routes[0].name)?.cpu_micros)
}
