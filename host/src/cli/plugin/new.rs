//! `plugway plugin new`: a project that builds and passes its own test at once.

use super::Exit;
use super::embedded::{SDK, TEMPLATES, template};
use clap::ValueEnum;
use serde_json::json;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What the plugin is for.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Kind {
    /// Where and how a call is sent.
    Provider,
    /// How it is said, to providers and to callers.
    Format,
    /// How header templates become values.
    Headers,
    /// What may pass.
    Policy,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Language {
    Rust,
    /// JavaScript, or TypeScript that is compiled to it.
    Js,
    Python,
    /// JavaScript in one file, which gateways run as it is.
    Script,
}

impl Kind {
    /// The template's folder.
    fn folder(self) -> &'static str {
        match self {
            Kind::Provider => "provider",
            Kind::Format => "format",
            Kind::Headers => "headers",
            Kind::Policy => "policy",
        }
    }

    /// As a manifest lists them.
    fn exported(self) -> &'static [&'static str] {
        match self {
            Kind::Provider => &["provider"],
            Kind::Format => &["format-upstream", "format-client"],
            Kind::Headers => &["headers"],
            Kind::Policy => &["policy"],
        }
    }

    fn description(self, name: &str) -> String {
        match self {
            Kind::Provider => format!("The service {name}"),
            Kind::Format => format!("The dialect {name}"),
            Kind::Headers => "Header templates with dollar signs".to_owned(),
            Kind::Policy => "Words that are not to be used".to_owned(),
        }
    }
}

impl Language {
    fn folder(self) -> &'static str {
        match self {
            Language::Rust => "rust",
            Language::Js => "js",
            Language::Python => "python",
            Language::Script => "script",
        }
    }

    fn next_steps(self, name: &str) -> String {
        match self {
            Language::Rust => "cargo test\n  plugway plugin build . --out built".to_owned(),
            Language::Js => "npm install && npm test\n  plugway plugin build . --out built".to_owned(),
            Language::Python => "python3 -m unittest\n  plugway plugin build . --out built".to_owned(),
            Language::Script => format!("plugway plugin test {name}.js"),
        }
    }
}

pub fn new(name: &str, kind: Kind, language: Language, into: Option<PathBuf>) -> Exit {
    if let Err(message) = check_name(name) {
        eprintln!("plugway: {name}: {message}");
        return Exit::Usage;
    }
    let folder = into.unwrap_or_else(|| PathBuf::from(name));
    if folder.exists() {
        eprintln!(
            "plugway: {}: there is something of that name already; choose another with --into, or remove it",
            folder.display()
        );
        return Exit::Refused;
    }
    match write(&folder, name, kind, language) {
        Ok(()) => {
            let (folder, steps) = (folder.display(), language.next_steps(name));
            println!("made {folder}; README.md says what is where\n");
            println!("  cd {folder}\n  {steps}");
            Exit::Fine
        }
        Err(error) => {
            eprintln!("plugway: {}: the project cannot be written: {error}", folder.display());
            Exit::Unavailable
        }
    }
}

/// The rule of `describe`, and what the languages' package managers ask for beside it.
fn check_name(name: &str) -> Result<(), String> {
    let well_formed = (1..=64).contains(&name.len())
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && !name.ends_with('-')
        && name.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-');
    match well_formed {
        true => Ok(()),
        false => Err("this cannot be the name of a plugin; take lower-case letters, digits and hyphens, a letter \
                      first, at most 64 of them, such as `provider-acme`"
            .to_owned()),
    }
}

fn write(folder: &Path, name: &str, kind: Kind, language: Language) -> io::Result<()> {
    let (of_language, of_kind) = (language.folder(), kind.folder());
    let description = kind.description(name);
    let settings = match language {
        // As it stands in package.json, but at the left.
        Language::Script => settings(Language::Js.folder(), of_kind).replace("\n    ", "\n"),
        _ => settings(of_language, of_kind).to_owned(),
    };
    let fill = |text: &str| {
        text.replace("{{name}}", name)
            .replace("{{description}}", &description)
            .replace("{{kinds}}", &json!(kind.exported()).to_string().replace(',', ", "))
            .replace("{{settings}}", &settings)
    };
    for (from, to) in [
        (format!("{of_language}/project/"), ""),
        (format!("{of_language}/{of_kind}/"), ""),
        (format!("cases/{of_kind}/"), "cases"),
    ] {
        for (path, text) in TEMPLATES {
            match path.strip_prefix(&from) {
                None | Some("settings.json" | "settings.toml") => {}
                // As `.gitignore` it would be read in the repository that the template lies in.
                Some("gitignore") => put(&folder.join(".gitignore"), &fill(text))?,
                Some(inside) => put(&folder.join(to).join(inside), &fill(text))?,
            }
        }
    }
    match language {
        Language::Rust => SDK.iter().try_for_each(|(path, text)| put(&folder.join("sdk").join(path), text)),
        Language::Script => {
            put(&folder.join("plugway.d.ts"), template("js/project/plugway.d.ts"))?;
            put(&folder.join(name).with_extension("js"), &fill(&script(of_kind)))
        }
        Language::Js | Language::Python => Ok(()),
    }
}

/// The source of a project in JavaScript, with what such a project says in its manifest below the imports.
fn script(kind: &str) -> String {
    let source = template(&format!("js/{kind}/src/plugin.js")).replace("../plugway.js", "plugway");
    let (imports, functions) = source.split_once("\n\n").unwrap_or(("", &source));
    format!(
        "{imports}\n\nexport const version = \"0.1.0\";\nexport const description = \"{{{{description}}}}\";\n\
         export const settings = {{{{settings}}}};\n\n{functions}"
    )
}

/// The settings' schema as the manifest holds it. Rust has it in the source.
fn settings(language: &str, kind: &str) -> &'static str {
    let file = |ending| format!("{language}/{kind}/settings.{ending}");
    let found = TEMPLATES.iter().find(|(path, _)| *path == file("json") || *path == file("toml"));
    match (found, language) {
        (Some((_, text)), _) => text.trim_end(),
        (None, "js") => r#"{"type": "object", "additionalProperties": false}"#,
        (None, _) => {
            "# JSON Schema of what a configuration may say under `settings`.\n\
                      [tool.plugway.settings]\ntype = \"object\"\nadditionalProperties = false"
        }
    }
}

fn put(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, text)
}
