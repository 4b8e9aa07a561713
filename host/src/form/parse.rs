//! Where the parts of a form lie, by RFC 7578 and RFC 2046.

use super::{File, Form, FormError, Part};
use bytes::Bytes;
use http::HeaderValue;
use memchr::memmem::{self, Finder};

/// Far more than any operation has fields.
const MAX_PARTS: usize = 1_000;
/// As the standard says.
const LONGEST_BOUNDARY: usize = 70;

pub(super) fn form(body: &Bytes, content_type: HeaderValue, parameters: &str) -> Result<Form, FormError> {
    let boundary = boundary(parameters).ok_or(FormError::NoBoundary)?;
    let delimiter = format!("--{boundary}");
    let mut parts = Vec::new();
    let mut at = beginning(body, &delimiter)?;
    let next = Finder::new(delimiter.as_bytes());
    loop {
        let content = match after_delimiter(body, at + delimiter.len()).ok_or(FormError::NoBeginning)? {
            After::Part(content) => content,
            After::End => return Ok(Form { body: body.clone(), content_type, delimiter, parts }),
        };
        if parts.len() == MAX_PARTS {
            return Err(FormError::TooManyParts(MAX_PARTS));
        }
        let end = end_of_part(body, content, &next, delimiter.len())?;
        parts.push(part(body, at, content, end)?);
        at = end + 2;
    }
}

/// The parameter `boundary`, where it is one that may stand in a body as it is.
fn boundary(parameters: &str) -> Option<&str> {
    let mut found = parameters.split(';').filter_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("boundary").then_some(value.trim())
    });
    let value = found.next()?;
    let value = value.strip_prefix('"').map_or(Some(value), |rest| rest.strip_suffix('"'))?;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=?".contains(&byte);
    let is_good = !value.is_empty() && value.len() <= LONGEST_BOUNDARY && value.bytes().all(fits);
    (is_good && found.next().is_none()).then_some(value)
}

/// Where the first delimiter stands: at the start, or on a line after a preamble, which says nothing.
fn beginning(body: &[u8], delimiter: &str) -> Result<usize, FormError> {
    let first = memmem::find(body, delimiter.as_bytes()).ok_or(FormError::NoBeginning)?;
    match &body[..first] {
        preamble if preamble.is_empty() || preamble.ends_with(b"\r\n") => Ok(first),
        preamble if ends_a_line(preamble) => Err(FormError::LooseBoundary),
        _ => Err(FormError::NoBeginning),
    }
}

/// For lenient readers, to whom either character is a line break.
fn ends_a_line(bytes: &[u8]) -> bool {
    bytes.ends_with(b"\n") || bytes.ends_with(b"\r")
}

enum After {
    /// A part, whose headers begin here.
    Part(usize),
    End,
}

/// None where what looked like a delimiter is none.
fn after_delimiter(body: &[u8], at: usize) -> Option<After> {
    let rest = &body[at..];
    // Readers disagree on what `--boundary--x` is, so it is neither an end nor a part here.
    if let Some(rest) = rest.strip_prefix(b"--") {
        let padding = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        return (rest.len() == padding || rest[padding..].starts_with(b"\r\n")).then_some(After::End);
    }
    let padding = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    rest[padding..].starts_with(b"\r\n").then_some(After::Part(at + padding + 2))
}

/// Where the line break before the next delimiter stands. What is one to lenient readers alone is refused: they would find
/// fields within what is a file to us.
fn end_of_part(body: &[u8], content: usize, next: &Finder<'_>, length: usize) -> Result<usize, FormError> {
    // A part without headers and without content has only the line break that ends its delimiter.
    let from = content - 2;
    for at in next.find_iter(&body[from..]).map(|found| from + found).filter(|at| *at >= from + 2) {
        let (before, after) = (&body[..at], &body[at + length..]);
        match before.ends_with(b"\r\n") {
            true if after_delimiter(body, at + length).is_some() => return Ok(at - 2),
            true if after.starts_with(b"\n") || after.starts_with(b"\r") => return Err(FormError::LooseBoundary),
            false if ends_a_line(before) => return Err(FormError::LooseBoundary),
            _ => {}
        }
    }
    Err(FormError::CutShort)
}

