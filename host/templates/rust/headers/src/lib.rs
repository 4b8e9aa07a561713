//! {{description}}: `$name` in a header's value stands for the variable, everything else for itself.

use plugway_sdk::{Header, HeaderTemplates, NoSettings, Plugin, Problem, Variable};

struct Dollars;

impl Plugin for Dollars {
    type Settings = NoSettings;
    const DESCRIPTION: &'static str = "{{description}}";

    fn new(_: NoSettings) -> Result<Self, Problem> {
        Ok(Dollars)
    }
}

impl HeaderTemplates for Dollars {
    fn variables(&self, template: &str) -> Result<Vec<String>, Problem> {
        let names = pieces(template)?.into_iter().filter_map(|piece| match piece {
            Piece::Variable(name) => Some(name.to_owned()),
            Piece::Text(_) => None,
        });
        Ok(names.collect())
    }

    fn render(&self, templates: Vec<Header>, variables: &[Variable]) -> Result<Vec<Header>, Problem> {
        let value = |name: &str| {
            let found = variables.iter().find(|variable| variable.name == name);
            found.map_or("", |variable| variable.value.as_str())
        };
        let rendered = templates.into_iter().map(|Header { name, value: template }| {
            let parts = pieces(&template)?.into_iter().map(|piece| match piece {
                Piece::Variable(name) => value(name),
                Piece::Text(text) => text,
            });
            Ok(Header { name, value: parts.collect() })
        });
        rendered.collect()
    }
}

enum Piece<'t> {
    Text(&'t str),
    Variable(&'t str),
}

fn pieces(template: &str) -> Result<Vec<Piece<'_>>, Problem> {
    let mut parts = template.split('$');
    let mut pieces = vec![Piece::Text(parts.next().unwrap_or_default())];
    for part in parts {
        let length = part.find(|letter: char| !(letter.is_ascii_alphanumeric() || "_.-".contains(letter)));
        let (name, text) = part.split_at(length.unwrap_or(part.len()));
        if name.is_empty() {
            return Err(Problem::invalid("after `$` comes the name of a variable"));
        }
        pieces.extend([Piece::Variable(name), Piece::Text(text)]);
    }
    Ok(pieces)
}

plugway_sdk::export!(Dollars: headers);

#[cfg(test)]
plugway_sdk::cases!(Dollars: headers);
