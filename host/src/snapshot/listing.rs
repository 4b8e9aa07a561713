//! The models that a service lists itself, kept for a while.

use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// Services have new models every few weeks.
const KEPT: Duration = Duration::from_secs(300);
/// A service that does not answer must not delay every list.
const FAILURE_KEPT: Duration = Duration::from_secs(30);
/// What is more than this is no list of models.
const MOST: usize = 10_000;

#[derive(Default)]
pub struct Listing(Mutex<Option<Listed>>);

struct Listed {
    names: Vec<String>,
    until: Instant,
}

impl Listing {
    /// The names; none after a failure. Whoever comes while the service is asked waits for the same answer.
    pub async fn names(&self, ask: impl Future<Output = Option<Vec<String>>>) -> Vec<String> {
        let mut listed = self.0.lock().await;
        if let Some(listed) = listed.as_ref().filter(|listed| Instant::now() < listed.until) {
            return listed.names.clone();
        }
        let answer = ask.await;
        let kept = if answer.is_some() { KEPT } else { FAILURE_KEPT };
        let mut names = answer.unwrap_or_default();
        names.truncate(MOST);
        *listed = Some(Listed { names: names.clone(), until: Instant::now() + kept });
        names
    }
}
