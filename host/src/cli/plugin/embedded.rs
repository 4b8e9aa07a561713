//! What an author needs and the program brings along, as paths and texts; `build.rs` gathers it.

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// One of the templates.
pub fn template(path: &str) -> &'static str {
    let found = TEMPLATES.iter().find(|(name, _)| *name == path);
    found.map(|(_, text)| *text).expect("the program was built with it")
}
