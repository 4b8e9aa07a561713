//! JSON as people like to read it: what fits on a line stands on one.

use serde_json::Value;

const WIDTH: usize = 120;

pub fn text(value: &Value) -> String {
    let mut text = String::new();
    write(value, 0, 0, &mut text);
    text.push('\n');
    text
}

/// `taken` is what stands on the line already, `indent` what lines below begin with.
fn write(value: &Value, indent: usize, taken: usize, text: &mut String) {
    let line = on_one_line(value);
    // One more for a comma.
    if taken + line.chars().count() < WIDTH {
        return text.push_str(&line);
    }
    match value {
        Value::Array(items) => {
            let items = items.iter().map(|item| (String::new(), item));
            block(['[', ']'], items, indent, text);
        }
        Value::Object(members) => {
            let members = members.iter().map(|(name, member)| (format!("{}: ", Value::from(name.as_str())), member));
            block(['{', '}'], members, indent, text);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => text.push_str(&line),
    }
}

fn block<'a>(
    [open, close]: [char; 2],
    items: impl Iterator<Item = (String, &'a Value)>,
    indent: usize,
    text: &mut String,
) {
    let inner = indent + 2;
    text.push(open);
    for (at, (name, item)) in items.enumerate() {
        text.push_str(if at == 0 { "\n" } else { ",\n" });
        text.push_str(&format!("{:inner$}{name}", ""));
        write(item, inner, inner + name.chars().count(), text);
    }
    text.push_str(&format!("\n{:indent$}{close}", ""));
}

fn on_one_line(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(on_one_line).collect::<Vec<_>>().join(", ")),
        Value::Object(members) => {
            let member =
                |(name, member): (&String, &Value)| format!("{}: {}", Value::from(name.as_str()), on_one_line(member));
            format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(", "))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::text;
    use serde_json::{Value, json};

    #[test]
    fn what_fits_stands_on_one_line_and_all_of_it_is_there() {
        let short = json!({"a": [1, "two", null], "b": {}});
        assert_eq!(text(&short), "{\"a\": [1, \"two\", null], \"b\": {}}\n");
        let long = json!({"long": "x".repeat(150), "short": short, "many": vec!["twelve chars"; 20]});
        let written = text(&long);
        assert!(written.contains("\n  \"short\": {\"a\": [1, \"two\", null], \"b\": {}}"), "{written}");
        assert!(written.contains("\n    \"twelve chars\",\n"), "{written}");
        assert_eq!(serde_json::from_str::<Value>(&written).expect("JSON"), long);
    }
}