fn part(body: &[u8], whole: usize, content: usize, end: usize) -> Result<Part, FormError> {
    let text = body.get(content..end).ok_or(FormError::NoName)?;
    let blank = memmem::find(text, b"\r\n\r\n").ok_or(FormError::NoName)?;
    let head = std::str::from_utf8(&text[..blank]).map_err(|_| FormError::NoName)?;
    let Head { name, filename, content_type, is_plain } = read_head(head).ok_or(FormError::NoName)?;
    let value = content + blank + 4..end;
    let file = match filename {
        // To some readers that is a file, to others a text.
        Some(file) if file.is_empty() => return Err(FormError::NamelessFile(name)),
        Some(file) => Some(File { name: file, content_type: content_type.to_owned() }),
        // What stands there is not what it says.
        None if !is_plain || !is_in_utf8(content_type, &body[value.clone()]) => return Err(FormError::Encoded(name)),
        None => None,
    };
    Ok(Part { name, file, whole: whole..end + 2, value })
}

/// What the headers of a part say.
struct Head<'a> {
    name: String,
    filename: Option<String>,
    content_type: &'a str,
    /// Whether the value is the bytes as they stand.
    is_plain: bool,
}

/// None where two readers could read it as two things. So a line that goes on in the next one is refused: it would hide
/// that line from who looks at each by itself.
fn read_head(head: &str) -> Option<Head<'_>> {
    let (mut disposition, mut content_type, mut encoding) = (None, None, None);
    for line in head.split("\r\n") {
        let (name, value) = line.split_once(':')?;
        if name.is_empty() || name.contains([' ', '\t']) || line.contains(['\r', '\n']) {
            return None;
        }
        let said = match name.to_ascii_lowercase().as_str() {
            "content-disposition" => disposition.replace(value),
            "content-type" => content_type.replace(value.trim()),
            "content-transfer-encoding" => encoding.replace(value.trim()),
            _ => None,
        };
        if said.is_some() {
            return None;
        }
    }
    let Disposition { name, filename } = read_disposition(disposition?)?;
    let is_plain = encoding.is_none_or(|said| ["7bit", "8bit", "binary"].iter().any(|s| said.eq_ignore_ascii_case(s)));
    Some(Head { name, filename, content_type: content_type.unwrap_or_default(), is_plain })
}

/// Whether a text is what its bytes are in UTF-8. Some clients call plain English ISO-8859-1.
fn is_in_utf8(content_type: &str, value: &[u8]) -> bool {
    let mut parameters = content_type.split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
    let charset = parameters.find(|(name, _)| name.trim().eq_ignore_ascii_case("charset"));
    let charset = charset.map_or("utf-8", |(_, charset)| charset.trim().trim_matches('"')).to_ascii_lowercase();
    match charset.as_str() {
        "utf-8" | "utf8" => std::str::from_utf8(value).is_ok(),
        "us-ascii" | "ascii" | "iso-8859-1" | "latin1" | "windows-1252" => value.is_ascii(),
        _ => false,
    }
}

struct Disposition {
    name: String,
    filename: Option<String>,
}

/// `form-data; name="model"; filename="a.mp3"`. None where anything in it is odd: two readers could read it as two things.
fn read_disposition(value: &str) -> Option<Disposition> {
    let (kind, mut rest) = value.trim().split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("form-data") {
        return None;
    }
    let (mut name, mut filename, mut extended) = (None, None, None);
    while !rest.trim().is_empty() {
        let (parameter, after) = rest.split_once('=')?;
        let (value, after) = match after.trim_start().strip_prefix('"') {
            Some(quoted) => unquote(quoted)?,
            None => {
                let end = after.find(';').unwrap_or(after.len());
                (after[..end].trim().to_owned(), &after[end..])
            }
        };
        let again = match parameter.trim().to_ascii_lowercase().as_str() {
            "name" => name.replace(value),
            "filename" => filename.replace(value),
            // The same in another encoding. Alone it makes a file of the part to some readers, and a text to others.
            "filename*" => extended.replace(value),
            _ => return None,
        };
        let after = after.trim_start();
        rest = after.strip_prefix(';').unwrap_or(after);
        if again.is_some() || (!after.is_empty() && rest.len() == after.len()) {
            return None;
        }
    }
    // What a backslash before a letter means, readers disagree on.
    let name: String = name.filter(|name: &String| !name.contains('\\'))?;
    Some(Disposition { name, filename: filename.or(extended.map(|_| String::new())) })
}

/// The string up to its closing quote, and what stands behind that.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut unquoted = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((unquoted, &text[at + 1..])),
            '\\' if text[at + 1..].starts_with(['"', '\\']) => unquoted.push(letters.next()?.1),
            other => unquoted.push(other),
        }
    }
    None
}
