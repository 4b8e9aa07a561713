//! Lines in the host's log.

pub use crate::bindings::plugin::plugway::plugin::log::Level;

/// Writes one line to the host's log, which adds the plugin's name and bounds how much it takes. Outside a component
/// (in native tests) it goes to standard error.
///
/// ```
/// plugway_sdk::log(plugway_sdk::Level::Info, "settings read");
/// ```
pub fn log(level: Level, message: &str) {
    #[cfg(target_arch = "wasm32")]
    crate::bindings::plugin::plugway::plugin::log::log(level, message);
    #[cfg(not(target_arch = "wasm32"))]
    eprintln!("{level:?}: {message}");
}

/// Makes a panic say where it happened in the host's log; without it the host sees only that the guest trapped.
#[cfg(target_arch = "wasm32")]
pub(crate) fn report_panics() {
    std::panic::set_hook(Box::new(|panic| log(Level::Error, &panic.to_string())));
}

#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn report_panics() {}
