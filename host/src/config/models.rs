//! What a provider's list of models means.

use super::mistakes::At;
use super::reader::Reader;
use super::scalars::{Day, Price, Whole};
use super::typed::{ListedModelSection, ModelEntry};
use std::collections::BTreeSet;

/// A model and what is known of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Model {
    pub name: String,
    pub display_name: Option<String>,
    pub multimodal: Option<bool>,
    /// None: it is not known what it costs.
    pub prices: Option<Prices>,
    pub max_input_tokens: Option<u64>,
    pub max_output_tokens: Option<u64>,
    /// Models to turn to when it fails, each as `<provider>/<model>` or by its bare name.
    pub fallback_models: Vec<String>,
    /// As RFC 3339 writes a day.
    pub deprecation_date: Option<String>,
}

/// US dollars for a million tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prices {
    pub input: f64,
    pub output: f64,
    pub cache_read: f64,
    /// Where nobody says for how long.
    pub cache_write: f64,
    pub cache_write_5m: f64,
    pub cache_write_1h: f64,
}

/// The models in their order, each once, and with them the one that is pinned.
pub(super) fn models(typed: Vec<ModelEntry>, pinned: Option<&str>, reader: &mut Reader<'_>) -> Vec<Model> {
    let mut seen = BTreeSet::new();
    let mut models: Vec<Model> = Vec::with_capacity(typed.len());
    for ModelEntry(section) in typed {
        let at = section.at.clone();
        let says_more = section.says_more();
        let Some(model) = model(section, reader) else { continue };
        if seen.insert(model.name.clone()) {
            models.push(model);
        } else if says_more {
            reader.mistake(&at, format!("`{}` stands in the list twice", model.name));
        }
    }
    if let Some(name) = pinned.filter(|name| !seen.contains(*name)) {
        models.push(Model { name: name.to_owned(), ..Model::default() });
    }
    models
}

impl ListedModelSection {
    /// Whether there is more in it than a name, which would be lost with it.
    fn says_more(&self) -> bool {
        prices(self).is_some() || self.max_input_tokens.is_some() || self.max_output_tokens.is_some()
    }
}

fn model(section: ListedModelSection, reader: &mut Reader<'_>) -> Option<Model> {
    let prices = prices(&section);
    let ListedModelSection { at, name, display_name, multimodal, .. } = section;
    let at: At = at;
    if name.is_none() {
        reader.missing(&at.key("name"), "is missing; it is what the service calls the model");
    }
    Some(Model {
        name: name?,
        display_name,
        multimodal,
        prices,
        max_input_tokens: section.max_input_tokens.map(|Whole(tokens)| tokens),
        max_output_tokens: section.max_output_tokens.map(|Whole(tokens)| tokens),
        fallback_models: section.fallback_models.unwrap_or_default(),
        deprecation_date: section.deprecation_date.map(|Day(day)| day),
    })
}

/// None where there is no price at all: nothing is known then, which is not the same as nothing to pay.
fn prices(section: &ListedModelSection) -> Option<Prices> {
    let price = |price: &Option<Price>| price.as_ref().map(|Price(price)| *price);
    let input = price(&section.input_cost_per_mil_tokens);
    let output = price(&section.output_cost_per_mil_tokens);
    let read = price(&section.input_cache_read_cost_per_mil_tokens);
    let write = price(&section.input_cache_write_cost_per_mil_tokens);
    let write_5m = price(&section.input_cache_write_5m_cost_per_mil_tokens);
    let write_1h = price(&section.input_cache_write_1h_cost_per_mil_tokens);
    [input, output, read, write, write_5m, write_1h].into_iter().flatten().next()?;
    let or_input = input.unwrap_or(0.0);
    let cache_write = write.or(write_5m).unwrap_or(or_input);
    Some(Prices {
        input: or_input,
        output: output.unwrap_or(0.0),
        cache_read: read.unwrap_or(or_input),
        cache_write,
        cache_write_5m: write_5m.unwrap_or(cache_write),
        cache_write_1h: write_1h.unwrap_or(cache_write),
    })
}
