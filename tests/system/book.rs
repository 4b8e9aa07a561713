//! Every code block of the book is run: a page's blocks from top to bottom, in a folder of the page's own, as by somebody
//! who types what stands there. The folder has `bin/plugway` and the first-party plugins, as an installation has.
//!
//! The first word after a fence says what is done with a block, and a second one says more:
//!
//! | block | is |
//! |---|---|
//! | `sh` | run; where it fails, or an answer is an error, its output must be shown |
//! | `sh serves` | run and left running: the gateway at 127.0.0.1:8080. Where no block was one, it has no configuration |
//! | `console` | run, each line after `$ ` by itself; what is shown below it is what it prints |
//! | `text output`, `json output` | what the block before it printed |
//! | `text log` | lines that the gateway writes to its log |
//! | `json`, `toml` | read; JSON may be several values |
//! | `yaml` | a configuration with which `plugway check` finds nothing wrong |
//! | `yaml providers` | the same, of what stands below `providers:` |
//! | `python` | run, with the official clients |
//! | `rust` | a doctest of the SDK, whose README alone may have one |
//! | … `file=NAME` | that file; blocks further down use it. A configuration is checked, too |
//! | `text drawing` | for the eye |
//! | … `not-run: REASON` | not run |
//!
//! In what is shown, `…` stands for anything, and ids, times and large numbers may be others.

#[path = "book/blocks.rs"]
mod blocks;
#[path = "book/page.rs"]
mod page;
#[path = "book/serving.rs"]
mod serving;
#[path = "book/shown.rs"]
mod shown;

use crate::gateway::root;
use blocks::{Role, blocks};
use page::Page;
use std::collections::BTreeSet;
use std::path::Path;

/// What nobody has typed. Each is one block less that is known to be true.
const NOT_RUN: usize = 2;

macro_rules! pages {
    ($($test:ident: $page:literal,)*) => {
        const PAGES: &[&str] = &[$($page),*];

        $(
            #[tokio::test]
            async fn $test() {
                follow($page).await;
            }
        )*
    };
}

pages! {
    readme: "README.md",
    contents: "docs/README.md",
    start: "docs/start.md",
    operate: "docs/operate.md",
    author: "docs/author.md",
    languages: "docs/languages.md",
    contract: "docs/contract.md",
    architecture: "docs/architecture.md",
    configuration: "docs/examples/reference.md",
    commands: "docs/reference-cli.md",
    sdk: "plugin-sdk/README.md",
    new_project_in_rust: "host/templates/rust/project/README.md",
    new_project_in_javascript: "host/templates/js/project/README.md",
    new_project_in_python: "host/templates/python/project/README.md",
    new_project_in_a_script: "host/templates/script/project/README.md",
    format_anthropic: "plugins/format-anthropic/README.md",
    format_openai_responses: "plugins/format-openai-responses/README.md",
    provider_openai: "plugins/provider-openai/README.md",
    an_api_to_write_for: "tests/authors/acme/API.md",
    an_api_that_an_outsider_wrote_for: "tests/outsider/API.md",
}

async fn follow(name: &str) {
    let (mut page, text) = Page::open(name).await;
    for block in blocks(&text).unwrap_or_else(|mistake| panic!("{name}: {mistake}")) {
        if let Err(mistake) = page.run(&block).await {
            panic!("{name}:{}: {mistake}", block.line);
        }
    }
    page.end().unwrap_or_else(|mistake| panic!("{name}: its last block failed: {mistake}"));
}

/// A page that nobody follows would be true by chance.
#[test]
fn every_page_is_followed() {
    let mut pages = BTreeSet::new();
    collect(root(), &mut pages);
    assert_eq!(pages, PAGES.iter().map(|&page| page.to_owned()).collect());
}

#[test]
fn few_blocks_are_not_run() {
    let mut not_run = Vec::new();
    for page in PAGES {
        let text = std::fs::read_to_string(root().join(page)).expect("a page");
        let blocks = blocks(&text).unwrap_or_else(|mistake| panic!("{page}: {mistake}"));
        not_run.extend(blocks.into_iter().filter_map(|block| match block.role {
            Role::NotRun(reason) => Some(format!("{page}:{}: {reason}", block.line)),
            _ => None,
        }));
    }
    println!("{} blocks are not run\n{}", not_run.len(), not_run.join("\n"));
    assert_eq!(not_run.len(), NOT_RUN, "{not_run:#?}");
}

/// All Markdown but decisions and benchmarks, which are of their day, and what tools have brought.
fn collect(folder: &Path, pages: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        let name = entry.file_name().into_string().expect("UTF-8");
        let leave = ["target", "node_modules", "decisions", "benchmarks.md"].contains(&name.as_str());
        // Links lead to what is found anyway.
        if leave || name.starts_with('.') || path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            collect(&path, pages);
        } else if name.ends_with(".md") {
            let page = path.strip_prefix(root()).expect("below the root");
            pages.insert(page.to_str().expect("UTF-8").to_owned());
        }
    }
}
