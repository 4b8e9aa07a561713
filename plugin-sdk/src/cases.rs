//! Tests of a plugin that are folders of JSON files, run natively: no host, no network, milliseconds.
//!
//! [`cases!`](crate::cases!) makes one test of all folders under `cases/`:
//!
//! ```text
//! cases/
//!   a-streamed-chat/              the rule that the case shows
//!     settings.json               optional: what `configure` gets in this case; `{}` without it
//!     plan.in.json                what the function gets
//!     plan.out.json               what must come out
//! ```
//!
//! Files are named after the functions of the WIT. `PLUGWAY_RECORD=1 cargo test` writes the `.out.json` files; read
//! them before they are committed. JSON is compared as values, so its layout is free. Every function is called twice,
//! on two instances, since one call must always give one answer; functions that carry a stream's state get their input
//! in many batchings, and the result must be the same in all.
//!
//! | function | in | out |
//! |---|---|---|
//! | `configure` | settings | `null` |
//! | `plan` | any of `operation`, `model`, `streaming`, `dialect`, `attempt`, `now_ms`, `credentials`, `members`, laid over [`Call::chat`](crate::Call::chat) | a step, as below |
//! | `resume` | `{"state", "reply": {"status", "headers", "body"}}` | a step |
//! | `encode-request` | the canonical request, or `{"operation", "model", "body"}` | `{"body", "dropped"}` |
//! | `decode-reply`, `encode-reply` | the answer, or `{"operation", "body"}` | the answer |
//! | `decode-problem` | `{"status", "headers", "body"}` | the problem |
//! | `decode-events` | a list of `{"name", "data"}`, or `{"operation", "events", "end"}`, or a recorded stream as `decode-events.in.sse` | `{"chunks", "progress"}` |
//! | `decode-request` | the caller's request, or `{"operation", "model", "streaming", "body"}` | `{"body", "dropped"}` |
//! | `encode-events` | a list of chunks, or `{"operation", "chunks", "progress"}` | a list of `{"name", "data"}` |
//! | `encode-problem` | `{"status", "problem", "request_id"}` | the body |
//! | `variables` | a template | a list of names |
//! | `render` | `{"templates": [["name", "template"]], "variables": {"name": "value"}}` | `[["name", "value"]]` |
//! | `review-request`, `review-reply` | the body, or `{"context", "body"}` | `"pass"`, `{"change": body}` or `{"refuse": problem}` |
//! | `review-chunks` | a list of chunks, or `{"context", "chunks", "end"}` | `{"chunks", "refusal"}` |
//!
//! Whatever is refused comes out as `{"problem": {"kind": "invalid-request", "message": …}}`. What is text in the WIT
//! (bodies, states, the data of events) is written as JSON where it is an object or a list, else as a string. A step is
//! `{"send": {"method", "path", "headers": [["name", "value"]], "body", "auth", "dialect", "framing"}}`, or `fetch`,
//! `wait`, `acquire`, `{"reply": {"whole": …}}`, `{"reply": {"chunks": […]}}`; its body is `"translated"`, `"empty"`,
//! `{"edited": [{"member", "value"}]}` (no value: removed) or `{"replaced": …}`. What there is none of, such as `auth`, is
//! left out.

mod batching;
#[doc(hidden)]
pub mod diff;
mod folder;
mod format_client;
mod format_upstream;
mod headers;
mod json;
#[doc(hidden)]
pub mod layout;
mod policy;
mod provider;
#[cfg(test)]
mod tests;

use crate::{ClientFormat, HeaderTemplates, Plugin, Policy, Provider, UpstreamFormat};
use folder::Pair;
use serde_json::{Value, json};
use std::path::Path;

/// What every runner of cases needs, for `plugway plugin test` above all: the same files must mean the same to it.
#[doc(hidden)]
pub mod kit {
    pub use super::batching::{by_chance, ways};
    pub use super::folder::{Pair, read};
    pub use super::json::shown;
    pub use super::{diff, layout, with_arguments};
}

