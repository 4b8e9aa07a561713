//! Values that do not stand in the configuration: `env.NAME` and `file.PATH` say where they do.

use super::meant::Owner;
use super::reader::Reader;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use thiserror::Error;

/// For a key, and for a bundle of certificates.
const LARGEST_FILE: u64 = 1024 * 1024;

/// A value from elsewhere.
pub(super) struct Found {
    pub text: String,
    /// For messages, which never hold the value: "the environment variable OPENAI_API_KEY".
    pub place: String,
}

impl Found {
    /// What is wrong with it. The message goes on after the place.
    pub(super) fn fault(&self, what: &str) -> String {
        format!("{} {what}", self.place)
    }
}

/// None where what was typed is the value itself.
pub(super) fn look_up(typed: &str, reader: &mut Reader<'_>) -> Option<Result<Found, String>> {
    match typed.split_once('.') {
        Some(("env", name)) => Some(variable(name, reader.env)),
        Some(("file", path)) => Some(file(path, reader)),
        _ => None,
    }
}

fn variable(name: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Found, String> {
    if !is_variable_name(name) {
        return Err("must name an environment variable after `env.`".to_owned());
    }
    let place = format!("the environment variable {name}");
    match env(name) {
        None => Err(format!("{place} is not set")),
        Some(text) if text.is_empty() => Err(format!("{place} is empty")),
        Some(text) => Ok(Found { text, place }),
    }
}

pub(super) fn is_variable_name(name: &str) -> bool {
    !name.starts_with(|first: char| first.is_ascii_digit())
        && !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// The content of a file, without the line break at its end. The file is looked at again whenever the disk is: secrets that
/// are mounted change in their place.
fn file(path: &str, reader: &mut Reader<'_>) -> Result<Found, String> {
    if path.is_empty() {
        return Err("must name a file after `file.`".to_owned());
    }
    if reader.owner == Owner::Api {
        // Else whoever may write providers could have any file of this machine sent to them.
        return Err("names a file, which only the configuration file may; write env.NAME".to_owned());
    }
    let file = reader.base.join(path);
    reader.reads.insert(file.clone());
    let place = format!("the file {}", file.display());
    let text = content(&file).map_err(|fault| {
        reader.unread |= fault.may_pass();
        format!("{place} {fault}")
    })?;
    let text = text.trim_end_matches(['\r', '\n']);
    match text.is_empty() {
        true => Err(format!("{place} is empty")),
        false => Ok(Found { text: text.to_owned(), place }),
    }
}

/// Why a file gives no value. The messages go on after its name.
#[derive(Debug, Error)]
enum Fault {
    #[error("cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    #[error("is no plain file")]
    NoFile,
    #[error("is larger than {} KB", LARGEST_FILE / 1024)]
    TooLarge,
    #[error("is not UTF-8")]
    NotText,
}

impl Fault {
    /// Whether it may be readable without having changed. One that is missing is noticed when it comes.
    fn may_pass(&self) -> bool {
        matches!(self, Fault::Unreadable(error) if error.kind() != io::ErrorKind::NotFound)
    }
}

fn content(path: &Path) -> Result<String, Fault> {
    // A pipe would be waited for without end.
    if !std::fs::metadata(path)?.is_file() {
        return Err(Fault::NoFile);
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(LARGEST_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(Fault::TooLarge);
    }
    String::from_utf8(bytes).map_err(|_| Fault::NotText)
}
