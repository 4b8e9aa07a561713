//! Lets a test say who a component is, without building it again.
//!
//! A component of this workspace takes its name and version not from its `Cargo.toml` but from a stamp: a stretch of its
//! data section that holds JSON and that a test overwrites in the finished file (`tests/system/guests.rs`). So one build
//! is `provider-acme` in any version, and a component that lies about who it is or traps while it is loaded.

use plugway_sdk::bindings::plugin::exports::plugway::plugin::lifecycle::Manifest;
use serde::Deserialize;

/// The stamp's length in the file.
pub const LENGTH: usize = 512;

/// What a stamp says.
#[derive(Deserialize)]
pub struct Stamp {
    pub name: String,
    pub version: String,
    /// JSON Schema, as text, so that it can be something else. Any settings without it.
    pub settings_schema: Option<String>,
    #[serde(default)]
    pub in_describe: Conduct,
    #[serde(default)]
    pub in_configure: Conduct,
    /// Providers only.
    #[serde(default)]
    pub in_plan: Conduct,
    /// Providers only: where calls go unless the configuration says where.
    #[serde(default)]
    pub base_url: Option<String>,
}

/// What happens in a call that is made while the component is loaded, or in every plan.
#[derive(Default, Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum Conduct {
    #[default]
    Behave,
    Trap,
    Loop,
    Sleep,
    Refuse,
}

impl Conduct {
    /// Does it; true where the component refuses.
    pub fn act(&self) -> bool {
        match self {
            Conduct::Behave => false,
            Conduct::Trap => panic!("this component traps where its stamp says"),
            Conduct::Loop => loop {
                std::hint::spin_loop();
            },
            Conduct::Sleep => {
                std::thread::sleep(std::time::Duration::from_secs(3600));
                false
            }
            Conduct::Refuse => true,
        }
    }
}

/// Pads the JSON of a stamp to its length, behind the marker by which a test finds it.
pub const fn blank(marked: &[u8]) -> [u8; LENGTH] {
    let mut bytes = [b' '; LENGTH];
    let mut index = 0;
    while index < marked.len() {
        bytes[index] = marked[index];
        index += 1;
    }
    bytes
}

pub fn read(bytes: &'static [u8; LENGTH]) -> Stamp {
    // Through `black_box`, or the compiler would compute with the bytes that it knows.
    let bytes = std::hint::black_box(bytes);
    let json = bytes.iter().position(|&byte| byte == b'{').expect("a stamp holds JSON");
    serde_json::from_slice(&bytes[json..]).expect("a stamp holds JSON")
}

pub fn manifest(stamp: Stamp) -> Manifest {
    stamp.in_describe.act();
    Manifest {
        name: stamp.name,
        version: stamp.version,
        description: "A component of the system tests".to_owned(),
        settings_schema: stamp.settings_schema.unwrap_or_else(|| "{}".to_owned()),
    }
}

/// `plugway_sdk::export!` with the name and version of the stamp.
#[macro_export]
macro_rules! export {
    ($plugin:ty as $name:literal: $($kind:ident),+) => {
        #[allow(unsafe_code)]
        mod __plugway {
            use super::*;
            use ::plugway_sdk::export as sdk;

            #[used]
            static STAMP: [u8; $crate::LENGTH] = $crate::blank(
                concat!("stamp of a plugway test guest:{\"name\":\"", $name, "\",\"version\":\"1.0.0\"}").as_bytes(),
            );
            static CONFIGURED: ::std::sync::OnceLock<$plugin> = ::std::sync::OnceLock::new();

            fn configured() -> &'static $plugin {
                CONFIGURED.get().expect("the host calls configure before anything else")
            }

            pub struct Component;

            impl ::plugway_sdk::bindings::plugin::exports::plugway::plugin::lifecycle::Guest for Component {
                fn describe() -> ::plugway_sdk::bindings::plugin::exports::plugway::plugin::lifecycle::Manifest {
                    $crate::manifest($crate::read(&STAMP))
                }

                fn configure(settings: String) -> Result<(), ::plugway_sdk::Problem> {
                    let stamp = $crate::read(&STAMP);
                    if stamp.in_configure.act() {
                        return Err(::plugway_sdk::Problem::invalid("this component takes no settings at all"));
                    }
                    let plugin = sdk::configure::<$plugin>(&settings)?;
                    let _ = CONFIGURED.set(plugin);
                    Ok(())
                }
            }

            #[allow(dead_code, reason = "only some components ask again")]
            pub(super) fn stamp() -> $crate::Stamp {
                $crate::read(&STAMP)
            }

            ::plugway_sdk::bindings::plugin::export!(Component with_types_in ::plugway_sdk::bindings::plugin);
            $(::plugway_sdk::__export_kind!($kind);)+
        }
    };
}
