//! Plugins that are scripts: a file that is no component, and the engine that runs it.

use super::api::engine::Kind as ScriptKind;
use super::fault::Fault;
use super::inspect::Kind;
use super::load::{LoadError, Runtime};
use super::plugin::{Found, Live, Plugin, stem, within};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// More would be no script but a library.
const MAX_SCRIPT_BYTES: usize = 2 * 1024 * 1024;

/// What an engine is given in each of its instances that is to be this plugin.
pub struct Script {
    source: String,
    pub engine: RunBy,
}

/// The engine that a script was loaded with, for those who want to know.
#[derive(Clone, Debug)]
pub struct RunBy {
    /// Name and version.
    pub name: String,
    pub digest: String,
    pub file: PathBuf,
}

impl Runtime {
    /// Makes a plugin of a script, with an engine that runs files of its extension.
    pub async fn load_script(
        &self,
        engine: &Plugin,
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
        let run_by = RunBy { name: format!("{engine:?}"), digest: engine.digest.clone(), file: engine.file.clone() };
        let found = Found::new(file, source.as_bytes(), generation);
        let mut plugin = Plugin::nameless(found, engine.shape.clone(), engine.mould.clone());
        plugin.script = Some(Script { source: source.to_owned(), engine: run_by });
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
        let name = stem(&self.file);
        let loading = engine.plugway_script_engine().call_load(&mut live.store, &name, &script.source);
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
