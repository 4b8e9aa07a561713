//! Nearly all events of a stream are a piece of text, of thinking or of a tool's input, and everybody writes them in
//! one way. Such an event is read here, by its beginning and its end, at a third of what a JSON parser takes; whatever
//! looks different in the least is left to the parser.

use plugway_sdk::chat::Text;

/// A block grows by a piece.
#[derive(Debug, PartialEq)]
pub(super) struct Growth<'e> {
    pub(super) index: u64,
    pub(super) kind: Kind,
    pub(super) piece: Text<'e>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Text,
    Input,
    Thinking,
}

const BEGINNING: &str = r#"{"type":"content_block_delta","index":"#;

/// What stands between the index and the piece.
const MIDDLES: [(&str, Kind); 3] = [
    (r#","delta":{"type":"text_delta","text":"#, Kind::Text),
    (r#","delta":{"type":"input_json_delta","partial_json":"#, Kind::Input),
    (r#","delta":{"type":"thinking_delta","thinking":"#, Kind::Thinking),
];

/// None for every other event, and for those that only a parser can judge.
pub(super) fn read(data: &str) -> Option<Growth<'_>> {
    let rest = data.strip_prefix(BEGINNING)?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (index, rest) = rest.split_at(digits);
    // JSON has no leading zeros, and no block has an index of more digits than this.
    if !(1..=9).contains(&digits) || (digits > 1 && index.starts_with('0')) {
        return None;
    }
    let (rest, kind) = MIDDLES.into_iter().find_map(|(middle, kind)| Some((rest.strip_prefix(middle)?, kind)))?;
    let (piece, rest) = rest.split_at(end_of_string(rest)?);
    // Anthropic pads its events with spaces there.
    let rest = rest.strip_prefix('}')?.trim_ascii_start();
    if rest != "}" {
        return None;
    }
    let inner = &piece[1..piece.len() - 1];
    let piece = if inner.contains('\\') { serde_json::from_str(piece).ok()? } else { inner.into() };
    Some(Growth { index: index.parse().ok()?, kind, piece })
}

/// Where a JSON string that begins here ends.
fn end_of_string(json: &str) -> Option<usize> {
    let mut bytes = json.bytes().enumerate();
    bytes.next().filter(|(_, quote)| *quote == b'"')?;
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => return Some(at + 1),
            b'\\' => _ = bytes.next()?,
            // Must have been escaped.
            ..b' ' => return None,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{Growth, Kind, read};
    use serde_json::{Value, json};

    fn event(delta: &str) -> String {
        format!(r#"{{"type":"content_block_delta","index":12,"delta":{delta}}}"#)
    }

    #[test]
    fn pieces_are_read_as_a_parser_reads_them() {
        for (kind, member, expected) in [
            ("text_delta", "text", Kind::Text),
            ("input_json_delta", "partial_json", Kind::Input),
            ("thinking_delta", "thinking", Kind::Thinking),
        ] {
            for piece in [r#""""#, r#""Hel lo""#, r#""a \"b\" \\ \n \u00e9 \ud83e\udd80 c""#, r#""日本語 🦀""#] {
                let data = event(&format!(r#"{{"type":"{kind}","{member}":{piece}}}    "#));
                let parsed: Value = serde_json::from_str(&data).unwrap();
                let growth = read(&data).unwrap_or_else(|| panic!("{data}"));
                assert_eq!((growth.index, growth.kind), (12, expected));
                assert_eq!(json!(&*growth.piece), parsed["delta"][member]);
            }
        }
    }

    #[test]
    fn whatever_looks_different_is_left_to_the_parser() {
        let good = event(r#"{"type":"text_delta","text":"a"}"#);
        assert!(matches!(read(&good), Some(Growth { index: 12, .. })));
        for odd in [
            event(r#"{"type":"text_delta","text":"a","more":1}"#),
            event(r#"{"type":"text_delta","text":"a\x"}"#),
            event(r#"{"type":"text_delta","text":"a\ud83e"}"#),
            event("{\"type\":\"text_delta\",\"text\":\"a\nb\"}"),
            event(r#"{"type":"text_delta","text":null}"#),
            event(r#"{"type":"text_delta","text":"a"#),
            event(r#"{"type":"text_delta","text":"a\"#),
            event(r#"{"type":"signature_delta","signature":"a"}"#),
            good.replace("12", "012"),
            good.replace("12", "-1"),
            good.replace("12", ""),
            good.replace("12", "12345678901"),
            good.replace(":12", ": 12"),
            format!("{good} {good}"),
            r#"{"type":"ping"}"#.to_owned(),
            String::new(),
        ] {
            assert_eq!(read(&odd), None, "{odd}");
        }
    }
}
