//! What both programs of this crate measure in: the contract's bindings, and an engine and surroundings of a guest that
//! are set up as the gateway's, as far as that decides how fast code runs (`host/src/plugins/engine.rs`).

pub mod bindings;
pub mod guest;
