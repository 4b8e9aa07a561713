//! What `wit-bindgen` makes of the packages under `wit/`: one module for each interface that a plugin can export, so
//! that one component may export any set of them. Types that several packages share exist once, in [`plugin`] and
//! [`format_types`].
//!
//! Authors need none of this: the traits and types at the top of the crate, and [`export!`](crate::export), cover it.
#![allow(missing_docs, unsafe_code, unreachable_pub, clippy::all)]

pub mod plugin {
    wit_bindgen::generate!({
        inline: "package plugway:sdk; world sdk-plugin { export plugway:plugin/lifecycle@0.1.0; import plugway:plugin/types@0.1.0; import plugway:plugin/log@0.1.0; }",
        path: ["wit/plugin", "wit/provider", "wit/format", "wit/headers", "wit/policy"],
        pub_export_macro: true,
        default_bindings_module: "::plugway_sdk::bindings::plugin",
        additional_derives: [Clone, PartialEq],
        generate_all,
    });
}

pub mod provider {
    wit_bindgen::generate!({
        inline: "package plugway:sdk; world sdk-provider { export plugway:provider/provider@0.1.0; }",
        path: ["wit/plugin", "wit/provider", "wit/format", "wit/headers", "wit/policy"],
        with: {
            "plugway:plugin/types@0.1.0": crate::bindings::plugin::plugway::plugin::types,
        },
        pub_export_macro: true,
        default_bindings_module: "::plugway_sdk::bindings::provider",
        additional_derives: [Clone, PartialEq],
        generate_all,
    });
}

pub mod format_types {
    wit_bindgen::generate!({
        inline: "package plugway:sdk; world sdk-format-types { import plugway:format/types@0.1.0; }",
        path: ["wit/plugin", "wit/provider", "wit/format", "wit/headers", "wit/policy"],
        with: {
            "plugway:plugin/types@0.1.0": crate::bindings::plugin::plugway::plugin::types,
        },
        additional_derives: [Clone, PartialEq],
        generate_all,
    });
}

pub mod format_upstream {
    wit_bindgen::generate!({
        inline: "package plugway:sdk; world sdk-format-upstream { export plugway:format/upstream@0.1.0; }",
        path: ["wit/plugin", "wit/provider", "wit/format", "wit/headers", "wit/policy"],
        with: {
            "plugway:plugin/types@0.1.0": crate::bindings::plugin::plugway::plugin::types,
            "plugway:format/types@0.1.0": crate::bindings::format_types::plugway::format::types,
        },
        pub_export_macro: true,
        default_bindings_module: "::plugway_sdk::bindings::format_upstream",
        additional_derives: [Clone, PartialEq],
        generate_all,
    });
}

pub mod format_client {
    wit_bindgen::generate!({
        inline: "package plugway:sdk; world sdk-format-client { export plugway:format/client@0.1.0; }",
        path: ["wit/plugin", "wit/provider", "wit/format", "wit/headers", "wit/policy"],
        with: {
            "plugway:plugin/types@0.1.0": crate::bindings::plugin::plugway::plugin::types,
            "plugway:format/types@0.1.0": crate::bindings::format_types::plugway::format::types,
        },
        pub_export_macro: true,
        default_bindings_module: "::plugway_sdk::bindings::format_client",
        additional_derives: [Clone, PartialEq],
        generate_all,
    });
}

pub mod headers {
    wit_bindgen::generate!({
        inline: "package plugway:sdk; world sdk-headers { export plugway:headers/headers@0.1.0; }",
        path: ["wit/plugin", "wit/provider", "wit/format", "wit/headers", "wit/policy"],
        with: {
            "plugway:plugin/types@0.1.0": crate::bindings::plugin::plugway::plugin::types,
        },
        pub_export_macro: true,
        default_bindings_module: "::plugway_sdk::bindings::headers",
        additional_derives: [Clone, PartialEq],
        generate_all,
    });
}

pub mod policy {
    wit_bindgen::generate!({
        inline: "package plugway:sdk; world sdk-policy { export plugway:policy/policy@0.1.0; }",
        path: ["wit/plugin", "wit/provider", "wit/format", "wit/headers", "wit/policy"],
        with: {
            "plugway:plugin/types@0.1.0": crate::bindings::plugin::plugway::plugin::types,
        },
        pub_export_macro: true,
        default_bindings_module: "::plugway_sdk::bindings::policy",
        additional_derives: [Clone, PartialEq],
        generate_all,
    });
}
