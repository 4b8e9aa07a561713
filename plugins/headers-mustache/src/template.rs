//! Templates in pieces.

use plugway_sdk::Problem;

#[derive(Debug, PartialEq)]
pub(crate) enum Piece<'a> {
    Text(&'a str),
    Variable(&'a str),
}

pub(crate) fn parse(template: &str) -> Result<Vec<Piece<'_>>, Problem> {
    let mut pieces = Vec::new();
    let mut rest = template;
    while let Some(at) = rest.find("{{") {
        if at > 0 {
            pieces.push(Piece::Text(&rest[..at]));
        }
        let tag = &rest[at..];
        let wrong = |what: String| wrong_at(template, tag, &what);
        let (open, close) = if tag.starts_with("{{{") { ("{{{", "}}}") } else { ("{{", "}}") };
        let inside = &tag[open.len()..];
        let end = inside.find(close).ok_or_else(|| wrong(format!("`{open}` is never closed; write `{close}`")))?;
        if let Some(name) = name(&inside[..end], open).map_err(wrong)? {
            pieces.push(Piece::Variable(name));
        }
        rest = &inside[end + close.len()..];
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest));
    }
    Ok(pieces)
}

/// The variable that stands between the braces; None for a comment.
fn name<'a>(inside: &'a str, open: &str) -> Result<Option<&'a str>, String> {
    let inside = inside.trim();
    let name = match inside.chars().next() {
        Some('!') if open == "{{" => return Ok(None),
        Some('&') if open == "{{" => inside[1..].trim_start(),
        Some('#' | '^' | '/') => return Err(format!("`{{{{{inside}}}}}`: there are no sections in a header")),
        Some('>' | '<' | '$') => return Err(format!("`{{{{{inside}}}}}`: there are no partials in a header")),
        Some('=') => return Err("the delimiters cannot be changed".to_owned()),
        Some(_) | None => inside,
    };
    match name.find(|letter: char| letter.is_whitespace() || "{}!&".contains(letter)) {
        None if name.is_empty() => Err(format!("there is no name after `{open}`")),
        None => Ok(Some(name)),
        Some(_) => Err(format!("`{name}` is no name of a variable")),
    }
}

/// Columns are counted in characters, from one, as editors do.
fn wrong_at(template: &str, tag: &str, what: &str) -> Problem {
    let before = &template[..template.len() - tag.len()];
    Problem::invalid(format!("column {}: {what}", before.chars().count() + 1))
}

#[cfg(test)]
mod tests {
    use super::{Piece, parse};

    #[test]
    fn every_tag_becomes_its_piece() {
        let (text, variable) = (Piece::Text, Piece::Variable);
        for (template, pieces) in [
            ("", vec![]),
            ("plain { } }} text", vec![text("plain { } }} text")]),
            ("{{a}}", vec![variable("a")]),
            ("{{ a.b-c }}", vec![variable("a.b-c")]),
            ("{{{a}}}", vec![variable("a")]),
            ("{{{ a }}}", vec![variable("a")]),
            ("{{&a}}", vec![variable("a")]),
            ("{{ & a }}", vec![variable("a")]),
            ("{{! a comment, with { braces } }}x", vec![text("x")]),
            ("{{!}}x", vec![text("x")]),
            (
                "Bearer {{a}}{{b}} é {{a}}",
                vec![text("Bearer "), variable("a"), variable("b"), text(" é "), variable("a")],
            ),
            ("{{a}}}", vec![variable("a"), text("}")]),
        ] {
            assert_eq!(parse(template), Ok(pieces), "{template:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_column() {
        for (template, message) in [
            ("{{a", "column 1: `{{` is never closed; write `}}`"),
            ("é {{a", "column 3: `{{` is never closed; write `}}`"),
            ("{{a}} {{{b}}", "column 7: `{{{` is never closed; write `}}}`"),
            ("x{{! never closed", "column 2: `{{` is never closed; write `}}`"),
            ("{{}}", "column 1: there is no name after `{{`"),
            ("{{& }}", "column 1: there is no name after `{{`"),
            ("a {{#user}}b{{/user}}", "column 3: `{{#user}}`: there are no sections in a header"),
            ("{{^user}}", "column 1: `{{^user}}`: there are no sections in a header"),
            ("{{> file}}", "column 1: `{{> file}}`: there are no partials in a header"),
            ("{{=<% %>=}}", "column 1: the delimiters cannot be changed"),
            ("{{two words}}", "column 1: `two words` is no name of a variable"),
            ("{{a {{b}}", "column 1: `a {{b` is no name of a variable"),
        ] {
            let problem = parse(template).expect_err(template);
            assert_eq!(problem.message, message, "{template:?}");
        }
    }
}
