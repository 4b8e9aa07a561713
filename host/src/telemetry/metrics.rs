//! Counters and histograms in Prometheus' form. Labels take only values that the configuration or the code names, so
//! that no caller can make them grow.

use super::cost::UsDollars;
use super::record::{Outcome, Record};
use super::series::Series;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder, text::encode};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use std::fmt;
use std::sync::atomic::AtomicU64;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    provider: String,
    operation: Word,
    status: u16,
    outcome: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ProviderLabels {
    provider: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TryLabels {
    provider: String,
    error: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TokenLabels {
    provider: String,
    kind: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReloadLabels {
    outcome: Word,
}

/// A label from the code itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Word(&'static str);

impl EncodeLabelValue for Word {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        self.0.encode(encoder)
    }
}

/// What became of a change on disk. Of those through the admin API only the swaps are counted: who asked for one that was
/// refused has been told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReloadOutcome {
    Swapped,
    Refused,
    RolledBack,
}

pub struct Metrics {
    registry: Registry,
    requests: Series<RequestLabels, Counter>,
    in_flight: Gauge,
    failed_tries: Series<TryLabels, Counter>,
    seconds: Series<ProviderLabels, Histogram>,
    first_token_seconds: Series<ProviderLabels, Histogram>,
    tokens: Series<TokenLabels, Counter>,
    cost: Series<ProviderLabels, Counter<f64, AtomicU64>>,
    reloads: Family<ReloadLabels, Counter>,
    reloading: Gauge,
}

/// From a millisecond to two minutes.
fn histogram() -> Histogram {
    Histogram::new([0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0])
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("plugway");
        let (in_flight, reloads, reloading) = (Gauge::default(), Family::default(), Gauge::default());
        let requests = Family::default();
        registry.register("requests", "Requests that have ended", requests.clone());
        registry.register("requests_in_flight", "Requests that have not ended", in_flight.clone());
        let failed_tries = Family::default();
        let tries = "Tries of a provider that failed, whatever became of their requests";
        registry.register("failed_tries", tries, failed_tries.clone());
        let seconds = Family::new_with_constructor(histogram as fn() -> Histogram);
        let help = "From a request's arrival to its end";
        registry.register_with_unit("request_duration", help, Unit::Seconds, seconds.clone());
        let first_token_seconds = Family::new_with_constructor(histogram as fn() -> Histogram);
        let help = "From a streamed request's arrival to its first content";
        registry.register_with_unit("first_token", help, Unit::Seconds, first_token_seconds.clone());
        let tokens = Family::default();
        registry.register("tokens", "Tokens that upstreams reported", tokens.clone());
        let cost = Family::default();
        registry.register("cost_usd", "US dollars, by the prices of the configuration", cost.clone());
        registry.register("reloads", "Changes of plugins and configuration", reloads.clone());
        registry.register("reloading", "1 as long as changes on disk are taken", reloading.clone());
        Metrics {
            registry,
            requests: Series::of(requests),
            in_flight,
            failed_tries: Series::of(failed_tries),
            seconds: Series::of(seconds),
            first_token_seconds: Series::of(first_token_seconds),
            tokens: Series::of(tokens),
            cost: Series::of(cost),
            reloads,
            reloading,
        }
    }
}

impl Metrics {
    pub(super) fn request_begins(&self) {
        self.in_flight.inc();
    }

    pub(super) fn request_ends(&self, record: &Record) {
        self.in_flight.dec();
        let labels = RequestLabels {
            provider: record.provider.clone(),
            operation: Word(record.operation),
            status: record.status,
            outcome: Word(record.outcome.name()),
        };
        self.requests.with(&labels, |count| _ = count.inc());
        let provider = ProviderLabels { provider: labels.provider };
        if record.outcome != Outcome::Open {
            self.seconds.with(&provider, |seconds| seconds.observe(record.elapsed().as_secs_f64()));
        }
        if let Some(first) = record.first_token {
            self.first_token_seconds.with(&provider, |seconds| seconds.observe(first.as_secs_f64()));
        }
        if let Some(usage) = record.usage {
            let tokens = |kind| TokenLabels { provider: provider.provider.clone(), kind: Word(kind) };
            self.tokens.with(&tokens("prompt"), |count| _ = count.inc_by(usage.prompt_tokens));
            self.tokens.with(&tokens("completion"), |count| _ = count.inc_by(usage.completion_tokens));
        }
        if let Some(UsDollars(cost)) = record.cost() {
            self.cost.with(&provider, |count| _ = count.inc_by(cost));
        }
    }

    pub(super) fn try_failed(&self, provider: &str, error_type: &'static str) {
        let labels = TryLabels { provider: provider.to_owned(), error: Word(error_type) };
        self.failed_tries.with(&labels, |count| _ = count.inc());
    }

    /// Forgets what was counted of providers that are no more: names that come and go through the admin API would make the
    /// page grow without end. What requests of theirs still count as they end stays until the next change.
    pub fn keep_providers(&self, is_there: impl Fn(&str) -> bool) {
        // Requests for which nobody was chosen have no name.
        let stays = |provider: &str| provider.is_empty() || is_there(provider);
        self.requests.retain(|labels| stays(&labels.provider));
        self.failed_tries.retain(|labels| stays(&labels.provider));
        self.seconds.retain(|labels| stays(&labels.provider));
        self.first_token_seconds.retain(|labels| stays(&labels.provider));
        self.tokens.retain(|labels| stays(&labels.provider));
        self.cost.retain(|labels| stays(&labels.provider));
    }

    pub fn reload(&self, outcome: ReloadOutcome) {
        let word = match outcome {
            ReloadOutcome::Swapped => "swapped",
            ReloadOutcome::Refused => "refused",
            ReloadOutcome::RolledBack => "rolled_back",
        };
        self.reloads.get_or_create(&ReloadLabels { outcome: Word(word) }).inc();
    }

    /// Whether somebody takes changes on disk.
    pub fn follows_disk(&self, follows: bool) {
        self.reloading.set(follows.into());
    }

    pub fn is_following_disk(&self) -> bool {
        self.reloading.get() > 0
    }

    pub fn in_flight(&self) -> i64 {
        self.in_flight.get()
    }

    /// Everything counted here and what `more` registers, in Prometheus' text form.
    pub fn render(&self, more: &Registry) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        let end = text.rfind("# EOF").unwrap_or(text.len());
        text.truncate(end);
        encode(&mut text, more)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_of_a_provider_goes_with_it() {
        let metrics = Metrics::default();
        for provider in ["stays", "goes", ""] {
            metrics.try_failed(provider, "timeout_error");
        }
        metrics.keep_providers(|name| name == "stays");
        metrics.try_failed("stays", "timeout_error");
        let page = metrics.render(&Registry::default()).expect("a page");
        assert!(page.contains("plugway_failed_tries_total{provider=\"stays\",error=\"timeout_error\"} 2"), "{page}");
        assert!(page.contains("{provider=\"\",") && !page.contains("goes"), "{page}");
    }
}
