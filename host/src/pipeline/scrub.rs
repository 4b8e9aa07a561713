//! An upstream that quotes a credential must not hand it on: to a plugin, to a caller, to the log.
//!
//! Everything that an upstream says passes here once. What it says *of a call* (errors, headers, side replies) loses every
//! value that the operator may have meant to be secret. What it *answers* loses credentials only: to a model a header's
//! value is a word like another, and an answer that speaks of `application/json` must arrive as it was written.

use super::hygiene;
use super::route::Candidate;
use crate::config::{Key, Provider, Secret};
use crate::error::Failure;
use crate::framing::Frame;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use memchr::memmem::{self, Finder};
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::{iter, ptr};

pub const MASK: &str = "***";
/// What is shorter is a word that answers are made of (`none`, `ollama`) rather than a secret.
const SHORTEST_IN_ANSWERS: usize = 8;

/// The secrets that a request was sent with.
#[derive(Clone, Default)]
pub struct Scrub {
    /// Of this request alone, as are the rendered headers. Most have neither.
    derived: Option<Arc<Secrets>>,
    configured: Arc<Secrets>,
    rendered: Option<Arc<Secrets>>,
}

/// What is looked for, in every spelling that an upstream may quote it in.
#[derive(Default)]
struct Secrets {
    in_answers: Vec<Finder<'static>>,
    elsewhere: Vec<Finder<'static>>,
}

/// What the configuration says is made once for each provider and key, and not for each request. A serving thread's own.
#[derive(Default)]
pub struct Scrubs(Mutex<HashMap<Place, Configured>>);

/// Where a provider and its key are in memory. As long as a weak pointer holds the place of the provider, nothing else is
/// there.
type Place = (usize, usize);

struct Configured {
    provider: Weak<Provider>,
    secrets: Arc<Secrets>,
}

impl Scrubs {
    pub fn of(
        &self,
        candidate: &Candidate,
        derived: impl Iterator<Item = Secret>,
        rendered: &[(HeaderName, HeaderValue)],
    ) -> Scrub {
        let some = |secrets: Secrets| (!secrets.elsewhere.is_empty()).then(|| Arc::new(secrets));
        Scrub {
            derived: some(Secrets::of(derived, &[])),
            configured: self.configured(&candidate.target.config, candidate.key()),
            rendered: some(Secrets::of(iter::empty(), rendered)),
        }
    }

    fn configured(&self, provider: &Arc<Provider>, key: Option<&Key>) -> Arc<Secrets> {
        let place = (Arc::as_ptr(provider).addr(), key.map_or(0, |key| ptr::from_ref(key).addr()));
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get(&place) {
            return known.secrets.clone();
        }
        // Those of configurations that are no more.
        known.retain(|_, known| known.provider.strong_count() > 0);
        let key = key.map(|key| key.secret.clone());
        let secrets = Arc::new(Secrets::of(key.into_iter(), &provider.network.extra_headers));
        known.insert(place, Configured { provider: Arc::downgrade(provider), secrets: secrets.clone() });
        secrets
    }
}

impl Secrets {
    /// `headers` are the operator's own. Those whose names say so are credentials.
    fn of(secrets: impl Iterator<Item = Secret>, headers: &[(HeaderName, HeaderValue)]) -> Self {
        let mut all = Secrets::default();
        for secret in secrets {
            all.add(secret.expose().as_bytes(), true);
        }
        for (name, value) in headers {
            if hygiene::names_a_credential(name) {
                // `Bearer sk-…`: upstreams quote the credential without its scheme.
                let words = value.as_bytes().split(|byte| *byte == b' ');
                words.filter(|word| word.len() >= SHORTEST_IN_ANSWERS).for_each(|word| all.add(word, true));
            } else if value.is_sensitive() && value.len() >= SHORTEST_IN_ANSWERS {
                all.add(value.as_bytes(), false);
            }
        }
        all
    }

    fn add(&mut self, secret: &[u8], is_credential: bool) {
        for spelling in spellings(secret) {
            let finder = Finder::new(&spelling).into_owned();
            if is_credential && spelling.len() >= SHORTEST_IN_ANSWERS {
                self.in_answers.push(finder.clone());
            }
            self.elsewhere.push(finder);
        }
    }
}

impl Scrub {
    /// In the order in which they are masked: what was derived may hold what it was derived from, and is masked as a
    /// whole; of a header that holds a key, the key alone is.
    fn all(&self) -> impl Iterator<Item = &Secrets> {
        self.derived.iter().chain([&self.configured]).chain(&self.rendered).map(Arc::as_ref)
    }

