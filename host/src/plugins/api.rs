//! What wasmtime makes of the packages under `wit/`. The types of the newest version are the host's own; an older
//! version gets a module beside this one that translates to them.

/// The contract versions that this host offers, one for each package.
pub const CONTRACTS: &[(&str, &str)] = &[
    ("plugway:plugin", "0.1.0"),
    ("plugway:provider", "0.1.0"),
    ("plugway:format", "0.1.0"),
    ("plugway:headers", "0.1.0"),
    ("plugway:policy", "0.1.0"),
    ("plugway:script", "0.1.0"),
];

pub use lifecycle::exports::plugway::plugin::lifecycle::Manifest;
pub use lifecycle::plugway::plugin::log::Level;
pub use lifecycle::plugway::plugin::types::{Event, Header, Problem, ProblemKind};

pub mod lifecycle {
    wasmtime::component::bindgen!({
        inline: "package plugway:host; world lifecycle { include plugway:plugin/plugin@0.1.0; }",
        path: ["../wit/plugin"],
        exports: { default: async },
        additional_derives: [PartialEq, serde::Serialize],
    });
}

pub mod provider {
    wasmtime::component::bindgen!({
        inline: "package plugway:host; world provider { export plugway:provider/provider@0.1.0; }",
        path: ["../wit/plugin", "../wit/provider"],
        with: { "plugway:plugin/types@0.1.0": super::lifecycle::plugway::plugin::types },
        exports: { default: async },
        additional_derives: [serde::Serialize],
    });
    pub use exports::plugway::provider::provider::*;
}

pub mod upstream {
    wasmtime::component::bindgen!({
        inline: "package plugway:host; world upstream { export plugway:format/upstream@0.1.0; }",
        path: ["../wit/plugin", "../wit/format"],
        with: { "plugway:plugin/types@0.1.0": super::lifecycle::plugway::plugin::types },
        exports: { default: async },
        additional_derives: [serde::Serialize],
    });
    pub use exports::plugway::format::upstream::Decoded;
    pub use plugway::format::types::{Progress, Translated};
}

pub mod client {
    wasmtime::component::bindgen!({
        inline: "package plugway:host; world client { export plugway:format/client@0.1.0; }",
        path: ["../wit/plugin", "../wit/format"],
        with: {
            "plugway:plugin/types@0.1.0": super::lifecycle::plugway::plugin::types,
            "plugway:format/types@0.1.0": super::upstream::plugway::format::types,
        },
        exports: { default: async },
        additional_derives: [serde::Serialize],
    });
    pub use exports::plugway::format::client::{Encoded, Place, Route};
}

pub mod headers {
    wasmtime::component::bindgen!({
        inline: "package plugway:host; world headers { export plugway:headers/headers@0.1.0; }",
        path: ["../wit/plugin", "../wit/headers"],
        with: { "plugway:plugin/types@0.1.0": super::lifecycle::plugway::plugin::types },
        exports: { default: async },
        additional_derives: [serde::Serialize],
    });
    pub use exports::plugway::headers::headers::Variable;
}

pub mod engine {
    wasmtime::component::bindgen!({
        inline: "package plugway:host; world engine { export plugway:script/engine@0.1.0; }",
        path: ["../wit/plugin", "../wit/script"],
        with: { "plugway:plugin/types@0.1.0": super::lifecycle::plugway::plugin::types },
        exports: { default: async },
    });
    pub use exports::plugway::script::engine::Kind;
}

pub mod policy {
    wasmtime::component::bindgen!({
        inline: "package plugway:host; world policy { export plugway:policy/policy@0.1.0; }",
        path: ["../wit/plugin", "../wit/policy"],
        with: { "plugway:plugin/types@0.1.0": super::lifecycle::plugway::plugin::types },
        exports: { default: async },
        additional_derives: [serde::Serialize],
    });
    pub use exports::plugway::policy::policy::{Context, Phases, Reviewed, Verdict};
}
