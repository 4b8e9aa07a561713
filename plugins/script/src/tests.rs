use crate::machine::Machine;
use crate::values::{StepValue, plain};
use plugway_sdk::{Problem, Step};
use serde_json::json;

/// Enough of a provider for what is tested, and a line of its own for it.
fn provider(line: &str) -> Machine {
    let source = format!(
        "import {{ Problem }} from 'plugway';\n\
         export const capabilities = () => ({{operations: ['chat_completion']}});\n{line}"
    );
    Machine::start("tiny", &source).expect("a script without mistakes")
}

fn plan(machine: &mut Machine) -> Result<Step, Problem> {
    machine.call::<StepValue>("plan", &vec![plain(&json!({"model": "m"}))]).map(Into::into)
}

#[test]
fn a_script_is_what_it_exports() {
    let mut machine = provider("export const plan = (call) => ({send: {path: '/v1/' + call.model}});");
    let kinds: Vec<String> = machine.call("kinds", &vec![]).unwrap();
    assert_eq!(kinds, ["provider"]);
    let Ok(Step::Send(outgoing)) = plan(&mut machine) else { panic!("a request") };
    assert_eq!((outgoing.method.as_str(), outgoing.path.as_str()), ("POST", "/v1/m"));
}

#[test]
fn a_problem_is_an_answer() {
    let mut machine =
        provider("export const plan = () => { throw new Problem('rate-limited', 'slow down', {retry_after_ms: 5}); };");
    let problem = plan(&mut machine).expect_err("a problem");
    assert_eq!((problem.message.as_str(), problem.retry_after_ms), ("slow down", Some(5)));
}

#[test]
#[should_panic(expected = "plan failed: tiny.js:3:45: TypeError: ")]
fn a_mistake_in_a_call_says_where_it_is() {
    let _ = plan(&mut provider("export const plan = (call) => call.model.of.nothing;"));
}

#[test]
#[should_panic(expected = "tiny.js: the answer of plan is not as the contract says: unknown field `heders`")]
fn a_misspelt_member_is_named() {
    let _ = plan(&mut provider("export const plan = () => ({send: {path: '/', heders: []}});"));
}

#[test]
fn mistakes_at_the_start_say_where_they_are() {
    for (source, expected) in [
        (
            "export const x = {\n  a: 1,\n  b 2\n};",
            "tiny.js: SyntaxError: expected token '(', got '2' in method definition at line 3, col 5",
        ),
        ("nothing();", "tiny.js: ReferenceError: nothing is not defined"),
        (
            "const f = () => {\n  return f.of.nothing;\n};\nf();",
            "tiny.js:2:15: TypeError: cannot convert 'null' or 'undefined' to object",
        ),
        (
            "import fs from 'node:fs';",
            "tiny.js: TypeError: `node:fs` cannot be imported; a script has only \"plugway\"",
        ),
        ("await new Promise(() => {});", "tiny.js: Error: it waits at its top level for something that never comes"),
        (
            "export const version = '1.0.0';",
            "the script exports no kind of plugin; a provider is capabilities and plan",
        ),
        ("export const plan = 1;", "a provider exports capabilities, plan; missing here: capabilities"),
    ] {
        let started = Machine::start("tiny", source);
        let problem = started.and_then(|mut machine| machine.call::<Vec<String>>("kinds", &vec![])).expect_err(source);
        assert_eq!(problem.message, expected);
    }
}
