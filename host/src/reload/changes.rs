//! Changes that come through the admin API: one at a time, like those on disk, and each of them whole or not at all.

use super::Reloader;
use crate::config::{self, Block, Loaded, Mistake, Mistakes, Stored};
use crate::snapshot::{Snapshot, Trouble};
use crate::store::StoreError;
use crate::telemetry::ReloadOutcome;
use std::sync::Arc;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

/// More providers than that are a mistake of whoever makes them.
const MOST_STORED: usize = 1000;

pub enum Change {
    Create {
        name: String,
        block: Block,
    },
    /// One that is there, or a new one.
    Replace {
        name: String,
        block: Block,
    },
    Remove {
        name: String,
    },
}

/// Why a change was not made. Nothing has changed then, neither what serves nor what is stored.
#[derive(Debug, Error)]
pub enum Refusal {
    #[error("there is a provider `{0}` already; PUT replaces it")]
    Exists(String),
    #[error("the provider `{0}` is in the configuration file, which wins; change it there")]
    InFile(String),
    #[error("there is no provider `{0}`")]
    Missing(String),
    #[error("{0}")]
    Wrong(Mistakes),
    /// The block is right, but what it asks for would not work.
    #[error("{0}")]
    Unusable(Mistakes),
    #[error("the store holds {MOST_STORED} providers already")]
    Full,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("changes are no longer taken; restart the gateway")]
    Stopped,
}

/// A change, and where to say what became of it.
pub struct Asked {
    change: Change,
    answer: oneshot::Sender<Result<(), Refusal>>,
}

/// The way to the one who makes changes.
#[derive(Clone)]
pub struct Changes(mpsc::Sender<Asked>);

impl Changes {
    pub(super) fn new(queue: usize) -> (Self, mpsc::Receiver<Asked>) {
        let (sender, asked) = mpsc::channel(queue);
        (Changes(sender), asked)
    }

    /// When this returns well, new requests are served with the change, and it is on the disk.
    pub async fn make(&self, change: Change) -> Result<(), Refusal> {
        let (answer, outcome) = oneshot::channel();
        self.0.send(Asked { change, answer }).await.map_err(|_| Refusal::Stopped)?;
        outcome.await.unwrap_or(Err(Refusal::Stopped))
    }
}

impl Reloader {
    pub(super) async fn take_change(&mut self, Asked { change, answer }: Asked) {
        // Who has gone before it began is not waiting for it.
        if answer.is_closed() {
            return;
        }
        let outcome = match change {
            Change::Create { name, block } => self.create(name, block).await,
            Change::Replace { name, block } => self.replace(name, block).await,
            Change::Remove { name } => self.remove_stored(name).await,
        };
        if let Err(refusal @ Refusal::Store(_)) = &outcome {
            tracing::error!("a change through the admin API was not made: {refusal}");
        }
        // It is made, whether or not somebody still waits.
        let _ = answer.send(outcome);
    }

    async fn create(&mut self, name: String, block: Block) -> Result<(), Refusal> {
        self.not_in_file(&name)?;
        match self.stored.blocks.contains_key(&name) {
            true => Err(Refusal::Exists(name)),
            false if self.stored.blocks.len() >= MOST_STORED => Err(Refusal::Full),
            false => self.keep(name, block).await,
        }
    }

    async fn replace(&mut self, name: String, mut block: Block) -> Result<(), Refusal> {
        self.not_in_file(&name)?;
        match self.stored.blocks.get(&name) {
            Some(Ok(replaced)) => config::keep_secrets(&mut block, replaced),
            Some(Err(_)) => {}
            None => return self.create(name, block).await,
        }
        self.keep(name, block).await
    }

    fn not_in_file(&self, name: &str) -> Result<(), Refusal> {
        match self.from_file.providers.contains_key(name) {
            true => Err(Refusal::InFile(name.to_owned())),
            false => Ok(()),
        }
    }

    async fn keep(&mut self, name: String, block: Block) -> Result<(), Refusal> {
        config::read_block(&name, &block, self.store.secrets()).map_err(Refusal::Wrong)?;
        let mut stored = self.stored.clone();
        stored.blocks.insert(name.clone(), Ok(block.clone()));
        let next = self.prepare(&stored, &name).await?;
        self.store.put(&name, &block)?;
        self.swap_stored(stored, next);
        tracing::info!("the provider {name} was set through the admin API");
        Ok(())
    }

    /// Also one that the file's hides: then only the stored one goes.
    async fn remove_stored(&mut self, name: String) -> Result<(), Refusal> {
        let mut stored = self.stored.clone();
        if stored.blocks.remove(&name).is_none() {
            self.not_in_file(&name)?;
            return Err(Refusal::Missing(name));
        }
        let next = self.prepare(&stored, &name).await?;
        self.store.remove(&name)?;
        self.swap_stored(stored, next);
        tracing::info!("the provider {name} was removed through the admin API");
        Ok(())
    }

    /// The next generation, if it is as good as the one that serves and the provider that was set works in it.
    async fn prepare(&self, stored: &Stored, name: &str) -> Result<Snapshot, Refusal> {
        let Loaded { config, warnings } = self.from_file.with_stored(stored);
        let place = config.providers.get(name).map(|provider| provider.place());
        let is_own = |trouble: &Trouble| place.as_ref() == Some(&trouble.of);
        let next = self.build(Some(Arc::new(config)), self.files.plugins()).await;
        let others = self.added_troubles(&next).into_iter().filter(|trouble| !is_own(trouble));
        let own = next.troubles.iter().filter(|trouble| is_own(trouble));
        let mistakes: Vec<Mistake> = own.map(in_its_block).chain(others.map(elsewhere)).collect();
        if !mistakes.is_empty() {
            return Err(Refusal::Unusable(Mistakes(mistakes)));
        }
        for warning in warnings.iter().filter(|warning| place.as_ref().is_some_and(|place| warning.starts_with(place)))
        {
            tracing::warn!("{warning}");
        }
        Ok(next)
    }

    fn swap_stored(&mut self, stored: Stored, next: Snapshot) {
        self.stored = stored;
        self.swap(next);
        self.metrics.reload(ReloadOutcome::Swapped);
        // What did not fit may fit now.
        self.files.look_again();
    }
}

/// By its place in the block, as what is wrong with the block is told.
fn in_its_block(trouble: &Trouble) -> Mistake {
    let path = if trouble.at.is_empty() { config::PROVIDER_NAME } else { &trouble.at };
    Mistake { path: path.to_owned(), line: None, message: trouble.message.clone() }
}

fn elsewhere(trouble: Trouble) -> Mistake {
    Mistake { path: trouble.path(), line: None, message: trouble.message }
}
