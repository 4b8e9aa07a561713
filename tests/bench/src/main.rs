//! Measures Plugway beside nginx: both in one run on one machine, so that the ratios mean something elsewhere too.
//!
//! The gateways are pinned to the first core. The load, the mock upstream and this program have the others.

mod bare;
mod canned;
mod client;
mod cpu;
mod failures;
mod features;
mod lab;
mod latency;
mod load;
mod many;
mod plugway;
mod process;
mod reload;
mod report;
mod stamp;
mod start;
mod stream_cpu;
mod streams;
mod upstream;

use anyhow::{Context, Result, bail};
use lab::{Lab, Options};
use report::Section;
use std::path::PathBuf;

const USAGE: &str = "\
usage: bench [NAME…] [OPTION…]

  cpu          CPU per request, under load
  latency      added latency and time to first token, one connection
  stream-cpu   CPU per event of a stream
  streams      many slow streams at once: delay and memory
  reload       from a plugin's file to its new version serving
  start        from the start to the first answer, and memory when idle
  features     CPU per request with one feature more: a candidate, header templates, a policy
  failures     throughput with failing upstreams that are tried again
  many         500 providers beside 5: start, reload, routing, memory
  all          all of these (the default)

  --rounds N          how often the gateways take turns (5)
  --seconds N         how long a turn takes (3)
  --streams N         streams open at once (2000)
  --plugway FILE      the gateway (target/release/plugway); without it, only nginx is measured
  --plugins DIR       its plugins (target/plugins)
  --markdown FILE     write the tables there too
  --json FILE         write the numbers there";

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [name, listen, upstream] = &words[..]
        && name == "bare"
    {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        return runtime.block_on(bare::serve(listen.parse()?, upstream.parse()?));
    }
    let arguments = Arguments::parse(words.into_iter())?;
    process::take_cores(process::load_cores())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(run(arguments))
}

async fn run(arguments: Arguments) -> Result<()> {
    let lab = Lab::open(arguments.options)?;
    let mut sections = vec![];
    for name in &arguments.names {
        eprintln!("{name} …");
        let before = process::used_by_others().await?;
        let mut section = measure(name, &lab).await.with_context(|| format!("benchmark {name}"))?;
        section.others = before.max(process::used_by_others().await?);
        println!("{}", section.markdown());
        sections.push(section);
    }
    let conditions = lab.conditions();
    println!("{conditions}");
    if let Some(file) = arguments.markdown {
        let tables: String = sections.iter().map(Section::markdown).collect();
        std::fs::write(file, format!("# Benchmarks\n\n{conditions}\n{tables}"))?;
    }
    if let Some(file) = arguments.json {
        let json = serde_json::json!({
            "conditions": conditions,
            "benchmarks": sections.iter().map(Section::json).collect::<Vec<_>>(),
        });
        std::fs::write(file, format!("{json:#}\n"))?;
    }
    Ok(())
}

const NAMES: [&str; 9] = ["cpu", "latency", "stream-cpu", "streams", "reload", "start", "features", "failures", "many"];

async fn measure(name: &str, lab: &Lab) -> Result<Section> {
    match name {
        "cpu" => cpu::measure(lab).await,
        "latency" => latency::measure(lab).await,
        "stream-cpu" => stream_cpu::measure(lab).await,
        "streams" => streams::measure(lab).await,
        "reload" => reload::measure(lab).await,
        "start" => start::measure(lab).await,
        "features" => features::measure(lab).await,
        "failures" => failures::measure(lab).await,
        "many" => many::measure(lab).await,
        _ => bail!("there is no such benchmark"),
    }
}

struct Arguments {
    names: Vec<String>,
    options: Options,
    markdown: Option<PathBuf>,
    json: Option<PathBuf>,
}

impl Arguments {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Arguments> {
        let mut arguments = Arguments { names: vec![], options: Options::default(), markdown: None, json: None };
        while let Some(word) = words.next() {
            let mut value = || words.next().with_context(|| format!("{word} needs a value"));
            match word.as_str() {
                "--rounds" => arguments.options.rounds = value()?.parse().context("--rounds")?,
                "--seconds" => arguments.options.seconds = value()?.parse().context("--seconds")?,
                "--streams" => arguments.options.streams = value()?.parse().context("--streams")?,
                "--plugway" => arguments.options.plugway = value()?.into(),
                "--plugins" => arguments.options.plugins = value()?.into(),
                "--markdown" => arguments.markdown = Some(value()?.into()),
                "--json" => arguments.json = Some(value()?.into()),
                "all" => arguments.names = NAMES.map(str::to_owned).to_vec(),
                name if NAMES.contains(&name) => arguments.names.push(name.to_owned()),
                "--help" | "-h" => {
                    println!("{USAGE}");
                    std::process::exit(0);
                }
                _ => bail!("{word}: unknown\n\n{USAGE}"),
            }
        }
        if arguments.names.is_empty() {
            arguments.names = NAMES.map(str::to_owned).to_vec();
        }
        Ok(arguments)
    }
}