/// Makes a test of the folders under `cases/`, with the kinds that [`export!`](crate::export!) lists. It needs the
/// feature `cases` among the `[dev-dependencies]`; see [the module](mod@crate::cases) for the files.
///
/// ```
/// # use plugway_sdk::{HeaderTemplates, Header, NoSettings, Plugin, Problem, Variable};
/// # pub struct Verbatim;
/// # impl Plugin for Verbatim {
/// #     type Settings = NoSettings;
/// #     const DESCRIPTION: &'static str = "Header values without templates";
/// #     fn new(_: NoSettings) -> Result<Self, Problem> { Ok(Verbatim) }
/// # }
/// # impl HeaderTemplates for Verbatim {
/// #     fn variables(&self, _: &str) -> Result<Vec<String>, Problem> { Ok(Vec::new()) }
/// #     fn render(&self, templates: Vec<Header>, _: &[Variable]) -> Result<Vec<Header>, Problem> { Ok(templates) }
/// # }
/// plugway_sdk::export!(Verbatim: headers);
///
/// #[cfg(test)]
/// plugway_sdk::cases!(Verbatim: headers);
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! cases {
    ($plugin:ty: $($kind:ident),+ $(,)?) => {
        #[test]
        fn cases() {
            $crate::cases::run(env!("CARGO_MANIFEST_DIR"), &[$($crate::cases::$kind::<$plugin>()),+]);
        }
    };
}

/// The functions of one kind.
#[doc(hidden)]
pub type Kind<P> = Vec<Function<P>>;

/// One function of the WIT: JSON in, JSON out. The error is for an input file that makes no sense.
#[doc(hidden)]
pub struct Function<P> {
    name: &'static str,
    call: fn(&P, Value) -> Result<Value, String>,
}

#[doc(hidden)]
pub fn provider<P: Provider>() -> Kind<P> {
    provider::functions()
}

#[doc(hidden)]
pub fn format_upstream<P: UpstreamFormat>() -> Kind<P> {
    format_upstream::functions()
}

#[doc(hidden)]
pub fn format_client<P: ClientFormat>() -> Kind<P> {
    format_client::functions()
}

#[doc(hidden)]
pub fn headers<P: HeaderTemplates>() -> Kind<P> {
    headers::functions()
}

#[doc(hidden)]
pub fn policy<P: Policy>() -> Kind<P> {
    policy::functions()
}

/// Runs every case below this crate's folder, and fails with all that is wrong.
#[doc(hidden)]
pub fn run<P: Plugin>(crate_folder: &str, kinds: &[Kind<P>]) {
    let wrong = check(&Path::new(crate_folder).join("cases"), kinds);
    assert!(wrong.is_empty(), "{} of the cases' files are wrong\n\n{}\n", wrong.len(), wrong.join("\n\n"));
}

fn check<P: Plugin>(cases: &Path, kinds: &[Kind<P>]) -> Vec<String> {
    let functions: Vec<&Function<P>> = kinds.iter().flatten().collect();
    let known: Vec<&str> = functions.iter().map(|function| function.name).chain(["configure"]).collect();
    let (pairs, mut wrong) = folder::read(cases, &known);
    for pair in &pairs {
        let function = functions.iter().find(|function| function.name == pair.function);
        let settled =
            twice(|| answer(function.copied(), pair)).and_then(|answer| pair.settle(&answer, folder::recording()));
        if let Err(message) = settled {
            wrong.push(format!("{}/{}: {message}", pair.case, pair.function));
        }
    }
    wrong
}

/// On an instance of its own, made from the case's settings.
fn answer<P: Plugin>(function: Option<&Function<P>>, pair: &Pair) -> Result<Value, String> {
    let Some(function) = function else {
        return Ok(json::answer(configured::<P>(&pair.input), |_| Value::Null));
    };
    let plugin = configured::<P>(&pair.settings)
        .map_err(|problem| format!("its settings are refused: {}", json::problem(&problem)))?;
    (function.call)(&plugin, pair.input.clone())
}

fn configured<P: Plugin>(settings: &Value) -> Result<P, crate::Problem> {
    crate::export::configure(&settings.to_string())
}

fn twice(answer: impl Fn() -> Result<Value, String>) -> Result<Value, String> {
    let first = answer()?;
    let second = answer()?;
    match first == second {
        true => Ok(first),
        false => Err(format!(
            "the same call gives another answer when it is made again; calls must be pure\n{}",
            diff::of(&first, &second)
        )),
    }
}

/// An argument where nothing is said.
fn chat_completion() -> String {
    "chat_completion".to_owned()
}

/// Puts a bare body (or list) where the arguments would have it. What has no members but the arguments' is taken for
/// them.
#[doc(hidden)]
pub fn with_arguments(input: Value, main: &str, others: &[&str]) -> Value {
    let are_arguments = |members: &serde_json::Map<String, Value>| {
        members.contains_key(main) && members.keys().all(|name| name == main || others.contains(&name.as_str()))
    };
    match input.as_object().is_some_and(are_arguments) {
        true => input,
        false => json!({main: input}),
    }
}
