//! `plugway plugin test`: a component in the runtime that gateways have, over folders of cases, and what its kinds promise.

mod batching;
mod conformance;
mod curl;

use super::built;
use super::cases::{self, Case};
use super::load::{Engine, folder_of};
use crate::cli::{Exit, small_runtime};
use crate::plugins::Plugin;
use plugway_sdk::cases::kit::diff;
use serde_json::Value;
use std::path::PathBuf;

/// Run a plugin in the gateway's own runtime over cases, and hold it to what every plugin promises.
///
/// A case is a folder: `plan.in.json` is what the function `plan` gets, `plan.out.json` what must come out, and
/// `settings.json`, where there is one, what the plugin is configured with. A recorded stream may be
/// `decode-events.in.sse`. Streams are fed all at once, one by one, split at every place and by chance; each call is made
/// on fresh and on warm instances and in several orders. All results must be the same.
#[derive(clap::Args)]
pub struct Test {
    /// A component, a script, or the folder of a plugin's source, which is built first.
    #[arg(value_name = "FILE|FOLDER")]
    plugin: PathBuf,
    /// The folder of the cases. Default: `cases` in the plugin's folder, or beside the file.
    #[arg(long, value_name = "FOLDER")]
    cases: Option<PathBuf>,
    /// Write what came out as what must come out. Read it before you keep it.
    #[arg(long)]
    record: bool,
    /// Print the request of each `plan` as a curl command, credentials as $NAME.
    #[arg(long)]
    curl: bool,
    #[command(flatten)]
    engine: Engine,
}

pub fn test(arguments: Test) -> Exit {
    let Test { plugin: file, cases, record, curl, engine } = arguments;
    let own = if file.is_dir() { file.join("cases") } else { folder_of(&file).join("cases") };
    let Some(folder) = cases.or_else(|| Some(own).filter(|own| own.is_dir())) else {
        eprintln!("plugway: say where the cases are with --cases FOLDER; a plugin's source folder has them in `cases`");
        return Exit::Usage;
    };
    let loaded = built(&file).and_then(|component| {
        let plugin = engine.load(&component)?;
        Ok((plugin, small_runtime().map_err(|error| error.to_string())?))
    });
    let (plugin, runtime) = match loaded {
        Ok(loaded) => loaded,
        Err(reason) => {
            eprintln!("plugway: {}: {reason}", file.display());
            return Exit::Refused;
        }
    };
    let (cases, wrong) = cases::read(&folder, &plugin);
    if curl {
        return runtime.block_on(curl::print(&plugin, &cases));
    }
    let report = runtime.block_on(Report::of(&plugin, &cases, wrong, record));
    print!("{}", report.in_words(&plugin));
    if report.wrong.is_empty() { Exit::Fine } else { Exit::Refused }
}

/// What was found.
struct Report {
    cases: usize,
    calls: usize,
    state_bytes: usize,
    wrong: Vec<String>,
}

impl Report {
    async fn of(plugin: &Plugin, cases: &[Case], wrong: Vec<String>, record: bool) -> Report {
        let mut report = Report { cases: cases.len(), calls: 0, state_bytes: 0, wrong };
        let mut answers = Vec::with_capacity(cases.len());
        for case in cases {
            let answer = report.alone(plugin, case).await;
            let settled = answer.and_then(|answer| case.pair.settle(&answer, record).map(|()| answer));
            answers.push(settled.map_err(|reason| report.note(case, reason)).ok());
        }
        let known: Vec<(&Case, &Value)> =
            cases.iter().zip(&answers).filter_map(|(case, answer)| Some((case, answer.as_ref()?))).collect();
        report.together(plugin, &known, "").await;
        let backwards: Vec<_> = known.iter().rev().copied().collect();
        report.together(plugin, &backwards, " backwards").await;
        for (case, answer) in known {
            for reason in conformance::check(plugin, case, answer).await {
                report.note(case, reason);
            }
        }
        report
    }

    fn note(&mut self, case: &Case, reason: String) {
        self.wrong.push(format!("{}: {reason}", case.name()));
    }

    /// On a fresh instance for each way of batching.
    async fn alone(&mut self, plugin: &Plugin, case: &Case) -> Result<Value, String> {
        let mut first: Option<Value> = None;
        for way in batching::ways(case.call.items()) {
            let mut instance = cases::instance(plugin, case.settings().as_deref()).await?;
            let ran = cases::run(&mut instance, &case.call, &way).await?;
            self.calls += way.len().max(1);
            self.state_bytes = self.state_bytes.max(ran.state_bytes);
            let most = case.call.most_state_bytes();
            if ran.state_bytes > most {
                return Err(format!("its state has {} bytes; a gateway takes {most}", ran.state_bytes));
            }
            match &first {
                None => first = Some(ran.answer),
                Some(first) if *first == ran.answer => {}
                Some(first) => {
                    let sizes: Vec<usize> = way.iter().map(std::ops::Range::len).collect();
                    let diff = diff::of(first, &ran.answer);
                    return Err(format!(
                        "the result depends on how events were batched; in batches of {sizes:?} it differs from all at \
                         once\n{diff}"
                    ));
                }
            }
        }
        first.ok_or_else(|| "there is no way to run it".to_owned())
    }

    /// All that have the same settings on one warm instance, one after the other.
    async fn together(&mut self, plugin: &Plugin, cases: &[(&Case, &Value)], order: &str) {
        let mut settings: Vec<Option<String>> = cases.iter().map(|(case, _)| case.settings()).collect();
        settings.sort();
        settings.dedup();
        // Instances are configured once, so that each case of `configure` needs one of its own.
        for settings in settings.into_iter().flatten() {
            let Ok(mut instance) = cases::instance(plugin, Some(&settings)).await else { continue };
            for (case, expected) in cases.iter().filter(|(case, _)| case.settings().as_deref() == Some(&settings)) {
                let all_at_once = 0..case.call.items();
                self.calls += 1;
                match cases::run(&mut instance, &case.call, &[all_at_once]).await {
                    Ok(ran) if ran.answer == **expected => {}
                    Ok(ran) => self.note(
                        case,
                        format!(
                            "the answer depends on earlier calls: on an instance that has run the other cases{order} it \
                             differs; keep nothing between calls\n{}",
                            diff::of(expected, &ran.answer)
                        ),
                    ),
                    Err(reason) => {
                        self.note(case, format!("on an instance that has run the other cases{order}: {reason}"));
                        break;
                    }
                }
            }
        }
    }

    fn in_words(&self, plugin: &Plugin) -> String {
        let Report { cases, calls, state_bytes, wrong } = self;
        let mut words: String = wrong.iter().map(|reason| format!("{}\n\n", reason.trim_end())).collect();
        let verdict = match wrong.len() {
            0 => "all as it should be".to_owned(),
            1 => "1 thing is wrong".to_owned(),
            count => format!("{count} things are wrong"),
        };
        words.push_str(&format!(
            "{plugin:?}: {cases} cases, {calls} calls, largest state {state_bytes} bytes: {verdict}\n"
        ));
        words
    }
}
