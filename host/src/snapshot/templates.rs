//! Header templates: what may stand in them, looked at before any request.

use super::build::in_words;
use super::trouble::Findings;
use crate::config::{self, Callers};
use crate::plugins::Configured;
use http::{HeaderName, HeaderValue};
use std::sync::Arc;

/// Variables that a template may use, besides those of callers and `request.header.<name>`.
const VARIABLES: [&str; 4] = ["api_key", "model", PROVIDER, "request_id"];
const PROVIDER: &str = "provider";
pub const HEADER_VARIABLE: &str = "request.header.";

/// Header templates that have been looked at, and the plugin that renders them.
pub struct Templates {
    pub plugin: Arc<Configured>,
    pub templates: Vec<Template>,
}

pub struct Template {
    pub name: HeaderName,
    pub text: String,
    /// What stands in it. A header whose variable has no value in a request is left out of it.
    pub variables: Vec<String>,
}

impl Templates {
    /// Those that are good; what is wrong with the others is a finding each.
    pub(super) async fn of(
        plugin: Arc<Configured>,
        provider: &config::Provider,
        texts: &[(HeaderName, String)],
        callers: &Callers,
        findings: &mut Findings,
    ) -> Self {
        let mut templates = Vec::with_capacity(texts.len());
        for (name, text) in texts {
            let at = format!("headers.{name}");
            match variables(&plugin, text, callers).await {
                Ok(variables) if variables.iter().any(|name| name == PROVIDER) && !may_be_header(&provider.name) => {
                    findings.add(&at, "the provider's name has characters that no header can carry");
                }
                Ok(variables) => templates.push(Template { name: name.clone(), text: text.clone(), variables }),
                Err(message) => findings.add(&at, message),
            }
        }
        Templates { plugin, templates }
    }
}

/// What stands in a template, all of it known.
async fn variables(plugin: &Configured, template: &str, callers: &Callers) -> Result<Vec<String>, String> {
    let variables = plugin.variables(template).await.map_err(in_words)?;
    match variables.iter().find(|name| !is_known(name, callers)) {
        None => Ok(variables),
        Some(caller) if Callers::VARIABLES.contains(&caller.as_str()) => Err(format!(
            "`{caller}` is not known: `callers.{caller}_header` must name the header in which something trusted in \
             front of the gateway says it"
        )),
        Some(unknown) => {
            let known = VARIABLES.iter().chain(&Callers::VARIABLES).copied().collect::<Vec<_>>().join(", ");
            Err(format!("unknown variable `{unknown}`; known are {known} and {HEADER_VARIABLE}<name>"))
        }
    }
}

fn is_known(name: &str, callers: &Callers) -> bool {
    let is_header = || name.strip_prefix(HEADER_VARIABLE).is_some_and(|header| !header.is_empty());
    VARIABLES.contains(&name) || callers.header(name).is_some() || is_header()
}

fn may_be_header(text: &str) -> bool {
    HeaderValue::from_str(text).is_ok()
}
