//! How a call into a plugin can go wrong through the plugin's own fault.

use std::time::Duration;
use thiserror::Error;
use wasmtime::Trap;

/// The plugin did not answer. Its instance is gone; the next call gets another.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum Fault {
    #[error("the plugin trapped: {0}")]
    Trapped(String),
    #[error("the plugin did not answer within {} ms", .0.as_millis())]
    TookTooLong(Duration),
    #[error("the plugin returned more than the host takes: {0}")]
    TooMuch(String),
    #[error("no instance of the plugin could be made: {0}")]
    NoInstance(String),
    #[error("all {0} instances of the plugin are busy")]
    Busy(usize),
    #[error("all {0} instances that may be alive over all plugins are running")]
    NoSlot(usize),
    #[error("the plugin is out of use for another {} ms after repeated faults", .0.as_millis())]
    OutOfUse(Duration),
    #[error("{0}")]
    Script(String),
    #[error("the plugin refused its settings: {0}")]
    Unconfigured(String),
    #[error(
        "what the plugin is to work on is larger than the {limit} bytes that its memory is enough for; raise plugins.memory_limit_mb"
    )]
    TooLargeForIt { limit: usize },
    #[error(
        "the answer that the plugin is to work on is larger than the {limit} bytes that its memory is enough for; raise plugins.memory_limit_mb"
    )]
    AnswerTooLargeForIt { limit: usize },
    #[error("the plugin returned what the contract forbids: {0}")]
    BrokeContract(String),
}

impl Fault {
    pub fn from_call(error: &wasmtime::Error) -> Self {
        if let Some(trap) = error.downcast_ref::<Trap>() {
            return Fault::Trapped(describe(*trap).to_owned());
        }
        let text = error.root_cause().to_string();
        // Wasmtime has no type for it: the guest's answer used up the fuel for copying it.
        if text.contains("fuel") {
            return Fault::TooMuch(text);
        }
        Fault::Trapped(text)
    }

    /// Whether the plugin showed that it is broken, and not only that much is going on.
    pub fn is_the_plugins(&self) -> bool {
        match self {
            Fault::Trapped(_) | Fault::TookTooLong(_) | Fault::TooMuch(_) | Fault::BrokeContract(_) => true,
            Fault::NoInstance(_)
            | Fault::Busy(_)
            | Fault::NoSlot(_)
            | Fault::OutOfUse(_)
            | Fault::Unconfigured(_)
            | Fault::Script(_)
            | Fault::TooLargeForIt { .. }
            | Fault::AnswerTooLargeForIt { .. } => false,
        }
    }
}

fn describe(trap: Trap) -> &'static str {
    match trap {
        Trap::StackOverflow => "it recursed too deeply",
        Trap::MemoryOutOfBounds => "it read or wrote outside its memory",
        Trap::UnreachableCodeReached => "it panicked or ran out of memory (a panic's text is in the log)",
        Trap::IntegerDivisionByZero => "it divided by zero",
        _ => "it broke a rule of WebAssembly",
    }
}
