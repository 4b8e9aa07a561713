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
    let mut at = beginning(body, &delimiter).ok_or(FormError::NoBeginning)?;
    let next = Finder::new(delimiter.as_bytes());
    loop {
        let content = match after_delimiter(body, at + delimiter.len()).ok_or(FormError::NoBeginning)? {
            After::Part(content) => content,
            After::End => return Ok(Form { body: body.clone(), content_type, delimiter, parts }),
        };
        if parts.len() == MAX_PARTS {
            return Err(FormError::TooManyParts(MAX_PARTS));
        }
        let end = end_of_part(body, content, &next, delimiter.len()).ok_or(FormError::CutShort)?;
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
fn beginning(body: &[u8], delimiter: &str) -> Option<usize> {
    if body.starts_with(delimiter.as_bytes()) {
        return Some(0);
    }
    memmem::find(body, format!("\r\n{delimiter}").as_bytes()).map(|line| line + 2)
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

/// Where the line break before the next delimiter stands.
fn end_of_part(body: &[u8], content: usize, next: &Finder<'_>, length: usize) -> Option<usize> {
    // A part without headers and without content has only the line break that ends its delimiter.
    let from = content - 2;
    next.find_iter(&body[from..])
        .map(|found| from + found)
        .find(|at| *at >= from + 2 && body[..*at].ends_with(b"\r\n") && after_delimiter(body, at + length).is_some())
        .map(|at| at - 2)
}

fn part(body: &[u8], whole: usize, content: usize, end: usize) -> Result<Part, FormError> {
    let text = body.get(content..end).ok_or(FormError::NoName)?;
    let blank = memmem::find(text, b"\r\n\r\n").ok_or(FormError::NoName)?;
    let head = std::str::from_utf8(&text[..blank]).map_err(|_| FormError::NoName)?;
    let (mut disposition, mut content_type) = (None, "");
    for (name, value) in head.split("\r\n").filter_map(|line| line.split_once(':')) {
        if name.eq_ignore_ascii_case("content-disposition") && disposition.replace(value).is_some() {
            return Err(FormError::NoName);
        }
        if name.eq_ignore_ascii_case("content-type") {
            content_type = value.trim();
        }
    }
    let Disposition { name, filename } = disposition.and_then(read_disposition).ok_or(FormError::NoName)?;
    let file = filename.map(|name| File { name, content_type: content_type.to_owned() });
    Ok(Part { name, file, whole: whole..end + 2, value: content + blank + 4..end })
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
    let (mut name, mut filename) = (None, None);
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
            // The second is the same in another encoding, and wins where it is understood.
            "filename" | "filename*" => filename.replace(value).filter(|_| false),
            _ => return None,
        };
        let after = after.trim_start();
        rest = after.strip_prefix(';').unwrap_or(after);
        if again.is_some() || (!after.is_empty() && rest.len() == after.len()) {
            return None;
        }
    }
    Some(Disposition { name: name?, filename })
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
