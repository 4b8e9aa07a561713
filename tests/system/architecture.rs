//! The map of the host (`docs/architecture.md`) is true: modules import downwards only, every outside thing has one home,
//! and no provider has a name in the host.

use crate::gateway::root;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Which floor a module of the host stands on. A module may use what is on a lower floor; on the ground floor they may
/// use each other, above it they may not.
const FLOORS: [(&str, u8); 17] = [
    ("main", 5),
    ("cli", 5),
    ("server", 4),
    ("pipeline", 3),
    ("reload", 3),
    ("snapshot", 2),
    ("plugins", 1),
    ("store", 1),
    ("vitals", 1),
    ("address", 0),
    ("chat", 0),
    ("config", 0),
    ("error", 0),
    ("form", 0),
    ("framing", 0),
    ("operation", 0),
    ("telemetry", 0),
];

/// What comes from outside, and the only places that may name it.
const HOMES: [(&str, &[&str]); 11] = [
    ("wasmtime", &["plugins"]),
    ("wasmtime_wasi", &["plugins"]),
    ("wasmparser", &["plugins"]),
    ("axum", &["server"]),
    ("notify", &["reload/watch"]),
    ("hyper_rustls", &["pipeline/send"]),
    ("serde_saphyr", &["config"]),
    ("redb", &["store"]),
    ("argon2", &["store"]),
    ("ring::aead", &["store"]),
    ("prometheus_client", &["telemetry", "server"]),
];

/// Whoever is named in the host has been wired into it.
const PROVIDERS: [&str; 18] = [
    "anthropic",
    "azure",
    "bedrock",
    "cerebras",
    "claude",
    "cohere",
    "deepseek",
    "fireworks",
    "gemini",
    "gpt-",
    "groq",
    "mistral",
    "ollama",
    "openrouter",
    "perplexity",
    "replicate",
    "vertex",
    "vllm",
];

/// Keys of configurations that were written for another gateway, and are answered with what to do instead.
const SPELLED_AS_ELSEWHERE: [&str; 6] = [
    "azure_key_config",
    "bedrock_key_config",
    "replicate_key_config",
    "vertex_key_config",
    "vllm_key_config",
    "openai_config",
];

struct Source {
    /// Below `host/src`, without the ending: `pipeline/send`.
    place: String,
    /// Without comments, and without the tests at its end.
    code: String,
}

impl Source {
    /// The module at the root that it belongs to.
    fn module(&self) -> &str {
        self.place.split('/').next().expect("a first part")
    }

    /// Whether `name::` stands in it as a path's beginning.
    fn names(&self, name: &str) -> bool {
        let path = format!("{name}::");
        self.code.match_indices(&path).any(|(at, _)| {
            !self.code[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_' || before == ':')
                || self.code[..at].ends_with(" ::")
        })
    }

    /// The modules at the root that it uses.
    fn uses(&self) -> BTreeSet<String> {
        let mut used = BTreeSet::new();
        for (at, prefix) in self.code.match_indices("crate::") {
            let rest = &self.code[at + prefix.len()..];
            match rest.strip_prefix('{') {
                Some(group) => used.extend(heads_of(group)),
                None => used.extend(identifier(rest)),
            }
        }
        used
    }
}

fn identifier(text: &str) -> Option<String> {
    let name: String =
        text.trim_start().chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect();
    (!name.is_empty()).then_some(name)
}

/// The first parts of `a::{b, c}, d}`.
fn heads_of(group: &str) -> Vec<String> {
    let mut heads = Vec::new();
    let mut depth = 1;
    let mut part = String::new();
    for letter in group.chars() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 || (depth == 1 && letter == ',') {
            heads.extend(identifier(&part));
            part.clear();
        } else {
            part.push(letter);
        }
        if depth == 0 {
            break;
        }
    }
    heads
}

fn sources() -> Vec<Source> {
    let folder = root().join("host/src");
    let mut sources = Vec::new();
    collect(&folder, &mut |file| {
        let place = file.strip_prefix(&folder).expect("below").with_extension("");
        let place = place.to_str().expect("UTF-8").trim_end_matches("/mod").to_owned();
        let text = std::fs::read_to_string(&file).expect("a source file");
        if place.split('/').any(|part| part == "tests") {
            return;
        }
        let text = text.split("#[cfg(test)]\nmod tests {").next().expect("a first part");
        let lines = text.lines().map(without_comment);
        sources.push(Source { place, code: lines.collect::<Vec<_>>().join("\n") });
    });
    assert!(sources.len() > 10, "the host has source files");
    sources
}

