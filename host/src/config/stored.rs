//! Providers that came through the admin API: blocks of the same shape as the file's, from a request or from the store,
//! and what operators are shown of either.

use super::meant::{Config, Owner, PluginRequest, Provider, Shown};
use super::mistakes::{At, Mistake, Mistakes};
use super::outgoing::MASK;
use super::reader::{Reader, Typed};
use super::typed::ProviderSection;
use super::{Loaded, environment, provider, routing, yaml};
use semver::VersionReq;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// A provider's block, without its name.
pub type Block = Map<String, Value>;

type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// What the store holds. It has secrets in it, and so no `Debug`.
#[derive(Clone, Default)]
pub struct Stored {
    /// By name; or why a block cannot be read.
    pub blocks: BTreeMap<String, Result<Block, String>>,
    /// Why the store cannot be read at all.
    pub trouble: Option<String>,
}

impl Config {
    /// The file's providers and the store's beside them. Where both have one of a name, the file's serves. What is wrong
    /// with one of the store's harms no other.
    pub fn with_stored(&self, stored: &Stored) -> Loaded {
        self.with_stored_in(stored, &environment)
    }

    pub(super) fn with_stored_in(&self, stored: &Stored, env: Environment<'_>) -> Loaded {
        let mut config = Config { store_trouble: stored.trouble.clone(), ..self.clone() };
        let mut warnings = Vec::new();
        for (name, block) in &stored.blocks {
            if let Some(shown) = config.shown.get_mut(name) {
                shown.hides_stored = true;
                warnings.push(format!(
                    "api: providers.{name}: the configuration file has a provider of this name too, which serves; \
                     DELETE /api/providers removes the stored one"
                ));
                continue;
            }
            let read = block.as_ref().map_err(Clone::clone).and_then(|block| {
                read(name, block, Secrets::Taken, env).map_err(|Mistakes(mistakes)| {
                    mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
                })
            });
            let (provider, shown) = match read {
                Ok(Read { provider, shown, warnings: of_block }) => {
                    warnings.extend(of_block.into_iter().map(|warning| format!("api: providers.{name}: {warning}")));
                    (provider, Shown { block: Some(shown), hides_stored: false })
                }
                Err(reason) => (unusable(name, reason, env), Shown::default()),
            };
            config.providers.insert(name.clone(), Arc::new(provider));
            config.shown.insert(name.clone(), shown);
        }
        warnings.extend(routing::unknown_addresses(&config));
        Loaded { config, warnings }
    }
}

struct Read {
    provider: Provider,
    /// The block with masks.
    shown: Block,
    warnings: Vec<String>,
}

/// What becomes of secrets that stand in a block themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrets {
    Taken,
    /// Nothing says how to encrypt them.
    Refused,
}

/// All that is wrong is told by its path in the block.
fn read(name: &str, block: &Block, secrets: Secrets, env: Environment<'_>) -> Result<Read, Mistakes> {
    let mut reader = Reader::new(Path::new(""), env);
    reader.owner = Owner::Api;
    let mut value = Value::Object(block.clone());
    let section = ProviderSection::read(&value, &At::default(), &mut reader).unwrap_or_default();
    let provider = provider::provider(name.to_owned(), section, &mut reader);
    mask(&mut value, reader.secrets());
    if secrets == Secrets::Refused {
        for at in reader.secrets().to_vec() {
            reader
                .mistake(&at, "is a secret, and nothing says how to encrypt it: write env.NAME, or set encryption_key");
        }
    }
    let warnings = reader.finish().map_err(at_its_name)?;
    let shown = value.as_object().cloned().unwrap_or_default();
    match provider {
        Some(provider) => Ok(Read { provider, shown, warnings }),
        None => Err(Mistakes(vec![mistake(PROVIDER_NAME, "cannot be read")])),
    }
}

/// What is wrong with a block as a whole is wrong with its name.
fn at_its_name(Mistakes(mut mistakes): Mistakes) -> Mistakes {
    let whole = At::default().to_string();
    for mistake in mistakes.iter_mut().filter(|mistake| mistake.path == whole) {
        mistake.path = PROVIDER_NAME.to_owned();
    }
    Mistakes(mistakes)
}

/// What is wrong with a block.
pub fn read_block(name: &str, block: &Block, secrets: Secrets) -> Result<(), Mistakes> {
    read(name, block, secrets, &environment).map(|_| ())
}

/// In the place of one that cannot be read, so that its callers are told that it is out of use rather than that there is
/// none.
fn unusable(name: &str, reason: String, env: Environment<'_>) -> Provider {
    let mut reader = Reader::new(Path::new(""), env);
    let no_plugin = PluginRequest { name: "none".to_owned(), versions: VersionReq::STAR };
    let section = ProviderSection { plugin: Some(no_plugin), ..ProviderSection::default() };
    let provider = provider::provider(name.to_owned(), section, &mut reader).expect("a section with a plugin is one");
    Provider { owner: Owner::Api, unusable: Some(reason), ..provider }
}

