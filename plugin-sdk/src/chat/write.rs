//! JSON by hand, for what is written once for every event.

/// Adds a text to a JSON text, in quotes and with what must be escaped.
///
/// ```
/// let mut json = String::from("{\"said\":");
/// plugway_sdk::chat::push_text(&mut json, "a \"quote\"\n\u{1} and ünïcödé");
/// json.push('}');
/// assert_eq!(json, r#"{"said":"a \"quote\"\n\u0001 and ünïcödé"}"#);
/// ```
pub fn push_text(json: &mut String, text: &str) {
    json.push('"');
    let mut rest = text;
    while let Some(at) = rest.bytes().position(must_be_escaped) {
        let (plain, special) = rest.split_at(at);
        json.push_str(plain);
        push_escaped(json, special.as_bytes()[0]);
        rest = &special[1..];
    }
    json.push_str(rest);
    json.push('"');
}

/// Adds a number to a JSON text.
///
/// ```
/// let mut json = String::from("[");
/// plugway_sdk::chat::push_number(&mut json, 1_204);
/// assert_eq!(json, "[1204");
/// ```
pub fn push_number(json: &mut String, number: u64) {
    // Formatting by the standard library would cost more than the rest of a short event.
    if number >= 10 {
        push_number(json, number / 10);
    }
    json.push(char::from(b'0' + (number % 10) as u8));
}

fn must_be_escaped(byte: u8) -> bool {
    byte < b' ' || byte == b'"' || byte == b'\\'
}

fn push_escaped(json: &mut String, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    json.push('\\');
    match byte {
        b'"' | b'\\' => json.push(char::from(byte)),
        b'\n' => json.push('n'),
        b'\r' => json.push('r'),
        b'\t' => json.push('t'),
        0x08 => json.push('b'),
        0x0c => json.push('f'),
        _ => {
            json.push_str("u00");
            json.push(char::from(HEX[usize::from(byte >> 4)]));
            json.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{push_number, push_text};

    #[test]
    fn every_character_is_written_as_serde_writes_it() {
        let text: String = ('\0'..='\u{2ff}').chain("日本語 🦀".chars()).collect();
        let mut json = String::new();
        push_text(&mut json, &text);
        assert_eq!(json, serde_json::to_string(&text).unwrap());
    }

    #[test]
    fn numbers_are_written_as_they_are() {
        for number in [0, 9, 10, 1_204, u64::MAX] {
            let mut json = String::new();
            push_number(&mut json, number);
            assert_eq!(json, number.to_string());
        }
    }
}
