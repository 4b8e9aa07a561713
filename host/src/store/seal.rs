//! Encryption: a key from the operator's words, and blocks under it.

use super::database::Database;
use crate::config::Passphrase;
use argon2::{Algorithm, Argon2, Block, Params, Version};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};

/// What blocks are sealed with.
pub enum Key {
    /// Nobody gave one, and nothing is sealed.
    Unneeded,
    Given(Sealer),
    /// Something is sealed, and the key to it is not here.
    Missing(String),
}

/// In front of a block that is not sealed.
const OPEN: u8 = 0;
/// In front of a nonce and a sealed block.
const SEALED: u8 = 1;

const SALT: &str = "salt";
/// Something sealed, to tell the right key from a wrong one.
const CHECK: &str = "check";
const SALT_BYTES: usize = 16;

impl Key {
    pub fn of(passphrase: Option<&Passphrase>, database: &Database) -> Result<Self, String> {
        let (salt, check) = (database.mark(SALT)?, database.mark(CHECK)?);
        Ok(match (passphrase, salt) {
            (None, None) => Key::Unneeded,
            (None, Some(_)) => {
                Key::Missing("it is encrypted; set `encryption_key` to what it was encrypted with".to_owned())
            }
            (Some(passphrase), None) => Key::Given(Sealer::new(passphrase)?),
            (Some(passphrase), Some(salt)) => {
                let sealer = Sealer { cipher: derive(passphrase, &salt)?, salt, check: check.unwrap_or_default() };
                match sealer.open(CHECK, sealer.check.clone()) {
                    Some(_) => Key::Given(sealer),
                    None => Key::Missing("it was encrypted with another `encryption_key`".to_owned()),
                }
            }
        })
    }

    /// What is kept beside the blocks, so that the same words give the same key again.
    pub fn marks(&self) -> Vec<(&'static str, &[u8])> {
        match self {
            Key::Given(sealer) => vec![(SALT, &sealer.salt), (CHECK, &sealer.check)],
            Key::Unneeded | Key::Missing(_) => Vec::new(),
        }
    }

    /// A block of this name as it is stored.
    pub fn seal(&self, name: &str, block: Vec<u8>) -> Result<Vec<u8>, String> {
        let (first, rest) = match self {
            Key::Given(sealer) => (SEALED, sealer.seal(name, block)?),
            Key::Unneeded => (OPEN, block),
            Key::Missing(reason) => return Err(reason.clone()),
        };
        Ok([vec![first], rest].concat())
    }

    pub fn open(&self, name: &str, stored: &[u8]) -> Result<Vec<u8>, String> {
        let (first, rest) = stored.split_first().unwrap_or((&OPEN, &[]));
        match (*first, self) {
            (OPEN, _) => Ok(rest.to_vec()),
            (SEALED, Key::Given(sealer)) => sealer
                .open(name, rest.to_vec())
                .ok_or_else(|| "its block in the store cannot be decrypted: somebody changed it".to_owned()),
            (SEALED, Key::Missing(reason)) => Err(format!("the store: {reason}")),
            (_, _) => Err("its block in the store was written in a way that this version does not know".to_owned()),
        }
    }
}

pub struct Sealer {
    cipher: Box<LessSafeKey>,
    salt: Vec<u8>,
    check: Vec<u8>,
}

impl Sealer {
    /// The first one of a store.
    fn new(passphrase: &Passphrase) -> Result<Self, String> {
        let salt = random::<SALT_BYTES>()?.to_vec();
        let mut sealer = Sealer { cipher: derive(passphrase, &salt)?, salt, check: Vec::new() };
        sealer.check = sealer.seal(CHECK, Vec::new())?;
        Ok(sealer)
    }