/// What operators are shown of a file's providers.
pub(super) fn shown(mut file: Value, reader: &Reader<'_>) -> BTreeMap<String, Shown> {
    mask(&mut file, reader.secrets());
    let Some(Value::Object(providers)) = file.get_mut("providers").map(Value::take) else { return BTreeMap::new() };
    let block = |value: Value| value.as_object().cloned().unwrap_or_default();
    providers
        .into_iter()
        .map(|(name, value)| (name, Shown { block: Some(block(value)), hides_stored: false }))
        .collect()
}

fn mask(value: &mut Value, secrets: &[At]) {
    for at in secrets {
        if let Some(secret) = at.find(value) {
            *secret = MASK.into();
        }
    }
}

/// The member of a request that names the provider.
pub const PROVIDER_NAME: &str = "provider";
/// What an answer has beside the block, so that it can be sent back as it came.
const ONLY_SHOWN: [&str; 4] = ["source", "state", "trouble", "hides_stored"];

/// The provider that a request's body describes. `addressed` is its name where the address says it.
pub fn submitted(body: &[u8], addressed: Option<&str>) -> Result<(String, Block), Mistakes> {
    let wrong = |message: String| Mistakes(vec![mistake("body", message)]);
    let text = std::str::from_utf8(body).map_err(|_| wrong("is not UTF-8".to_owned()))?;
    let value: Value = serde_json::from_str(text).map_err(|error| wrong(format!("is not JSON: {error}")))?;
    let Value::Object(mut block) = value else {
        return Err(wrong("must be an object: a provider's block, with its name as `provider`".to_owned()));
    };
    if let Some(fault) = yaml::duplicate_key(text) {
        return Err(Mistakes(vec![mistake(&fault.at.to_string(), fault.message)]));
    }
    for name in ONLY_SHOWN {
        block.remove(name);
    }
    let named = block.remove(PROVIDER_NAME);
    let message = match (named, addressed) {
        (Some(Value::String(name)), None) => return Ok((name, block)),
        (Some(Value::String(name)), Some(addressed)) if name == addressed => return Ok((name, block)),
        (None, Some(addressed)) => return Ok((addressed.to_owned(), block)),
        (Some(_), Some(_)) => "is not the name in the address; a provider is renamed by making a new one",
        (Some(_), None) => "must be a string: the name of the provider",
        (None, None) => "is missing; it names the provider",
    };
    // Whatever else is wrong is told along with it.
    let rest = read("unnamed", &block, Secrets::Taken, &environment).err().filter(|_| addressed.is_none());
    let rest = rest.into_iter().flat_map(|Mistakes(mistakes)| mistakes);
    Err(Mistakes([mistake(PROVIDER_NAME, message)].into_iter().chain(rest).collect()))
}

fn mistake(path: &str, message: impl Into<String>) -> Mistake {
    Mistake { path: path.to_owned(), line: None, message: message.into() }
}

/// Puts the secrets of the block that is replaced where the new one has their masks, or a key of the same name without a
/// value: who was shown a block can send it back.
pub fn keep_secrets(block: &mut Block, replaced: &Block) {
    for (name, value) in block.iter_mut() {
        match (name.as_str(), value, replaced.get(name)) {
            ("keys", Value::Array(keys), Some(Value::Array(replaced))) => keep_keys(keys, replaced),
            (_, value, Some(replaced)) => keep(value, replaced),
            (_, _, None) => {}
        }
    }
}

fn keep(value: &mut Value, replaced: &Value) {
    match (value, replaced) {
        (Value::Object(members), Value::Object(replaced)) => {
            for (name, value) in members {
                if let Some(replaced) = replaced.get(name) {
                    keep(value, replaced);
                }
            }
        }
        (value, Value::String(secret)) if *value == MASK => *value = Value::String(secret.clone()),
        _ => {}
    }
}

/// Keys are the same where their names are, in whatever order.
fn keep_keys(keys: &mut [Value], replaced: &[Value]) {
    for (index, key) in keys.iter_mut().enumerate() {
        let name = key_name(index, key);
        let same = replaced.iter().enumerate().find(|(index, key)| key_name(*index, key) == name);
        let (Some((_, same)), Value::Object(members)) = (same, &mut *key) else { continue };
        if members.get("value").is_none_or(Value::is_null)
            && let Some(secret) = same.get("value")
        {
            members.insert("value".to_owned(), secret.clone());
        }
        keep(key, same);
    }
}

fn key_name(index: usize, key: &Value) -> String {
    let name = key.get("name").and_then(Value::as_str);
    name.map_or_else(|| provider::default_key_name(index), str::to_owned)
}
