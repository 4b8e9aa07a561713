//! Whom a caller addresses beside the model's name: a provider by the path `/providers/{name}/…`, and a provider or a key by
//! the header `x-bt-endpoint-name`.

use crate::error::{Failure, FailureKind};
use crate::snapshot::{Snapshot, Target};
use http::{HeaderMap, HeaderName};
use percent_encoding::percent_decode_str;
use std::sync::Arc;

const PROVIDERS: &str = "/providers/";
const ENDPOINT: HeaderName = HeaderName::from_static("x-bt-endpoint-name");

/// Who alone may serve a call, as far as the caller says.
#[derive(Default)]
pub struct Addressee {
    provider: Named,
    /// The name of the only key that may be used; None: any.
    key: Option<String>,
}

/// The provider that the caller names beside the model.
#[derive(Default)]
enum Named {
    /// The model's name decides.
    #[default]
    Nobody,
    /// The model's name is the provider's own, and others may stand in where it fails.
    InPath(Arc<Target>),
    /// This one and no other.
    InHeader(Arc<Target>),
    /// The model's name is the provider's own, and nobody else is to stand in.
    InBoth(Arc<Target>),
}

/// A provider, and the model as it knows it.
type Addressed<'a, 'm> = (&'a Arc<Target>, Option<&'m str>);

/// Who is addressed, and the path that is left to be routed.
pub fn of<'a>(snapshot: &Snapshot, path: &'a str, headers: &HeaderMap) -> Result<(Addressee, &'a str), Failure> {
    let (named, path) = match path.strip_prefix(PROVIDERS) {
        None => (Named::Nobody, path),
        Some(rest) => {
            let (name, _) = rest.split_once('/').unwrap_or((rest, ""));
            let target = provider(snapshot, &percent_decode_str(name).decode_utf8_lossy())?;
            (Named::InPath(target), &rest[name.len()..])
        }
    };
    let addressee = Addressee { provider: named, key: None };
    let endpoint = headers.get(ENDPOINT).map(|name| String::from_utf8_lossy(name.as_bytes()).trim().to_owned());
    match endpoint.filter(|name| !name.is_empty()) {
        None => Ok((addressee, path)),
        Some(name) => Ok((addressee.narrowed(snapshot, name)?, path)),
    }
}

/// The path behind the name of a provider.
pub fn below(path: &str) -> &str {
    let Some(rest) = path.strip_prefix(PROVIDERS) else { return path };
    rest.find('/').map_or("", |slash| &rest[slash..])
}

fn provider(snapshot: &Snapshot, name: &str) -> Result<Arc<Target>, Failure> {
    snapshot.provider(name).cloned().ok_or_else(|| {
        Failure::new(FailureKind::NotFound, format!("there is no provider `{name}`")).code("provider_not_found")
    })
}

impl Addressee {
    /// To the provider of this name, else to the keys of this name.
    fn narrowed(self, snapshot: &Snapshot, name: String) -> Result<Self, Failure> {
        let named = snapshot.provider(&name).cloned();
        let has_key = |target: &Arc<Target>| target.config.keys.iter().any(|key| key.name == name);
        match (self.target(), named) {
            (None, Some(target)) => Ok(Addressee { provider: Named::InHeader(target), ..self }),
            (Some(provider), Some(target)) if Arc::ptr_eq(provider, &target) => {
                Ok(Addressee { provider: Named::InBoth(target), ..self })
            }
            (Some(provider), _) if has_key(provider) => Ok(Addressee { key: Some(name), ..self }),
            (None, None) if snapshot.providers().any(has_key) => Ok(Addressee { key: Some(name), ..self }),
            (Some(_) | None, _) => {
                let message = format!("x-bt-endpoint-name: there is no provider or key `{name}` that could serve this");
                Err(Failure::new(FailureKind::NotFound, message).code("endpoint_not_found"))
            }
        }
    }

    /// The model that the configuration sets for whoever addresses the provider by its path.
    pub fn pinned_model(&self) -> Option<&str> {
        match &self.provider {
            Named::InPath(target) | Named::InBoth(target) => target.config.model.as_deref(),
            Named::Nobody | Named::InHeader(_) => None,
        }
    }

    /// The provider, and the model as it knows it. `addressed` finds who a `<provider>/<model>` means.
    pub fn provider<'m>(
        &self,
        model: Option<&'m str>,
        addressed: impl Fn(&'m str) -> Option<(Arc<Target>, &'m str)>,
    ) -> Result<Option<Addressed<'_, 'm>>, Failure> {
        let Some(provider) = self.target() else { return Ok(None) };
        match model.filter(|_| !self.is_by_path()).and_then(addressed) {
            None => Ok(Some((provider, model))),
            Some((target, model)) if Arc::ptr_eq(&target, provider) => Ok(Some((provider, Some(model)))),
            Some((target, _)) => {
                let (asked, named) = (&provider.config.name, &target.config.name);
                let message = format!("x-bt-endpoint-name asks for `{asked}`, the model's name for `{named}`");
                Err(Failure::invalid(message).at("model"))
            }
        }
    }

    /// The provider that is named, in the path or in the header.
    pub fn target(&self) -> Option<&Arc<Target>> {
        match &self.provider {
            Named::Nobody => None,
            Named::InPath(target) | Named::InHeader(target) | Named::InBoth(target) => Some(target),
        }
    }

    pub fn is_by_path(&self) -> bool {
        matches!(self.provider, Named::InPath(_) | Named::InBoth(_))
    }

    /// The only key that may be used.
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// Whether the caller wants this provider and no other, not even where it fails.
    pub fn wants_no_other(&self) -> bool {
        matches!(self.provider, Named::InHeader(_) | Named::InBoth(_))
    }
}
