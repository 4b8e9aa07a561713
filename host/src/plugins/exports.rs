//! What a component exports, by kind. `bindgen!` wants all of a world or nothing, and a component is of any set of kinds.

use super::api::{client, engine, headers, lifecycle, policy, provider, upstream};
use super::guest::Guest;
use super::inspect::{Kind, Shape};
use wasmtime::Store;
use wasmtime::component::{Instance, InstancePre};

macro_rules! exports {
    ($($field:ident: $module:ident :: $world:ident, $indices:ident, $kind:ident);+ $(;)?) => {
        /// What an instance exports, by kind.
        pub(super) struct Exports {
            pub lifecycle: lifecycle::Lifecycle,
            $(pub $field: Option<$module::$world>),+
        }

        /// Where in a component its exports are; found once for all instances.
        pub(super) struct Indices {
            lifecycle: lifecycle::LifecycleIndices,
            $($field: Option<$module::$indices>),+
        }

        impl Indices {
            /// Looks for the kinds that the component exports, each on its own.
            pub(super) fn find(pre: &InstancePre<Guest>, shape: &Shape) -> wasmtime::Result<Self> {
                Ok(Indices {
                    lifecycle: lifecycle::LifecycleIndices::new(pre)?,
                    $($field: match shape.kinds.contains(&Kind::$kind) {
                        true => Some($module::$indices::new(pre)?),
                        false => None,
                    }),+
                })
            }

            pub(super) fn load(&self, store: &mut Store<Guest>, instance: &Instance) -> wasmtime::Result<Exports> {
                Ok(Exports {
                    lifecycle: self.lifecycle.load(&mut *store, instance)?,
                    $($field: match &self.$field {
                        Some(indices) => Some(indices.load(&mut *store, instance)?),
                        None => None,
                    }),+
                })
            }
        }
    };
}

exports! {
    provider: provider::Provider, ProviderIndices, Provider;
    upstream: upstream::Upstream, UpstreamIndices, FormatUpstream;
    client: client::Client, ClientIndices, FormatClient;
    headers: headers::Headers, HeadersIndices, Headers;
    policy: policy::Policy, PolicyIndices, Policy;
    engine: engine::Engine, EngineIndices, ScriptEngine;
}
