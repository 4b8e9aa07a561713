//! What stands between the traits and the generated bindings. [`export!`](crate::export!) is the only user.

use crate::bindings::format_client::exports::plugway::format::client as wit_client;
use crate::bindings::format_upstream::exports::plugway::format::upstream as wit_upstream;
use crate::bindings::plugin::exports::plugway::plugin::lifecycle::Manifest;
use crate::bindings::policy::exports::plugway::policy::policy as wit_policy;
use crate::{
    Capabilities, ClientFormat, Context, Event, Plugin, Policy, Problem, Progress, Provider, StreamState,
    UpstreamFormat,
};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Makes a component of a type: `export!(MyType: provider, format_upstream, format_client, headers, policy)`, with the
/// kinds that it implements. The plugin's name and version are those of its `Cargo.toml`.
///
/// ```
/// use plugway_sdk::{Header, HeaderTemplates, NoSettings, Plugin, Problem, Variable};
///
/// /// Values are taken as they are.
/// struct Verbatim;
///
/// impl Plugin for Verbatim {
///     type Settings = NoSettings;
///     const DESCRIPTION: &'static str = "Header values without templates";
///
///     fn new(_: NoSettings) -> Result<Self, Problem> {
///         Ok(Verbatim)
///     }
/// }
///
/// impl HeaderTemplates for Verbatim {
///     fn variables(&self, _template: &str) -> Result<Vec<String>, Problem> {
///         Ok(Vec::new())
///     }
///
///     fn render(&self, templates: Vec<Header>, _variables: &[Variable]) -> Result<Vec<Header>, Problem> {
///         Ok(templates)
///     }
/// }
///
/// plugway_sdk::export!(Verbatim: headers);
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! export {
    ($plugin:ty: $($kind:ident),+ $(,)?) => {
        #[doc(hidden)]
        #[allow(unsafe_code, clippy::all)]
        mod __plugway {
            use super::*;
            use $crate::export as sdk;

            static CONFIGURED: ::std::sync::OnceLock<$plugin> = ::std::sync::OnceLock::new();

            fn configured() -> &'static $plugin {
                CONFIGURED.get().expect("the host calls configure before anything else")
            }

            pub struct Component;

            impl $crate::bindings::plugin::exports::plugway::plugin::lifecycle::Guest for Component {
                fn describe() -> $crate::bindings::plugin::exports::plugway::plugin::lifecycle::Manifest {
                    sdk::manifest::<$plugin>(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
                }

                fn configure(settings: String) -> Result<(), $crate::Problem> {
                    let plugin = sdk::configure::<$plugin>(&settings)?;
                    // A second call brings the same settings, so the first value is as good.
                    let _ = CONFIGURED.set(plugin);
                    Ok(())
                }
            }

            // Outside of a component nothing calls the plugin, which is no reason to warn its author.
            #[cfg(not(target_arch = "wasm32"))]
            const _: fn(<$plugin as $crate::Plugin>::Settings) -> Result<$plugin, $crate::Problem> =
                <$plugin as $crate::Plugin>::new;

            // Native tests call the traits; the names of a component's exports are none that a native linker takes.
            #[cfg(target_arch = "wasm32")]
            $crate::bindings::plugin::export!(Component with_types_in $crate::bindings::plugin);

            $($crate::__export_kind!($kind);)+
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export_kind {
    (provider) => {
        impl $crate::bindings::provider::exports::plugway::provider::provider::Guest for Component {
            fn get_capabilities() -> $crate::Capabilities {
                sdk::capabilities(CONFIGURED.get())
            }

            fn plan(call: $crate::Call) -> Result<$crate::Step, $crate::Problem> {
                $crate::Provider::plan(configured(), &call)
            }

            fn resume(state: String, reply: Option<$crate::HttpReply>) -> Result<$crate::Step, $crate::Problem> {
                $crate::Provider::resume(configured(), state, reply)
            }
        }

        #[cfg(target_arch = "wasm32")]
        $crate::bindings::provider::export!(Component with_types_in $crate::bindings::provider);
    };
    (format_upstream) => {
        impl $crate::bindings::format_upstream::exports::plugway::format::upstream::Guest for Component {
            fn dialect() -> String {
                sdk::upstream_dialect(configured())
            }

            fn encode_request(
                operation: String,
                model: String,
                body: String,
            ) -> Result<$crate::Translated, $crate::Problem> {
                $crate::UpstreamFormat::encode_request(configured(), &operation, &model, &body)
            }

            fn decode_reply(operation: String, body: String) -> Result<String, $crate::Problem> {
                $crate::UpstreamFormat::decode_reply(configured(), &operation, &body)
            }

            fn decode_problem(status: u16, headers: Vec<$crate::Header>, body: String) -> $crate::Problem {
                $crate::UpstreamFormat::decode_problem(configured(), status, &headers, &body)
            }

            fn decode_events(
                operation: String,
                state: String,
                events: Vec<$crate::Event>,
                end: bool,
            ) -> Result<
                $crate::bindings::format_upstream::exports::plugway::format::upstream::Decoded,
                $crate::Problem,
            > {
                sdk::decode_events(configured(), &operation, &state, &events, end)
            }
        }

        #[cfg(target_arch = "wasm32")]
        $crate::bindings::format_upstream::export!(Component with_types_in $crate::bindings::format_upstream);
    };
    (format_client) => {
        impl $crate::bindings::format_client::exports::plugway::format::client::Guest for Component {
            fn dialect() -> String {
                sdk::client_dialect(configured())
            }

            fn routes() -> Vec<$crate::Route> {
                $crate::ClientFormat::routes(configured())
            }

            fn decode_request(
                operation: String,
                model: String,
                streaming: bool,
                body: String,
            ) -> Result<$crate::Translated, $crate::Problem> {
                $crate::ClientFormat::decode_request(configured(), &operation, &model, streaming, &body)
            }

            fn encode_reply(operation: String, body: String) -> Result<String, $crate::Problem> {
                $crate::ClientFormat::encode_reply(configured(), &operation, &body)
            }

            fn encode_events(
                operation: String,
                state: String,
                chunks: Vec<String>,
                progress: $crate::Progress,
            ) -> Result<$crate::bindings::format_client::exports::plugway::format::client::Encoded, $crate::Problem>
            {
                sdk::encode_events(configured(), &operation, &state, &chunks, &progress)
            }

            fn encode_problem(status: u16, problem: $crate::Problem, request_id: String) -> String {
                $crate::ClientFormat::encode_problem(configured(), status, &problem, &request_id)
            }
        }

        #[cfg(target_arch = "wasm32")]
        $crate::bindings::format_client::export!(Component with_types_in $crate::bindings::format_client);
    };
    (headers) => {
        impl $crate::bindings::headers::exports::plugway::headers::headers::Guest for Component {
            fn variables(template: String) -> Result<Vec<String>, $crate::Problem> {
                $crate::HeaderTemplates::variables(configured(), &template)
            }

            fn render(
                templates: Vec<$crate::Header>,
                variables: Vec<$crate::Variable>,
            ) -> Result<Vec<$crate::Header>, $crate::Problem> {
                $crate::HeaderTemplates::render(configured(), templates, &variables)
            }
        }

        #[cfg(target_arch = "wasm32")]
        $crate::bindings::headers::export!(Component with_types_in $crate::bindings::headers);
    };
    (policy) => {
        impl $crate::bindings::policy::exports::plugway::policy::policy::Guest for Component {
            fn get_phases() -> $crate::Phases {
                $crate::Policy::phases(configured())
            }

            fn review_request(context: $crate::Context, body: String) -> Result<$crate::Verdict, $crate::Problem> {
                $crate::Policy::review_request(configured(), &context, &body)
            }

            fn review_reply(context: $crate::Context, body: String) -> Result<$crate::Verdict, $crate::Problem> {
                $crate::Policy::review_reply(configured(), &context, &body)
            }

            fn review_chunks(
                context: $crate::Context,
                state: String,
                chunks: Vec<String>,
                end: bool,
            ) -> Result<$crate::bindings::policy::exports::plugway::policy::policy::Reviewed, $crate::Problem> {
                sdk::review_chunks(configured(), &context, &state, chunks, end)
            }
        }

        #[cfg(target_arch = "wasm32")]
        $crate::bindings::policy::export!(Component with_types_in $crate::bindings::policy);
    };
}

pub fn manifest<P: Plugin>(name: &str, version: &str) -> Manifest {
    Manifest {
        name: name.to_owned(),
        version: version.to_owned(),
        description: P::DESCRIPTION.to_owned(),
        settings_schema: P::settings_schema().to_string(),
    }
}

pub fn configure<P: Plugin>(settings: &str) -> Result<P, Problem> {
    crate::log::report_panics();
    P::new(read_settings(settings)?)
}

/// Mistakes are told with the path of the member, as operators know it; line and column would be those of a text that
/// only the host has seen.
fn read_settings<S: DeserializeOwned>(settings: &str) -> Result<S, Problem> {
    let settings: Value = serde_json::from_str(settings).map_err(|error| Problem::invalid(error.to_string()))?;
    serde_path_to_error::deserialize(settings).map_err(|error| {
        let path = error.path().to_string();
        match path.as_str() {
            "." => Problem::invalid(error.into_inner().to_string()),
            _ => Problem::invalid(format!("{path}: {}", error.into_inner())).at(path),
        }
    })
}

/// Before it is configured, a provider can say which presets it has, and nothing else.
pub fn capabilities<P: Provider>(configured: Option<&P>) -> Capabilities {
    let capabilities = configured.map_or_else(|| Capabilities::of(std::iter::empty::<String>()), P::capabilities);
    Capabilities { presets: P::presets(), ..capabilities }
}

pub fn upstream_dialect<P: UpstreamFormat>(_: &P) -> String {
    P::DIALECT.to_owned()
}

pub fn client_dialect<P: ClientFormat>(_: &P) -> String {
    P::DIALECT.to_owned()
}

/// Events one by one, up to the first that ends the stream; so that no result can depend on the batching.
pub fn decode_events<P: UpstreamFormat>(
    plugin: &P,
    operation: &str,
    state: &str,
    events: &[Event],
    end: bool,
) -> Result<wit_upstream::Decoded, Problem> {
    let mut state: P::State = restore(state)?;
    let mut chunks = Vec::with_capacity(events.len());
    let mut progress = Progress::Open;
    for event in events {
        progress = settle(plugin.decode_event(operation, &mut state, event, &mut chunks));
        if !matches!(progress, Progress::Open) {
            break;
        }
    }
    if end && matches!(progress, Progress::Open) {
        progress = settle(plugin.decode_end(operation, &mut state, &mut chunks));
    }
    Ok(wit_upstream::Decoded { state: state.save()?, chunks, progress })
}

/// A problem with one event must not take the chunks before it along.
fn settle(progress: Result<Progress, Problem>) -> Progress {
    progress.unwrap_or_else(Progress::Failed)
}

pub fn encode_events<P: ClientFormat>(
    plugin: &P,
    operation: &str,
    state: &str,
    chunks: &[String],
    progress: &Progress,
) -> Result<wit_client::Encoded, Problem> {
    let mut state: P::State = restore(state)?;
    let mut events = Vec::with_capacity(chunks.len());
    for chunk in chunks {
        plugin.encode_chunk(operation, &mut state, chunk, &mut events)?;
    }
    match progress {
        Progress::Open => {}
        Progress::Complete => plugin.encode_end(operation, &mut state, &mut events)?,
        Progress::Failed(problem) => plugin.encode_failure(operation, &mut state, problem, &mut events),
    }
    Ok(wit_client::Encoded { state: state.save()?, events })
}

pub fn review_chunks<P: Policy>(
    plugin: &P,
    context: &Context,
    state: &str,
    chunks: Vec<String>,
    end: bool,
) -> Result<wit_policy::Reviewed, Problem> {
    let mut state: P::State = restore(state)?;
    let mut passed = Vec::with_capacity(chunks.len());
    let mut refusal = None;
    for chunk in chunks {
        refusal = plugin.review_chunk(context, &mut state, chunk, &mut passed)?;
        if refusal.is_some() {
            break;
        }
    }
    if end && refusal.is_none() {
        refusal = plugin.review_end(context, &mut state, &mut passed)?;
    }
    Ok(wit_policy::Reviewed { state: state.save()?, chunks: passed, refusal })
}

/// A stream that has not begun has no text yet.
fn restore<S: StreamState>(state: &str) -> Result<S, Problem> {
    if state.is_empty() { Ok(S::default()) } else { S::restore(state) }
}