    /// A nonce and the sealed bytes. The name is sealed in with them, so that nobody who can write to the file gives one
    /// provider's keys to another.
    fn seal(&self, name: &str, mut bytes: Vec<u8>) -> Result<Vec<u8>, String> {
        let nonce = random::<NONCE_LEN>()?;
        let unique = Nonce::assume_unique_for_key(nonce);
        self.cipher
            .seal_in_place_append_tag(unique, Aad::from(name.as_bytes()), &mut bytes)
            .map_err(|_| "it could not be encrypted".to_owned())?;
        Ok([nonce.as_slice(), &bytes].concat())
    }

    /// None where these bytes were not sealed with this key under this name.
    fn open(&self, name: &str, mut sealed: Vec<u8>) -> Option<Vec<u8>> {
        let mut bytes = sealed.split_off(NONCE_LEN.min(sealed.len()));
        let nonce = Nonce::try_assume_unique_for_key(&sealed).ok()?;
        let opened = self.cipher.open_in_place(nonce, Aad::from(name.as_bytes()), &mut bytes).ok()?;
        Some(opened.to_vec())
    }
}

/// Slow on purpose: words can be guessed. The costs are part of the store's format.
fn derive(passphrase: &Passphrase, salt: &[u8]) -> Result<Box<LessSafeKey>, String> {
    const MEMORY_KIB: u32 = 19 * 1024;
    const PASSES: u32 = 2;
    const LANES: u32 = 1;
    let in_words = |error: &dyn std::fmt::Display| format!("no key can be made from `encryption_key`: {error}");
    let costs = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|error| in_words(&error))?;
    let mut memory = vec![Block::default(); costs.block_count()];
    let mut key = [0; 32];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, costs)
        .hash_password_into_with_memory(passphrase.expose().as_bytes(), salt, &mut key, &mut memory)
        .map_err(|error| in_words(&error))?;
    let key = UnboundKey::new(&AES_256_GCM, &key).map_err(|error| in_words(&error))?;
    Ok(Box::new(LessSafeKey::new(key)))
}

fn random<const N: usize>() -> Result<[u8; N], String> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| "the system gives no random numbers".to_owned())?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealer(words: &str) -> Sealer {
        Sealer::new(&Passphrase::new(words.to_owned())).expect("a key")
    }

    #[test]
    fn what_is_sealed_opens_under_its_own_name_alone() {
        let key = Key::Given(sealer("correct horse battery staple"));
        let sealed = key.seal("one", b"a block".to_vec()).expect("sealed");
        assert!(!sealed.windows(7).any(|window| window == b"a block"));
        assert_eq!(key.open("one", &sealed).expect("opened"), b"a block");
        assert!(key.open("two", &sealed).is_err_and(|reason| reason.contains("cannot be decrypted")));
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_ne!(key.open("one", &changed).ok().as_deref(), Some(b"a block".as_slice()), "byte {at}");
            assert_ne!(key.open("one", &sealed[..at]).ok().as_deref(), Some(b"a block".as_slice()), "cut at {at}");
        }
    }

    #[test]
    fn the_same_block_is_never_sealed_to_the_same_bytes() {
        let sealer = sealer("correct horse battery staple");
        assert_ne!(sealer.seal("one", b"a block".to_vec()), sealer.seal("one", b"a block".to_vec()));
    }

    #[test]
    fn the_key_follows_from_words_and_salt() {
        let words = Passphrase::new("correct horse battery staple".to_owned());
        let first = Sealer::new(&words).expect("a key");
        let again = |words: &Passphrase, salt: &[u8]| Sealer {
            cipher: derive(words, salt).expect("a key"),
            salt: salt.to_vec(),
            check: Vec::new(),
        };
        let sealed = first.seal("one", b"a block".to_vec()).expect("sealed");
        assert!(again(&words, &first.salt).open("one", sealed.clone()).is_some());
        assert!(again(&Passphrase::new("other words".to_owned()), &first.salt).open("one", sealed.clone()).is_none());
        assert!(again(&words, &[7; SALT_BYTES]).open("one", sealed).is_none());
    }
}
