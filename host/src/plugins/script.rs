//! Plugins that are scripts: a file that is no component, and the engine that runs it.

use super::api::engine::Kind as ScriptKind;
use super::fault::Fault;
use super::inspect::Kind;
use super::plugin::{Live, LoadError, Plugin, Runtime, within};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

/// More would be no script but a library.
const MAX_SCRIPT_BYTES: usize = 2 * 1024 * 1024;

/// What an engine is given in each of its instances that is to be this plugin.
pub struct Script {
    /// Of the file, without its extension.
    name: String,
    pub(super) source: String,
    pub engine: Arc<Plugin>,
}

impl Runtime {
    /// Makes a plugin of a script, with an engine that runs files of its extension.
    pub async fn load_script(
        &self,
        engine: &Arc<Plugin>,
        file: &Path,
        source: &[u8],
        generation: u64,
    ) -> Result<Plugin, LoadError> {
        if source.len() > MAX_SCRIPT_BYTES {
            return Err(LoadError::Script(format!(
                "it has {} bytes; a script has at most {MAX_SCRIPT_BYTES}",
                source.len()
            )));
        }
        let source =
            std::str::from_utf8(source).map_err(|error| LoadError::Script(format!("it is not UTF-8: {error}")))?;
        let name = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let script = Script { name, source: source.to_owned(), engine: engine.clone() };
        let mut plugin = Plugin::of_script(script, file, generation);
        let mut live = plugin.bare_instance().await.map_err(LoadError::Describe)?;
        plugin.shape.kinds = plugin.become_script(&mut live).await.map_err(|fault| match fault {
            Fault::Script(message) => LoadError::Script(message),
            other => LoadError::Describe(other),
        })?;
        plugin.introduce(live).await?;
        Ok(plugin)
    }
}

impl Plugin {
    /// Hands the script to a new instance, which says what it is from then on.
    pub(super) async fn become_script(&self, live: &mut Live) -> Result<BTreeSet<Kind>, Fault> {
        let (Some(script), Some(engine)) = (&self.script, &live.exports.engine) else { return Ok(BTreeSet::new()) };
        live.store.data_mut().begin(0, 0);
        let loading = engine.plugway_script_engine().call_load(&mut live.store, &script.name, &script.source);
        let kinds = within(self.load_timeout(), loading).await?.map_err(|problem| Fault::Script(problem.message))?;
        Ok(kinds.into_iter().map(kind).collect())
    }

    /// The extensions of the files that it runs, if it is an engine.
    pub(super) async fn ask_extensions(&self, live: &mut Live) -> Result<Vec<String>, Fault> {
        let Some(engine) = &live.exports.engine else { return Ok(Vec::new()) };
        let asking = engine.plugway_script_engine().call_extensions(&mut live.store);
        within(self.load_timeout(), asking).await
    }
}

fn kind(kind: ScriptKind) -> Kind {
    match kind {
        ScriptKind::Provider => Kind::Provider,
        ScriptKind::FormatUpstream => Kind::FormatUpstream,
        ScriptKind::FormatClient => Kind::FormatClient,
        ScriptKind::Headers => Kind::Headers,
        ScriptKind::Policy => Kind::Policy,
    }
}
