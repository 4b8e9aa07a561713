//! One instance that is called by the names of functions, with JSON: what tools use to look at single calls.
//!
//! It is made, bounded and called as the gateway does it, but it has no pool, no statistics and no rests after faults: a
//! tool decides itself which call meets which instance.

use super::configured::Moment;
use super::fault::Fault;
use super::inspect::Kind;
use super::plugin::{FREE_TICKS, Live, Plugin};
use super::values;
use serde_json::{Map, Value};
use std::time::{Duration, Instant};
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Func, Val};

pub struct Instance<'a> {
    plugin: &'a Plugin,
    live: Live,
}

/// What one call brought and took.
#[derive(Clone, Debug)]
pub struct Called {
    pub outcome: Outcome,
    pub took: Duration,
    /// WebAssembly instructions, where the runtime is one that counts them.
    pub instructions: Option<u64>,
    /// The most memory that the instance has had.
    pub memory_bytes: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    Answer(Value),
    /// The plugin says no.
    Problem(Value),
    /// The plugin failed; the instance is of no use any more.
    Fault(Fault),
}

/// A function that a component exports.
#[derive(Clone, Debug, PartialEq)]
pub struct Function {
    /// None: that of every plugin, `describe` and `configure`.
    pub kind: Option<Kind>,
    pub name: String,
    /// As it is exported, with its version.
    interface: String,
}

impl Plugin {
    /// An instance that has not been configured.
    pub async fn unconfigured_instance(&self) -> Result<Instance<'_>, Fault> {
        Ok(Instance { plugin: self, live: self.instantiate().await? })
    }

    /// An instance with these settings, or what came of configuring it.
    pub async fn instance(&self, settings: &str) -> Result<Instance<'_>, Outcome> {
        let mut instance = self.unconfigured_instance().await.map_err(Outcome::Fault)?;
        let arguments = Map::from_iter([("settings".to_owned(), Value::from(settings))]);
        let configure = self.function("configure").ok_or_else(|| missing("configure")).map_err(Outcome::Fault)?;
        match instance.call(Moment::NONE, &configure, &arguments).await {
            Ok(Called { outcome: Outcome::Answer(_), .. }) => Ok(instance),
            Ok(Called { outcome, .. }) => Err(outcome),
            Err(error) => Err(Outcome::Fault(Fault::BrokeContract(error))),
        }
    }

    /// What the component exports.
    pub fn functions(&self) -> Vec<Function> {
        let engine = self.mould.pre.engine();
        let component = self.mould.pre.component().component_type();
        let mut functions = Vec::new();
        for (interface, export) in component.exports(engine) {
            let ComponentItem::ComponentInstance(instance) = export.ty else { continue };
            let unversioned = interface.split('@').next().unwrap_or(interface);
            let kind = Kind::ALL.into_iter().find(|kind| kind.interface() == unversioned);
            // An engine has the interfaces of its scripts, and a script those of all engines.
            if kind.is_some_and(|kind| !self.is(kind)) {
                continue;
            }
            let names =
                instance.exports(engine).filter(|(_, export)| matches!(export.ty, ComponentItem::ComponentFunc(_)));
            functions.extend(names.map(|(name, _)| Function {
                kind,
                name: name.to_owned(),
                interface: interface.to_owned(),
            }));
        }
        functions
    }

    /// The function of this name; of `dialect`, which both halves of a format have, the first.
    pub fn function(&self, name: &str) -> Option<Function> {
        self.functions().into_iter().find(|function| function.name == name)
    }
}

fn missing(function: &str) -> Fault {
    Fault::BrokeContract(format!("it does not export `{function}`"))
}

impl Instance<'_> {
    /// Calls a function with arguments by their names. The error is for arguments that do not fit its types.
    pub async fn call(
        &mut self,
        moment: Moment,
        function: &Function,
        arguments: &Map<String, Value>,
    ) -> Result<Called, String> {
        let callee = self.find(function).ok_or_else(|| missing(&function.name).to_string())?;
        let arguments = self.arguments(&callee, arguments)?;
        let store = &mut self.live.store;
        store.data_mut().begin(moment.now_ms, moment.seed);
        store.set_epoch_deadline(FREE_TICKS);
        store.set_hostcall_fuel(self.plugin.mould.bounds.answer_bytes);
        // An error where the runtime does not count.
        let _ = store.set_fuel(u64::MAX);
        let limit = match function.kind {
            None => self.plugin.load_timeout(),
            Some(_) => self.plugin.mould.bounds.call_timeout,
        };
        let mut results = [Val::Bool(false)];
        let has_result = callee.ty(&*store).results().len();
        let began = Instant::now();
        let calling = callee.call_async(&mut *store, &arguments, &mut results[..has_result]);
        let ended = tokio::time::timeout(limit, calling).await;
        let took = began.elapsed();
        let outcome = match ended {
            Ok(Ok(())) => outcome(&results[0]),
            Ok(Err(error)) => Outcome::Fault(Fault::from_call(&error)),
            Err(_) => Outcome::Fault(Fault::TookTooLong(limit)),
        };
        let instructions = store.get_fuel().ok().map(|left| u64::MAX - left);
        Ok(Called { outcome, took, instructions, memory_bytes: store.data().limits.memory_bytes })
    }

    fn find(&mut self, function: &Function) -> Option<Func> {
        let Live { store, instance, .. } = &mut self.live;
        let interface = instance.get_export_index(&mut *store, None, &function.interface)?;
        let function = instance.get_export_index(&mut *store, Some(&interface), &function.name)?;
        instance.get_func(&mut *store, function)
    }

    fn arguments(&self, callee: &Func, given: &Map<String, Value>) -> Result<Vec<Val>, String> {
        let ty = callee.ty(&self.live.store);
        let known = |name: &String| ty.params().any(|(parameter, _)| values::same_name(parameter, name));
        if let Some(name) = given.keys().find(|name| !known(name)) {
            let names: Vec<String> = ty.params().map(|(name, _)| name.replace('-', "_")).collect();
            return Err(format!("there is no argument `{name}`; there is {}", names.join(", ")));
        }
        let argument = |(name, ty)| {
            let value = given.iter().find(|(other, _)| values::same_name(name, other)).map(|(_, value)| value);
            values::from_json(&ty, value.unwrap_or(&Value::Null)).map_err(|error| format!("{name}: {error}"))
        };
        ty.params().map(argument).collect()
    }
}

fn outcome(result: &Val) -> Outcome {
    match result {
        Val::Result(Err(_)) => Outcome::Problem(values::to_json(result)),
        value => Outcome::Answer(values::to_json(value)),
    }
}
