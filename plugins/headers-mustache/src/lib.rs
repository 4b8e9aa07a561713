//! Header templates in Mustache's notation for variables.
//!
//! | in a template | becomes |
//! |---|---|
//! | `{{name}}`, `{{ name }}` | the variable's value |
//! | `{{{name}}}`, `{{&name}}` | the same: nothing is escaped anywhere, as header values are not HTML |
//! | `{{! why }}` | nothing |
//!
//! Sections, partials and changes of the delimiters are refused: a header is one line, and whether it is sent is for
//! the configuration to say.

mod template;

use plugway_sdk::{Header, HeaderTemplates, NoSettings, Plugin, Problem, Variable};
use template::{Piece, parse};

pub struct Mustache;

impl Plugin for Mustache {
    type Settings = NoSettings;
    const DESCRIPTION: &'static str = env!("CARGO_PKG_DESCRIPTION");

    fn new(_: NoSettings) -> Result<Self, Problem> {
        Ok(Mustache)
    }
}

impl HeaderTemplates for Mustache {
    /// Each name once, where it appears first.
    fn variables(&self, template: &str) -> Result<Vec<String>, Problem> {
        let mut names: Vec<String> = Vec::new();
        for piece in parse(template)? {
            match piece {
                Piece::Variable(name) if !names.iter().any(|known| known == name) => names.push(name.to_owned()),
                Piece::Variable(_) | Piece::Text(_) => {}
            }
        }
        Ok(names)
    }

    fn render(&self, templates: Vec<Header>, variables: &[Variable]) -> Result<Vec<Header>, Problem> {
        let rendered = |Header { name, value }| Ok(Header { name, value: render(&value, variables)? });
        templates.into_iter().map(rendered).collect()
    }
}

fn render(template: &str, variables: &[Variable]) -> Result<String, Problem> {
    let value_of = |name| {
        let known = variables.iter().find(|variable| variable.name == name);
        known.ok_or_else(|| Problem::invalid(format!("the variable `{name}` has no value")))
    };
    let mut value = String::with_capacity(template.len());
    for piece in parse(template)? {
        match piece {
            Piece::Text(text) => value.push_str(text),
            Piece::Variable(name) => value.push_str(&value_of(name)?.value),
        }
    }
    Ok(value)
}

plugway_sdk::export!(Mustache: headers);

#[cfg(test)]
plugway_sdk::cases!(Mustache: headers);
