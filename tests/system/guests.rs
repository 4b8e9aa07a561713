//! Components to put into a gateway's folder: those of `tests/guests`, stamped, broken or both.

use crate::gateway::{place, plugins_folder};
use serde_json::{Value, json};

/// The bytes of a `.wasm` file.
#[derive(Clone)]
pub struct Component(Vec<u8>);

/// As in `tests/guests/stamp`.
const STAMP_MARK: &[u8] = b"stamp of a plugway test guest:";
const STAMP_LENGTH: usize = 512;

impl Component {
    /// The provider that does what its settings say (`tests/guests/acme`), in this version.
    pub fn acme(version: &str) -> Self {
        Component::guest("acme").stamped(&json!({"name": "provider-acme", "version": version}))
    }

    /// The same under another name.
    pub fn acme_as(name: &str) -> Self {
        Component::guest("acme").stamped(&json!({"name": name, "version": "1.0.0"}))
    }

    /// The dialect that does what its events say (`tests/guests/broken`).
    pub fn broken_format() -> Self {
        Component::guest("broken")
    }

    /// The policy that does what its settings say (`tests/guests/judge`).
    pub fn judge() -> Self {
        Component::guest("judge")
    }

    /// Policy, header templates and dialect that tell the log everything (`tests/guests/spy`).
    pub fn spy() -> Self {
        Component::guest("spy")
    }

    /// No component, but a script.
    pub fn script(source: &str) -> Self {
        Component(source.as_bytes().to_vec())
    }

    /// A component of `tests/guests`, by its file's name.
    pub fn guest(name: &str) -> Self {
        Component::read(&place("PLUGWAY_GUESTS", "target/guests").join(format!("{name}.wasm")))
    }

    /// One of the plugins that come with the gateway.
    pub fn first_party(name: &str) -> Self {
        Component::read(&plugins_folder().join(format!("{name}.wasm")))
    }

    pub fn read(file: &std::path::Path) -> Self {
        let bytes = std::fs::read(file);
        Component(bytes.unwrap_or_else(|error| panic!("{}: {error}; `make test` builds it", file.display())))
    }

    /// Says something else of who it is; see `tests/guests/stamp` for the members.
    pub fn stamped(mut self, stamp: &Value) -> Self {
        let at = self.0.windows(STAMP_MARK.len()).position(|window| window == STAMP_MARK).expect("a stamp");
        let text = &mut self.0[at + STAMP_MARK.len()..at + STAMP_LENGTH];
        let stamp = stamp.to_string();
        assert!(stamp.len() <= text.len(), "the stamp is too long: {stamp}");
        text.fill(b' ');
        text[..stamp.len()].copy_from_slice(stamp.as_bytes());
        self
    }

    /// The same component in other bytes, so that it counts as another: with one more custom section at its end.
    pub fn rebuilt(mut self, build: u8) -> Self {
        const SECTION: u8 = 0;
        self.0.extend([SECTION, 7, 5, b'b', b'u', b'i', b'l', b'd', build]);
        self
    }

    /// The first half of the file.
    pub fn truncated(mut self) -> Self {
        self.0.truncate(self.0.len() / 2);
        self
    }

    pub fn of_bytes(bytes: &[u8]) -> Self {
        Component(bytes.to_vec())
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}
