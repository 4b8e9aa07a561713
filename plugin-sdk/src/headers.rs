pub use crate::bindings::headers::exports::plugway::headers::headers::Variable;
use crate::{Header, Plugin, Problem};

/// How header templates become header values.
pub trait HeaderTemplates: Plugin {
    /// The names of the variables in one template, in order of appearance.
    ///
    /// # Errors
    /// A template that does not parse; say where.
    fn variables(&self, template: &str) -> Result<Vec<String>, Problem>;

    /// Renders the values of headers; `variables` has every name that [`variables`](HeaderTemplates::variables) found.
    ///
    /// # Errors
    /// As [`variables`](HeaderTemplates::variables).
    fn render(&self, templates: Vec<Header>, variables: &[Variable]) -> Result<Vec<Header>, Problem>;
}
