//! One module for each kind, as a component exports any set of them (`host/src/plugins/api.rs`).

pub mod lifecycle {
    wasmtime::component::bindgen!({
        inline: "package plugway:bench; world lifecycle { include plugway:plugin/plugin@0.1.0; }",
        path: ["../../wit/plugin"],
        exports: { default: async },
    });
}

pub mod provider {
    wasmtime::component::bindgen!({
        inline: "package plugway:bench; world provider { export plugway:provider/provider@0.1.0; }",
        path: ["../../wit/plugin", "../../wit/provider"],
        with: { "plugway:plugin/types@0.1.0": super::lifecycle::plugway::plugin::types },
        exports: { default: async },
    });
}

pub mod upstream {
    wasmtime::component::bindgen!({
        inline: "package plugway:bench; world upstream { export plugway:format/upstream@0.1.0; }",
        path: ["../../wit/plugin", "../../wit/format"],
        with: { "plugway:plugin/types@0.1.0": super::lifecycle::plugway::plugin::types },
        exports: { default: async },
    });
}

pub mod client {
    wasmtime::component::bindgen!({
        inline: "package plugway:bench; world client { export plugway:format/client@0.1.0; }",
        path: ["../../wit/plugin", "../../wit/format"],
        with: {
            "plugway:plugin/types@0.1.0": super::lifecycle::plugway::plugin::types,
            "plugway:format/types@0.1.0": super::upstream::plugway::format::types,
        },
        exports: { default: async },
    });
}

pub mod script {
    wasmtime::component::bindgen!({
        inline: "package plugway:bench; world engine { export plugway:script/engine@0.1.0; }",
        path: ["../../wit/plugin", "../../wit/script"],
        with: { "plugway:plugin/types@0.1.0": super::lifecycle::plugway::plugin::types },
        exports: { default: async },
    });
}

pub const CHAT: &str = "chat_completion";

pub fn refused(problem: lifecycle::plugway::plugin::types::Problem) -> anyhow::Error {
    anyhow::anyhow!("refused: {}", problem.message)
}
