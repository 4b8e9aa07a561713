//! Header templates.

use super::json::{self, answer, arguments};
use super::{Function, Kind};
use crate::{Header, HeaderTemplates, Variable};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub(super) fn functions<P: HeaderTemplates>() -> Kind<P> {
    vec![Function { name: "variables", call: variables }, Function { name: "render", call: render }]
}

fn variables<P: HeaderTemplates>(plugin: &P, input: Value) -> Result<Value, String> {
    let template: String = arguments(input)?;
    Ok(answer(plugin.variables(&template), |names| json!(names)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Templates {
    #[serde(deserialize_with = "json::as_headers")]
    templates: Vec<Header>,
    #[serde(default)]
    variables: BTreeMap<String, String>,
}

fn render<P: HeaderTemplates>(plugin: &P, input: Value) -> Result<Value, String> {
    let Templates { templates, variables } = arguments(input)?;
    let variables: Vec<Variable> = variables.into_iter().map(|(name, value)| Variable { name, value }).collect();
    Ok(answer(plugin.render(templates, &variables), |headers| json::headers(&headers)))
}