    fn in_answers(&self) -> impl Iterator<Item = &Finder<'static>> {
        self.all().flat_map(|secrets| &secrets.in_answers)
    }

    fn elsewhere(&self) -> impl Iterator<Item = &Finder<'static>> {
        self.all().flat_map(|secrets| &secrets.elsewhere)
    }

    /// The body of a good answer.
    pub fn answer(&self, body: Bytes) -> Bytes {
        mask(self.in_answers(), body)
    }

    /// A frame of a streamed answer.
    pub fn frame(&self, frame: &mut Frame) {
        if finds(self.in_answers(), &frame.raw) || finds(self.in_answers(), frame.data.as_bytes()) {
            frame.raw = mask(self.in_answers(), std::mem::take(&mut frame.raw));
            frame.data = mask_text(self.in_answers(), &frame.data);
        }
    }

    /// Any other body.
    pub fn report(&self, body: Bytes) -> Bytes {
        mask(self.elsewhere(), body)
    }

    /// What the gateway itself says of the request.
    pub fn text(&self, text: &str) -> String {
        mask_text(self.elsewhere(), text)
    }

    pub fn headers(&self, mut headers: HeaderMap) -> HeaderMap {
        for value in headers.values_mut().filter(|value| finds(self.elsewhere(), value.as_bytes())) {
            *value = HeaderValue::from_static(MASK);
        }
        headers
    }

    /// A failure, whoever found the words for it.
    pub fn failure(&self, mut failure: Failure) -> Failure {
        let Failure { kind: _, message, param, code, detail, retry_after_ms: _, verbatim } = &mut failure;
        for text in [Some(message), param.as_mut(), code.as_mut(), detail.as_mut()].into_iter().flatten() {
            if finds(self.elsewhere(), text.as_bytes()) {
                *text = mask_text(self.elsewhere(), text).into();
            }
        }
        if let Some(verbatim) = verbatim {
            verbatim.body = self.report(std::mem::take(&mut verbatim.body));
            verbatim.headers = self.headers(std::mem::take(&mut verbatim.headers));
        }
        failure
    }
}

/// As it is, as in a URL, and as in JSON, where some writers escape slashes too.
fn spellings(secret: &[u8]) -> Vec<Vec<u8>> {
    let encoded = percent_encode(secret, NON_ALPHANUMERIC).to_string().into_bytes();
    let in_json = replace(&replace(secret, b"\\", b"\\\\"), b"\"", b"\\\"");
    let with_slashes = replace(&in_json, b"/", b"\\/");
    let mut spellings = vec![secret.to_vec(), encoded, in_json, with_slashes];
    spellings.retain(|spelling| !spelling.is_empty());
    // One that holds another must go first, or half of it would stay.
    spellings.sort_by_key(|spelling| std::cmp::Reverse(spelling.len()));
    spellings.dedup();
    spellings
}

fn finds<'a>(mut secrets: impl Iterator<Item = &'a Finder<'static>>, text: &[u8]) -> bool {
    secrets.any(|secret| secret.find(text).is_some())
}

fn mask<'a>(secrets: impl Iterator<Item = &'a Finder<'static>>, mut text: Bytes) -> Bytes {
    for secret in secrets {
        if secret.find(&text).is_some() {
            text = replace(&text, secret.needle(), MASK.as_bytes()).into();
        }
    }
    text
}

fn mask_text<'a>(secrets: impl Iterator<Item = &'a Finder<'static>>, text: &str) -> String {
    String::from_utf8_lossy(&mask(secrets, Bytes::copy_from_slice(text.as_bytes()))).into_owned()
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

    fn scrub(secret: &str, headers: &[(&'static str, &str)]) -> Scrub {
        let headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| {
                let mut value = HeaderValue::from_str(value).expect("a value");
                value.set_sensitive(true);
                (HeaderName::from_static(name), value)
            })
            .collect();
        let secrets = Secrets::of(Secret::new(secret).into_iter(), &headers);
        Scrub { configured: Arc::new(secrets), ..Scrub::default() }
    }

    fn report(scrub: &Scrub, text: &str) -> String {
        mask_text(scrub.elsewhere(), text)
    }

    fn answer(scrub: &Scrub, text: &str) -> String {
        mask_text(scrub.in_answers(), text)
    }

    #[test]
    fn every_spelling_is_masked_wherever_it_stands() {
        let scrub = scrub("sk-1/2\"34", &[]);
        for (quoted, masked) in [
            ("sk-1/2\"34 and sk-1/2\"34", "*** and ***"),
            ("?key=sk%2D1%2F2%2234", "?key=***"),
            (r#"{"key":"sk-1/2\"34"}"#, r#"{"key":"***"}"#),
            (r#"{"key":"sk-1\/2\"34"}"#, r#"{"key":"***"}"#),
            ("nothing", "nothing"),
        ] {
            assert_eq!((report(&scrub, quoted), answer(&scrub, quoted)), (masked.to_owned(), masked.to_owned()));
        }
    }

    #[test]
    fn an_answer_may_say_a_word_that_happens_to_be_a_key_or_a_header() {
        let scrub = scrub("none", &[("accept", "application/json"), ("x-auth", "Bearer abcdefgh")]);
        let text = "none of application/json, Bearer abcdefgh";
        assert_eq!(answer(&scrub, text), "none of application/json, Bearer ***");
        assert_eq!(report(&scrub, text), "*** of ***, Bearer ***");
    }

    #[test]
    fn a_credential_that_holds_the_one_that_it_came_from_is_masked_as_a_whole() {
        let of = |secret: &str| Arc::new(Secrets::of(Secret::new(secret).into_iter(), &[]));
        let derived = Some(of("session/sk-12345678/9"));
        let scrub = Scrub { derived, configured: of("sk-12345678"), rendered: None };
        assert_eq!(answer(&scrub, "session/sk-12345678/9 of sk-12345678"), "*** of ***");
    }

    #[test]
    fn nothing_of_a_failure_shows_it() {
        let secret = "sk-12345678";
        let failure = Failure::upstream(secret).at(secret).code(secret).detail(secret);
        let shown = format!("{:?}", scrub(secret, &[]).failure(failure));
        assert!(!shown.contains(secret) && shown.matches(MASK).count() == 4, "{shown}");
    }
}
