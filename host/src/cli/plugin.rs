//! `plugway plugin …`

mod bench;
mod build;
mod cases;
mod check;
mod dev;
mod embedded;
mod inspect;
mod load;
mod new;
mod replay;
mod test;

pub use bench::{Bench, bench};
pub use build::build;
pub use check::{Check, check};
pub use dev::{Dev, dev};
pub use inspect::{Inspect, inspect};
pub use new::{Kind, Language, new};
pub use replay::{Replay, replay};
pub use test::{Test, test};

use super::Exit;
use crate::plugins::is_component;
use std::path::{Path, PathBuf};

/// The plugin that is meant: a file, or what is built from a folder.
fn built(place: &Path) -> Result<PathBuf, String> {
    if !place.is_dir() {
        return Ok(place.to_owned());
    }
    let out = std::env::temp_dir().join(format!("plugway-built-{}", std::process::id()));
    if build(&[place.to_owned()], &out) != Exit::Fine {
        return Err("it could not be built".to_owned());
    }
    let files = std::fs::read_dir(&out).map_err(|error| format!("{}: {error}", out.display()))?;
    let mut files = files.flatten().map(|file| file.path());
    let component = files.find(|file| is_component(file));
    component.ok_or_else(|| "building it made no component".to_owned())
}
