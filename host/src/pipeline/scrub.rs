//! An upstream that quotes a credential must not hand it on, to a plugin or to a caller.

use super::call::Gateway;
use super::route::Candidate;
use bytes::Bytes;
use http::HeaderValue;
use memchr::memmem;
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};

const MASK: &[u8] = b"***";
/// Of configured header values, only those that are long enough to be secrets are masked.
const SHORTEST_SECRET: usize = 8;

/// The secrets that a call was made with, in every spelling that they were sent in.
pub struct Scrub(Vec<Vec<u8>>);

impl Scrub {
    pub fn of(gateway: &Gateway, candidate: &Candidate) -> Self {
        let key = candidate.key().map(|key| key.secret.clone());
        let secrets = key.into_iter().chain(gateway.upstreams.derived().secrets_of(candidate));
        let mut spellings = Vec::new();
        let headers = &candidate.target.config.network.extra_headers;
        let headers = headers.iter().map(|(_, value)| value.clone()).filter(|value| value.len() >= SHORTEST_SECRET);
        for secret in secrets.map(|secret| secret.expose().clone()).chain(headers) {
            let secret = secret.as_bytes();
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
                text = replace(&text, secret, MASK).into();
            }
        }
        text
    }

    pub fn header(&self, value: &HeaderValue) -> HeaderValue {
        let shows = self.0.iter().any(|secret| memmem::find(value.as_bytes(), secret).is_some());
        match shows {
            false => value.clone(),
            true => HeaderValue::from_static("***"),
        }
    }

    pub fn text(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.bytes(Bytes::copy_from_slice(text.as_bytes()))).into_owned()
    }
}

/// The text with every `from` in it replaced.
pub fn replace(text: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut replaced = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memmem::find(rest, from) {
        replaced.extend_from_slice(&rest[..at]);
        replaced.extend_from_slice(to);
        rest = &rest[at + from.len()..];
    }
    replaced.extend_from_slice(rest);
    replaced
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
