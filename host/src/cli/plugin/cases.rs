//! Cases in the real runtime: the folders that `plugway_sdk::cases!` runs natively, here on a component's instances.

mod call;
mod view;

pub use call::{Call, Stream};
pub use view::view;

use crate::plugins::{Instance, Moment, Outcome, Plugin};
use plugway_sdk::cases::kit::{self, Pair};
use serde_json::{Map, Value, json};
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

/// One function of one case, ready to be called.
pub struct Case {
    pub pair: Pair,
    pub call: Call,
}

impl Case {
    /// `a-streamed-chat/plan`
    pub fn name(&self) -> String {
        format!("{}/{}", self.pair.case, self.pair.function)
    }

    /// What `configure` gets; none where the case is about `configure` itself.
    pub fn settings(&self) -> Option<String> {
        (self.pair.function != "configure").then(|| self.pair.settings.to_string())
    }
}

/// The cases of a folder, and what is wrong with its files.
pub fn read(folder: &Path, plugin: &Plugin) -> (Vec<Case>, Vec<String>) {
    let functions = plugin.functions();
    let has_cases = |name: &&str| !["describe", "dialect", "routes", "get-capabilities", "get-phases"].contains(name);
    let known: Vec<&str> = functions.iter().map(|function| function.name.as_str()).filter(has_cases).collect();
    let (pairs, mut wrong) = kit::read(folder, &known);
    let mut cases = Vec::with_capacity(pairs.len());
    for pair in pairs {
        match Call::new(plugin, &pair.function, pair.input.clone()) {
            Ok(call) => cases.push(Case { pair, call }),
            Err(error) => wrong.push(format!("{}/{}: {error}", pair.case, pair.function)),
        }
    }
    (cases, wrong)
}

/// What came of a case, and what it took.
#[derive(Clone, Debug, Default)]
pub struct Ran {
    /// As `.out.json` has it.
    pub answer: Value,
    pub took: Duration,
    pub instructions: u64,
    pub memory_bytes: usize,
    /// The largest state that the plugin handed back.
    pub state_bytes: usize,
}

/// An instance for a case: with its settings, or bare where the case is about `configure`.
pub async fn instance<'p>(plugin: &'p Plugin, settings: Option<&str>) -> Result<Instance<'p>, String> {
    let Some(settings) = settings else {
        return plugin.unconfigured_instance().await.map_err(|fault| fault.to_string());
    };
    plugin.instance(settings).await.map_err(|outcome| match outcome {
        Outcome::Problem(problem) => format!("its settings are refused: {}", view(&problem)),
        Outcome::Fault(fault) => fault.to_string(),
        Outcome::Answer(_) => "configure answered with something".to_owned(),
    })
}

/// Runs a call, a stream in these batches. The error says how the plugin failed, or why the call makes no sense.
pub async fn run(instance: &mut Instance<'_>, call: &Call, batches: &[Range<usize>]) -> Result<Ran, String> {
    let mut ran = Ran::default();
    match call {
        Call::Whole { function, arguments } => {
            let answer = ran.add(instance, function, arguments).await?;
            ran.answer = match answer {
                Ok(answer) => view(&answer),
                Err(problem) => json!({"problem": view(&problem)}),
            };
        }
        Call::Stream(stream) => ran.answer = run_stream(instance, stream, batches, &mut ran).await?,
    }
    Ok(ran)
}

/// As a gateway does it: the state goes out and in as text, and nothing is passed on once the stream is over.
async fn run_stream(
    instance: &mut Instance<'_>,
    stream: &Stream,
    batches: &[Range<usize>],
    ran: &mut Ran,
) -> Result<Value, String> {
    let (mut state, mut given, mut end) = (Value::from(""), Vec::new(), None);
    for (at, batch) in batches.iter().enumerate() {
        let arguments = stream.arguments(&state, batch.clone(), at + 1 == batches.len());
        let mut answer = match ran.add(instance, &stream.function, &arguments).await? {
            Ok(answer) => answer,
            Err(problem) => return Ok(json!({"problem": view(&problem)})),
        };
        state = answer["state"].take();
        ran.state_bytes = ran.state_bytes.max(state.as_str().map_or(0, str::len));
        if let Value::Array(items) = answer[stream.gives].take() {
            given.extend(items.iter().map(view));
        }
        end = stream.end_in(&answer).cloned();
        if stream.is_over(end.as_ref()) {
            break;
        }
    }
    Ok(stream.answer(given, end))
}

impl Ran {
    /// Makes one call and counts it in: an answer, or the plugin's problem.
    async fn add(
        &mut self,
        instance: &mut Instance<'_>,
        function: &crate::plugins::Function,
        arguments: &Map<String, Value>,
    ) -> Result<Result<Value, Value>, String> {
        let called = instance.call(Moment::NONE, function, arguments).await?;
        self.took += called.took;
        self.instructions += called.instructions.unwrap_or(0);
        self.memory_bytes = self.memory_bytes.max(called.memory_bytes);
        match called.outcome {
            Outcome::Answer(answer) => Ok(Ok(answer)),
            Outcome::Problem(problem) => Ok(Err(problem)),
            Outcome::Fault(fault) => Err(fault.to_string()),
        }
    }
}
