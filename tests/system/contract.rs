//! What has been published stays: every plugin that was built against a version of the contract runs on every host that
//! offers the version. `tests/contract/freeze.sh` publishes one.

use crate::gateway::{Setup, root};
use crate::guests::Component;
use serde_json::json;
use std::path::{Path, PathBuf};
use wit_component::semver_check;
use wit_parser::{PackageId, Resolve};

/// Dependencies first.
const PACKAGES: [&str; 6] = ["plugin", "provider", "format", "headers", "policy", "script"];

fn folders(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    entries.sort();
    entries
}

/// The packages of a folder. Published ones get another version, as one `Resolve` holds none twice.
fn packages(resolve: &mut Resolve, file: impl Fn(&str) -> PathBuf, version: Option<(&str, &str)>) -> Vec<PackageId> {
    let read = |package: &str| {
        let file = file(package);
        let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let text = match version {
            Some((published, shown)) => text.replace(&format!("@{published}"), &format!("@{shown}")),
            None => text,
        };
        (file, text)
    };
    let push = |package: &&str| {
        let (file, text) = read(package);
        resolve.push_str(&file, &text).unwrap_or_else(|error| panic!("{}: {error:#}", file.display()))
    };
    PACKAGES.iter().map(push).collect()
}

/// Worlds that plugins were built against are still there, and a plugin of then fits the world of now.
#[test]
fn published_versions_are_still_offered() {
    for published in folders(&root().join("tests/contract/frozen")) {
        let version = published.file_name().expect("a name").to_str().expect("UTF-8");
        let mut resolve = Resolve::default();
        let then = packages(&mut resolve, |name| published.join(format!("{name}.wit")), Some((version, "0.0.1")));
        let now = packages(&mut resolve, |name| root().join("wit").join(name).join(format!("{name}.wit")), None);
        for (then, now) in then.into_iter().zip(now) {
            let worlds = resolve.packages[then].worlds.clone();
            for (world, then) in worlds {
                let now = resolve.packages[now].worlds.get(&world).copied();
                let now = now.unwrap_or_else(|| panic!("{version} had the world {world}, and it is gone"));
                if let Err(error) = semver_check(resolve.clone(), then, now) {
                    panic!(
                        "{world}: a plugin built against {version} would not run any more: {error:#}\nundo the change, or \
                         publish it as a new version beside the old one, as docs/contract.md says"
                    );
                }
            }
        }
    }
}

/// A check that finds nothing would be none.
#[test]
fn one_more_field_breaks_the_promise() {
    let types =
        |field: &str| format!("interface types {{ record header {{ name: string{field} }} f: func() -> header; }}");
    let package = |version, field| format!("package a:b@{version};\n{}\nworld w {{ export types; }}", types(field));
    let mut resolve = Resolve::default();
    let then = resolve.push_str("then.wit", &package("0.0.1", "")).expect("WIT");
    let now = resolve.push_str("now.wit", &package("0.1.0", ", value: string")).expect("WIT");
    let (then, now) = (resolve.packages[then].worlds["w"], resolve.packages[now].worlds["w"]);
    assert!(semver_check(resolve.clone(), then, then).is_ok());
    assert!(semver_check(resolve, then, now).is_err());
}

#[tokio::test]
async fn plugins_of_every_published_version_answer() {
    let kept = folders(&root().join("tests/contract/plugins"));
    assert!(!kept.is_empty(), "tests/contract/freeze.sh keeps one for each version");
    for file in kept {
        let bytes = std::fs::read(&file).expect("a component");
        let gateway = Setup::bare()
            .plugin("echo.wasm", Component::of_bytes(&bytes))
            .provider("echo", json!({"plugin": "echo"}))
            .start()
            .await;
        for answer in [gateway.chat("echo/m", "still there?").await, gateway.stream("echo/m", "still there?").await] {
            assert_eq!(answer.status, 200, "{}: {}", file.display(), answer.text());
            assert!(answer.content().contains("still there?"), "{}: {}", file.display(), answer.text());
        }
    }
}
