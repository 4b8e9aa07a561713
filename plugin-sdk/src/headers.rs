pub use crate::bindings::headers::exports::plugway::headers::headers::Variable;
use crate::{Header, Plugin, Problem};

/// How header templates become header values.
///
/// ```
/// use plugway_sdk::{Header, HeaderTemplates, NoSettings, Plugin, Problem, Variable};
///
/// /// A value that begins with `$` is the name of a variable; any other is taken as it is.
/// struct Dollar;
///
/// impl Plugin for Dollar {
///     type Settings = NoSettings;
///     const DESCRIPTION: &'static str = "Header values that are a whole variable: $email";
///
///     fn new(_: NoSettings) -> Result<Self, Problem> {
///         Ok(Dollar)
///     }
/// }
///
/// impl HeaderTemplates for Dollar {
///     fn variables(&self, template: &str) -> Result<Vec<String>, Problem> {
///         match template.strip_prefix('$') {
///             Some("") => Err(Problem::invalid("column 2: there is no name after `$`")),
///             Some(name) => Ok(vec![name.to_owned()]),
///             None => Ok(Vec::new()),
///         }
///     }
///
///     fn render(&self, mut templates: Vec<Header>, variables: &[Variable]) -> Result<Vec<Header>, Problem> {
///         for header in &mut templates {
///             let name = header.value.strip_prefix('$');
///             let variable = variables.iter().find(|variable| Some(variable.name.as_str()) == name);
///             if let Some(variable) = variable {
///                 header.value.clone_from(&variable.value);
///             }
///         }
///         Ok(templates)
///     }
/// }
///
/// plugway_sdk::export!(Dollar: headers);
/// # fn main() {}
/// ```
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
