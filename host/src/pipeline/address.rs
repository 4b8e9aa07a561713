//! Whom a caller addresses beside the model's name: a provider by the path `/providers/{name}/…`, and a provider or a key by
//! the header `x-bt-endpoint-name`.

use crate::error::{Failure, FailureKind};
use crate::snapshot::{Snapshot, Target};
use http::{HeaderMap, HeaderName};
use percent_encoding::percent_decode_str;
use std::sync::Arc;

const PROVIDERS: &str = "/providers/";
const ENDPOINT: HeaderName = HeaderName::from_static("x-bt-endpoint-name");

/// Who alone may serve a call.
#[derive(Default)]
pub struct Addressee {
    /// None: the model's name decides.
    provider: Option<Arc<Target>>,
    /// The provider stands in the path, so the model's name is the provider's own.
    by_path: bool,
    /// The name of the only key that may be used; None: any.
    key: Option<String>,
}

/// A provider, and the model as it knows it.
type Addressed<'a, 'm> = (&'a Arc<Target>, Option<&'m str>);

/// Who is addressed, and the path that is left to be routed.
pub fn of<'a>(snapshot: &Snapshot, path: &'a str, headers: &HeaderMap) -> Result<(Addressee, &'a str), Failure> {
    let (by_path, path) = match path.strip_prefix(PROVIDERS) {
        None => (None, path),
        Some(rest) => {
            let (name, _) = rest.split_once('/').unwrap_or((rest, ""));
            let target = provider(snapshot, &percent_decode_str(name).decode_utf8_lossy())?;
            (Some(target), &rest[name.len()..])
        }
    };
    let is_by_path = by_path.is_some();
    let addressee = Addressee { provider: by_path, by_path: is_by_path, key: None };
    let endpoint = headers.get(ENDPOINT).map(|name| String::from_utf8_lossy(name.as_bytes()).trim().to_owned());
    match endpoint.filter(|name| !name.is_empty()) {
        None => Ok((addressee, path)),
        Some(name) => Ok((addressee.narrowed(snapshot, name)?, path)),
    }
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
        match (&self.provider, named) {
            (None, Some(target)) => Ok(Addressee { provider: Some(target), ..self }),
            (Some(provider), Some(target)) if Arc::ptr_eq(provider, &target) => Ok(self),
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
        self.provider.as_ref().filter(|_| self.by_path)?.config.model.as_deref()
    }

    /// The provider, and the model as it knows it. `addressed` finds who a `<provider>/<model>` means.
    pub fn provider<'m>(
        &self,
        model: Option<&'m str>,
        addressed: impl Fn(&'m str) -> Option<(Arc<Target>, &'m str)>,
    ) -> Result<Option<Addressed<'_, 'm>>, Failure> {
        let Some(provider) = &self.provider else { return Ok(None) };
        match model.filter(|_| !self.by_path).and_then(addressed) {
            None => Ok(Some((provider, model))),
            Some((target, model)) if Arc::ptr_eq(&target, provider) => Ok(Some((provider, Some(model)))),
            Some((target, _)) => {
                let (asked, named) = (&provider.config.name, &target.config.name);
                let message = format!("x-bt-endpoint-name asks for `{asked}`, the model's name for `{named}`");
                Err(Failure::invalid(message).at("model"))
            }
        }
    }

    pub fn provider_alone(&self) -> Option<&Arc<Target>> {
        self.provider.as_ref()
    }

    pub fn is_by_path(&self) -> bool {
        self.by_path
    }

    /// The only key that may be used.
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// Whether the caller wants this provider and no other, not even where it fails.
    pub fn is_alone(&self) -> bool {
        self.provider.is_some() && !self.by_path
    }
}