/// Slashes within a word are an address.
fn without_comment(line: &str) -> &str {
    let begins_comment = |at: &usize| line[..*at].chars().next_back().is_none_or(char::is_whitespace);
    let comment = line.match_indices("//").map(|(at, _)| at).find(begins_comment);
    &line[..comment.unwrap_or(line.len())]
}

fn collect(folder: &Path, take: &mut dyn FnMut(PathBuf)) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, take);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            take(path);
        }
    }
}

fn floor(module: &str) -> Option<u8> {
    FLOORS.iter().find(|(name, _)| *name == module).map(|(_, floor)| *floor)
}

/// Else each small piece would wait for the other side's word that it has got the one before, which takes 40 ms.
#[test]
fn no_socket_waits_for_more_to_send() {
    for place in ["server/connections", "pipeline/send/dial"] {
        let sources = sources();
        let source = sources.iter().find(|source| source.place == place).expect("callers, and upstreams");
        assert!(source.code.contains("set_nodelay(true)"), "{place}");
    }
}

#[test]
fn every_module_has_a_floor() {
    let unknown: Vec<String> =
        sources().iter().filter(|source| floor(source.module()).is_none()).map(|source| source.place.clone()).collect();
    assert_eq!(unknown, Vec::<String>::new(), "give it a floor here and in docs/architecture.md");
}

#[test]
fn every_floor_has_a_module() {
    let sources = sources();
    let modules: BTreeSet<&str> = sources.iter().map(Source::module).collect();
    let empty: Vec<&str> = FLOORS.iter().map(|(name, _)| *name).filter(|name| !modules.contains(name)).collect();
    assert_eq!(empty, Vec::<&str>::new(), "take it out here and in docs/architecture.md");
}

#[test]
fn modules_import_downwards_only() {
    let mut wrong = Vec::new();
    for source in sources() {
        let Some(own) = floor(source.module()) else { continue };
        for used in source.uses() {
            let fine =
                used == source.module() || floor(&used).is_none_or(|floor| floor < own || (floor, own) == (0, 0));
            if !fine {
                wrong.push(format!("{} uses {used}", source.place));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn every_outside_thing_has_one_home() {
    let mut wrong = Vec::new();
    for source in sources() {
        for (name, homes) in HOMES {
            let at_home =
                homes.iter().any(|home| source.place == *home || source.place.starts_with(&format!("{home}/")));
            if !at_home && source.names(name) {
                wrong.push(format!("{} names {name}, whose home is {homes:?}", source.place));
            }
        }
        let clients = ["hyper::client", "hyper_util::client", "reqwest::"];
        if source.place != "pipeline/send" && !source.place.starts_with("pipeline/send/") {
            wrong.extend(
                clients
                    .iter()
                    .filter(|client| source.code.contains(**client))
                    .map(|client| format!("{} names {client}, whose home is pipeline/send", source.place)),
            );
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

/// The providers that this source names.
fn named_in(source: &Source) -> Vec<String> {
    let mut code = source.code.to_lowercase();
    for spelled in SPELLED_AS_ELSEWHERE {
        code = code.replace(&format!("\"{spelled}\""), "");
    }
    // The canonical form is named after its inventor; that is a dialect, not a provider.
    let inventor = code.replace("\"openai-chat\"", "");
    let inventor = inventor.contains("\"openai") || inventor.contains("openai.com");
    let named = PROVIDERS.iter().filter(|name| code.contains(**name)).copied();
    named.chain(inventor.then_some("openai")).map(|name| format!("{} names {name}", source.place)).collect()
}

#[test]
fn the_host_knows_no_provider() {
    assert_eq!(sources().iter().flat_map(named_in).collect::<Vec<_>>(), Vec::<String>::new());
}

#[test]
fn a_provider_would_be_found_wherever_it_is_named() {
    let named = |line: &str| named_in(&Source { place: "there".to_owned(), code: without_comment(line).to_owned() });
    for (line, found) in [
        (r#"let url = "https://api.openai.com/v1"; // where it is"#, "there names openai"),
        (r#"let url = "https://api.anthropic.com";"#, "there names anthropic"),
        (r#"if model.starts_with("gpt-") {"#, "there names gpt-"),
        (r#"    "openai" => true,"#, "there names openai"),
        ("struct GroqClient;", "there names groq"),
    ] {
        assert_eq!(named(line), [found], "{line}");
    }
    for fine in
        ["// as openai.com does", "    /// See `https://api.anthropic.com`.", "let x = 1; // groq", r#""openai-chat""#]
    {
        assert_eq!(named(fine), Vec::<String>::new(), "{fine}");
    }
}
