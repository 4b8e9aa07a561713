//! Who is tried where none of those answers who should: said by the caller, or by the configuration.

use super::{Lineup, aim, choice, named};
use crate::chat::Members;
use crate::config::RequestKind;
use crate::error::Failure;
use crate::form::Form;
use crate::pipeline::call::Call;
use crate::pipeline::decode::Request;
use crate::snapshot::{Snapshot, Target};
use serde::Deserialize;

/// What a caller says in the body. It never goes on to an upstream.
pub const MEMBER: &str = "fallbacks";
const HEADER: &str = "x-bt-fallback-providers";
/// A request that tried more would be no help to its caller.
const MAX: usize = 16;

/// The addresses, in order: the caller's, else those of the model's name, else those that the provider that is tried first
/// has for the model, else its own.
pub fn of(call: &Call, request: &Request, first: Option<(&Target, Option<&str>)>) -> Vec<String> {
    if call.addressee.wants_no_other() {
        return Vec::new();
    }
    if let Some(said) = &request.fallbacks {
        return said.clone();
    }
    let of_name = request.model.as_ref().and_then(|model| call.snapshot.config.models.get(model));
    let of_name = of_name.map(|route| &route.fallbacks);
    let of_model = first.and_then(|(target, asked)| of_model(target, asked?));
    let lists = [of_name, of_model, first.map(|(target, _)| &target.config.fallbacks)];
    lists.into_iter().flatten().find(|fallbacks| !fallbacks.is_empty()).cloned().unwrap_or_default()
}

/// What the provider's list says of the model.
fn of_model<'a>(target: &'a Target, asked: &str) -> Option<&'a Vec<String>> {
    target.config.models.iter().find(|model| model.name == asked).map(|model| &model.fallback_models)
}

/// What the caller says, in the body or else in the header. Nobody must judge what will not be tried.
pub fn said(call: &Call, members: &Members<'_>) -> Result<Option<Vec<String>>, Failure> {
    match in_body(members)? {
        _ if call.addressee.wants_no_other() => Ok(None),
        Some(said) => Ok(Some(said)),
        None => in_header(call),
    }
}

/// The same beside a form, whose fields are the upstream's.
pub fn beside_form(call: &Call, form: &Form) -> Result<Option<Vec<String>>, Failure> {
    if form.text(MEMBER) != Ok(None) {
        return Err(Failure::invalid(format!("a form cannot name `{MEMBER}`; the header `{HEADER}` can")).at(MEMBER));
    }
    if call.addressee.wants_no_other() { Ok(None) } else { in_header(call) }
}

fn in_header(call: &Call) -> Result<Option<Vec<String>>, Failure> {
    let Some(said) = call.headers.get(HEADER).and_then(|value| value.to_str().ok()) else { return Ok(None) };
    let addresses = said.split(',').map(str::trim).filter(|address| !address.is_empty()).map(str::to_owned);
    bounded(addresses.collect()).map(Some)
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Said {
    Address(String),
    Pair { provider: String, model: String },
}

/// The body's own: `["openai/gpt-4o", {"provider": "openai", "model": "gpt-4o"}]`.
pub fn in_body(members: &Members<'_>) -> Result<Option<Vec<String>>, Failure> {
    let Some(raw) = members.get(MEMBER).filter(|raw| raw.get() != "null") else { return Ok(None) };
    let said: Vec<Said> = serde_json::from_str(raw.get()).map_err(|_| {
        Failure::invalid("`fallbacks` must be a list of `<provider>/<model>` or {\"provider\": …, \"model\": …}")
            .at(MEMBER)
    })?;
    let addresses = said.into_iter().map(|said| match said {
        Said::Address(address) => address,
        Said::Pair { provider, model } => format!("{provider}/{model}"),
    });
    bounded(addresses.collect()).map(Some)
}

fn bounded(addresses: Vec<String>) -> Result<Vec<String>, Failure> {
    match addresses.len() {
        0..=MAX => Ok(addresses),
        more => Err(Failure::invalid(format!("{more} fallbacks are named; at most {MAX} are tried")).at(MEMBER)),
    }
}

/// Who that is. An address that nobody serves, or that cannot be used now, is passed over.
pub fn lineup(call: &Call, address: &str, asked: Option<&str>, kind: RequestKind) -> Lineup {
    let snapshot = &call.snapshot;
    if !snapshot.config.models.contains_key(address)
        && let Some((target, model)) = aim(snapshot, address, asked.map(|asked| bare(snapshot, asked)))
    {
        let mut lineup = Lineup::default();
        lineup.add(target, model, choice(call, target, model, kind));
        return lineup;
    }
    named(call, address, kind)
}

/// A model's name without its provider.
fn bare<'a>(snapshot: &'a Snapshot, asked: &'a str) -> &'a str {
    super::addressed(snapshot, asked).map_or(asked, |(_, model)| model)
}
