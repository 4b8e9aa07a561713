//! What wasm costs a translation: each function of `format-anthropic` is measured as the component that the gateway
//! loads and as the same Rust code called natively, in one run, and the ratios come out as a table.

mod measure;
mod samples;
mod wasm;

use anyhow::{Context, Result, bail};
use measure::Bench;
use std::path::PathBuf;

const USAGE: &str = "\
usage: bench-translation [OPTION…]

  --plugin FILE       the component (target/plugins/format-anthropic.wasm)
  --seconds N         how long each of the two sides of a case is measured (3)
  --only TEXT         cases whose name has this text
  --markdown FILE     write the table there too";

struct Arguments {
    plugin: PathBuf,
    seconds: f64,
    only: String,
    markdown: Option<PathBuf>,
}

impl Arguments {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self> {
        let mut arguments = Arguments {
            plugin: "target/plugins/format-anthropic.wasm".into(),
            seconds: 3.0,
            only: String::new(),
            markdown: None,
        };
        while let Some(word) = words.next() {
            let mut value = || words.next().with_context(|| format!("{word} needs a value\n\n{USAGE}"));
            match word.as_str() {
                "--plugin" => arguments.plugin = value()?.into(),
                "--seconds" => arguments.seconds = value()?.parse().context("--seconds")?,
                "--only" => arguments.only = value()?,
                "--markdown" => arguments.markdown = Some(value()?.into()),
                _ => bail!("{word} is not known\n\n{USAGE}"),
            }
        }
        Ok(arguments)
    }
}

fn main() -> Result<()> {
    let arguments = Arguments::parse(std::env::args().skip(1))?;
    let wasm = std::fs::read(&arguments.plugin)
        .with_context(|| format!("{}: `make plugins` builds it", arguments.plugin.display()))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut bench = Bench::new(runtime, &wasm, arguments.seconds, arguments.only)?;
    samples::measure_all(&mut bench)?;
    let table = bench.table()?;
    println!("{table}");
    if let Some(file) = &arguments.markdown {
        std::fs::write(file, table).with_context(|| file.display().to_string())?;
    }
    Ok(())
}
