//! Values that stand elsewhere: in the environment or in a file.

use super::env;
use crate::config::{Loaded, Mistakes, Tls, parse};
use std::path::Path;
use tempfile::TempDir;

fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = TempDir::new().expect("a folder");
    for (name, content) in files {
        std::fs::write(folder.path().join(name), content).expect("a file");
    }
    folder
}

fn read(yaml: &str, base: &Path) -> Result<Loaded, Mistakes> {
    parse(yaml, base, &env)
}

#[test]
fn a_secret_may_stand_in_a_file() {
    let folder = folder(&[("openai", b"sk-of-a-file\n"), ("words", b"a good deal of words\r\n")]);
    let absolute = folder.path().join("openai");
    let yaml = format!(
        "
providers:
  a: {{keys: [{{value: file.openai}}], network_config: {{extra_headers: {{x-key: 'file.{}'}}}}}}
admin: {{key: file.openai}}
encryption_key: file.words
",
        absolute.display()
    );
    let Loaded { config, warnings } = read(&yaml, folder.path()).expect("a good configuration");
    assert_eq!(config.providers["a"].keys[0].secret.expose(), "sk-of-a-file");
    assert_eq!(config.providers["a"].network.extra_headers[0].1, "sk-of-a-file");
    assert!(config.admin.key.is_some_and(|key| key.expose() == "sk-of-a-file"));
    assert!(config.store.encryption_key.is_some_and(|words| words.expose() == "a good deal of words"));
    assert_eq!(warnings, [""; 0], "nothing secret stands in the configuration itself");
    assert_eq!(config.reads.into_iter().collect::<Vec<_>>(), [absolute, folder.path().join("words")]);
    let shown = config.shown["a"].block.as_ref().expect("a block");
    assert_eq!(shown["keys"][0]["value"], "file.openai", "a reference is no secret");
}

#[test]
fn certificates_may_stand_elsewhere() {
    let folder = folder(&[("ca.pem", include_bytes!("ca.pem")), ("none.pem", b"nothing")]);
    let provider = |value: &str| format!("providers: {{a: {{network_config: {{ca_cert_pem: {value}}}}}}}");
    let loaded = read(&provider("file.ca.pem"), folder.path()).expect("a good configuration");
    assert!(matches!(&loaded.config.providers["a"].network.line.tls, Tls::CustomCa(list) if list.len() == 1));
    let wrong = read(&provider("file.none.pem"), folder.path()).expect_err("no certificate");
    let place = folder.path().join("none.pem");
    let told = format!("the file {} has no certificate in PEM in it", place.display());
    assert!(wrong.to_string().contains(&told), "{wrong}");
    let wrong = read(&provider("env.OPENAI_API_KEY"), folder.path()).expect_err("no certificate");
    assert!(wrong.to_string().contains("the environment variable OPENAI_API_KEY has no certificate"), "{wrong}");
}

#[test]
fn a_file_that_is_no_good_is_named_and_not_quoted() {
    let folder = folder(&[
        ("empty", b"\n"),
        ("two-lines", b"sk-first\nsk-second\n"),
        ("bytes", b"sk-\xff"),
        ("large", &vec![b'k'; 1024 * 1024 + 1]),
    ]);
    std::fs::create_dir(folder.path().join("folder")).expect("a folder");
    for (name, fault) in [
        ("nowhere", "cannot be read: "),
        ("empty", "is empty"),
        ("two-lines", "has a line break or another character in it that no header can carry"),
        ("bytes", "is not UTF-8"),
        ("large", "is larger than 1024 KB"),
        ("folder", "is no plain file"),
    ] {
        let yaml = format!("providers: {{a: {{keys: [{{value: file.{name}}}]}}}}");
        let wrong = read(&yaml, folder.path()).expect_err(name).to_string();
        let told =
            format!("providers.a.keys[0].value (line 1): the file {} {fault}", folder.path().join(name).display());
        assert!(wrong.contains(&told), "{wrong}");
        assert!(!wrong.contains("sk-"), "{wrong}");
    }
    let wrong = read("providers: {a: {keys: [{value: file.}]}}", folder.path()).expect_err("no name");
    assert!(wrong.to_string().contains("must name a file after `file.`"), "{wrong}");
}
