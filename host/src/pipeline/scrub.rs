//! An upstream that quotes a credential must not hand it on, to a plugin or to a caller.

use super::call::Gateway;
use super::route::Candidate;
use bytes::Bytes;
use memchr::memmem;
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};

const MASK: &[u8] = b"***";

/// The secrets that a call was made with, in every spelling that they were sent in.
pub struct Scrub(Vec<Vec<u8>>);

impl Scrub {
    pub fn of(gateway: &Gateway, candidate: &Candidate) -> Self {
        let key = candidate.key().map(|key| key.secret.clone());
        let secrets = key.into_iter().chain(gateway.upstreams.derived().secrets_of(candidate));
        let mut spellings = Vec::new();
        for secret in secrets {
            let secret = secret.expose().as_bytes();
            let encoded = percent_encode(secret, NON_ALPHANUMERIC).to_string().into_bytes();
            if encoded != secret {
                spellings.push(encoded);
            }
            spellings.push(secret.to_vec());
        }
        spellings.retain(|spelling| !spelling.is_empty());
        Scrub(spellings)
    }

    pub fn bytes(&self, mut text: Bytes) -> Bytes {
        for secret in &self.0 {
            if memmem::find(&text, secret).is_some() {
                text = replace(&text, secret).into();
            }
        }
        text
    }

    pub fn text(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.bytes(Bytes::copy_from_slice(text.as_bytes()))).into_owned()
    }
}

fn replace(text: &[u8], secret: &[u8]) -> Vec<u8> {
    let mut scrubbed = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memmem::find(rest, secret) {
        scrubbed.extend_from_slice(&rest[..at]);
        scrubbed.extend_from_slice(MASK);
        rest = &rest[at + secret.len()..];
    }
    scrubbed.extend_from_slice(rest);
    scrubbed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_masked_wherever_it_stands() {
        let scrub = Scrub(vec![b"sk%2D1".to_vec(), b"sk-1".to_vec()]);
        assert_eq!(scrub.text("sk-1 and sk-1, or ?key=sk%2D1"), "*** and ***, or ?key=***");
        assert_eq!(scrub.text("nothing"), "nothing");
    }
}
