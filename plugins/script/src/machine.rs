//! The JavaScript engine with one script in it.

use crate::values::{Arguments, ProblemValue, plain};
use boa_engine::builtins::promise::PromiseState;
use boa_engine::module::{ModuleLoader, ModuleRequest, Referrer};
use boa_engine::{
    Context, JsError, JsNativeError, JsResult, JsString, JsValue, Module, NativeFunction, Source, js_string,
};

use plugway_sdk::{Level, Problem};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

/// The same file that a project in JavaScript has, so that its source runs as a script, too.
const PRELUDE: &str = include_str!("../../../host/templates/js/project/plugway.js");
const KINDS: &str = include_str!("../../../host/templates/js/kinds.js");
const GLUE: &str = include_str!("glue.js");

pub struct Machine {
    /// Of the script's file, without its extension.
    pub name: String,
    context: Context,
    call: JsValue,
}

impl Machine {
    /// Runs the script once, which is where it defines its functions.
    pub fn start(name: &str, source: &str) -> Result<Self, Problem> {
        let file = format!("{name}.js");
        Machine::boot(name, &file, source).map_err(|error| Problem::invalid(in_words(&error, &file)))
    }

    fn boot(name: &str, file: &str, source: &str) -> JsResult<Self> {
        let modules = Rc::new(Modules::default());
        let mut context = Context::builder().module_loader(modules.clone()).build()?;
        give_console(&mut context)?;
        let mut parse = |text: &str, path: &str| {
            Module::parse(Source::from_bytes(text).with_path(Path::new(path)), None, &mut context)
        };
        let (prelude, kinds) = (parse(PRELUDE, "plugway")?, parse(KINDS, "kinds.js")?);
        let (script, glue) = (parse(source, file)?, parse(GLUE, "glue.js")?);
        *modules.0.borrow_mut() = vec![("plugway", prelude), ("kinds", kinds), ("script", script)];
        run(&glue, &mut context)?;
        let call = glue.get_value(js_string!("call"), &mut context)?;
        Ok(Machine { name: name.to_owned(), context, call })
    }

    /// Calls one of the functions in `glue.js`. What the script throws as a `Problem` is the answer; anything else that
    /// it throws is a mistake in it, and ends the instance as a panic would.
    pub fn call<T: DeserializeOwned>(&mut self, function: &str, arguments: &Arguments) -> Result<T, Problem> {
        #[derive(Deserialize)]
        #[serde(rename_all = "lowercase")]
        enum Outcome {
            Answer(Box<RawValue>),
            Problem(ProblemValue),
        }

        let given = [JsString::from(function).into(), JsString::from(plain(arguments).get()).into()];
        let callable = self.call.as_callable().expect("glue.js exports a function");
        let answer = match callable.call(&JsValue::undefined(), &given, &mut self.context) {
            Ok(answer) => answer,
            Err(error) => panic!("{function} failed: {}", in_words(&error, &format!("{}.js", self.name))),
        };
        let text = answer.as_string().expect("glue.js answers with JSON").to_std_string_lossy();
        match serde_json::from_str(&text).expect("glue.js answers with an outcome") {
            Outcome::Problem(problem) => Err(problem.into()),
            Outcome::Answer(answer) => match serde_json::from_str(answer.get()) {
                Ok(answer) => Ok(answer),
                Err(error) => panic!("{}.js: the answer of {function} is not as the contract says: {error}", self.name),
            },
        }
    }
}

/// To its end: there is nothing that a script could wait for.
fn run(module: &Module, context: &mut Context) -> JsResult<()> {
    let promise = module.load_link_evaluate(context);
    context.run_jobs()?;
    match promise.state() {
        PromiseState::Fulfilled(_) => Ok(()),
        PromiseState::Rejected(reason) => Err(JsError::from_opaque(reason)),
        PromiseState::Pending => {
            let message = "it waits at its top level for something that never comes";
            Err(JsNativeError::error().with_message(message).into())
        }
    }
}

/// `console.log` and its kin write to the gateway's log.
fn give_console(context: &mut Context) -> JsResult<()> {
    fn write(level: Level, words: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
        let words: JsResult<Vec<JsString>> = words.iter().map(|word| word.to_string(context)).collect();
        let words: Vec<String> = words?.iter().map(JsString::to_std_string_lossy).collect();
        plugway_sdk::log(level, &words.join(" "));
        Ok(JsValue::undefined())
    }

    let mut console = boa_engine::object::ObjectInitializer::new(context);
    for (name, level) in [
        ("debug", Level::Debug),
        ("log", Level::Info),
        ("info", Level::Info),
        ("warn", Level::Warn),
        ("error", Level::Error),
    ] {
        let function = NativeFunction::from_copy_closure(move |_, words, context| write(level, words, context));
        console.function(function, JsString::from(name), 0);
    }
    let console = console.build();
    context.register_global_property(js_string!("console"), console, boa_engine::property::Attribute::all())
}

/// What can be imported: there are no other files.
#[derive(Default)]
struct Modules(RefCell<Vec<(&'static str, Module)>>);

impl ModuleLoader for Modules {
    async fn load_imported_module(
        self: Rc<Self>,
        _from: Referrer,
        request: ModuleRequest,
        _context: &RefCell<&mut Context>,
    ) -> JsResult<Module> {
        let wanted = request.specifier().to_std_string_lossy();
        // A project in JavaScript has it as a file of its own; its source runs as a script, too.
        let name = wanted.trim_start_matches(['.', '/']).trim_end_matches(".js");
        let modules = self.0.borrow();
        let found = modules.iter().find(|(known, _)| *known == name).map(|(_, module)| module.clone());
        found.ok_or_else(|| {
            let message = format!("`{wanted}` cannot be imported; a script has only \"plugway\"");
            JsNativeError::typ().with_message(message).into()
        })
    }
}

/// In one line, with the place in the script where the engine knows it.
fn in_words(error: &JsError, file: &str) -> String {
    let said = error.to_string();
    let (what, stack) = said.split_once('\n').unwrap_or((&said, ""));
    // The innermost frame is in parentheses behind it; frames that are not the script's say nothing to its author.
    let what = what.rsplit_once(" (").map_or(what, |(what, _)| what);
    let frame = stack.lines().find_map(|frame| frame.split_once(&format!("({file}:"))?.1.strip_suffix(')'));
    match frame.filter(|place| !place.contains('?')) {
        Some(place) => format!("{file}:{place}: {what}"),
        None => format!("{file}: {what}"),
    }
}
