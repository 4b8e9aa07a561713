//! A page that somebody follows: a folder, what was typed so far, and the gateway that serves.

use super::blocks::{Block, Role};
use super::serving::{PATIENCE, Serving};
use super::shown::{is_in_log, same_json, same_text};
use crate::authors;
use crate::dialects::{Dialect, play};
use crate::gateway::{BINARY, copy_first_party, free_address, place, provider, root};
use crate::guests::Component;
use crate::upstream::Upstream;
use regex::Regex;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::LazyLock;
use std::time::{Duration, Instant};
use tokio::process::Command;

/// Where the pages say that the gateway is.
const ADDRESS: &str = "127.0.0.1:8080";
/// The same for those who have it from elsewhere.
const BY_NAME: &str = "localhost:8080";

static KEY: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\benv\.([A-Z0-9_]+)").expect("a pattern"));

pub struct Page {
    name: String,
    folder: tempfile::TempDir,
    /// The variables that its configurations take keys from.
    keys: Vec<String>,
    /// What the last block printed; an error where it failed, which must be shown then.
    printed: Result<String, String>,
    serving: Option<Serving>,
    outside: Outside,
}

/// The services of the outside world that the pages talk about.
struct Outside {
    openai: Upstream,
    anthropic: Upstream,
    acme: Upstream,
}

impl Page {
    /// With its text. A template's README is read in the project that is made with it.
    pub async fn open(name: &str) -> (Page, String) {
        let outside = Outside {
            openai: Upstream::start().await,
            anthropic: Upstream::start().await,
            acme: authors::acme().await,
        };
        play(Dialect::OpenAi, &outside.openai);
        play(Dialect::Anthropic, &outside.anthropic);
        // Not in the system's folder for such things: the program is linked to, not copied.
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        let (bin, plugins) = (folder.path().join("bin"), folder.path().join("plugins"));
        for folder in [&bin, &plugins] {
            std::fs::create_dir(folder).expect("a folder");
        }
        std::fs::hard_link(BINARY, bin.join("plugway")).expect("a link to the program");
        copy_first_party(&plugins);
        // An answer that is an error is a command that failed.
        std::fs::write(folder.path().join(".curlrc"), "silent\nfail-with-body\n").expect("what curl reads");
        let mut page = Page {
            name: name.to_owned(),
            folder,
            keys: Vec::new(),
            printed: Ok(String::new()),
            serving: None,
            outside,
        };
        let text = page.furnish().await;
        page.keys = KEY.captures_iter(&text).map(|found| found[1].to_owned()).collect();
        (page, text)
    }

    /// What a reader of this page has beside the gateway.
    async fn furnish(&self) -> String {
        let read = |file: PathBuf| std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file:?}: {error}"));
        if let Some(template) = self.name.strip_prefix("host/templates/") {
            let (language, _) = template.split_once('/').expect("a folder for each language");
            let new = format!("plugway plugin new x-provider --kind provider --lang {language} --into x");
            self.shell(&new).await.expect("a project");
            for entry in std::fs::read_dir(self.folder.path().join("x")).expect("a project").flatten() {
                std::fs::rename(entry.path(), self.folder.path().join(entry.file_name())).expect("its files");
            }
            return read(self.folder.path().join("README.md"));
        }
        if self.name == "README.md" {
            // In a clone, what is built lies there.
            std::os::unix::fs::symlink(".", self.folder.path().join("target")).expect("a link");
        }
        if self.name == "docs/operate.md" {
            // The operator of that page has them from somebody.
            for version in ["0.1.0", "0.2.0"] {
                let file = self.folder.path().join(format!("plugins/acme-{version}.wasm"));
                std::fs::write(file, Component::acme(version).bytes()).expect("a plugin");
            }
        }
        read(root().join(&self.name))
    }

    /// Does with a block what `book.rs` says.
    pub async fn run(&mut self, block: &Block) -> Result<(), String> {
        let text = block.text.as_str();
        if let (Err(said), false) = (&self.printed, block.role == Role::Output) {
            return Err(format!("what is before this block failed, and what it says is not shown:\n{said}"));
        }
        match (block.language.as_str(), &block.role) {
            (_, Role::NotRun(_)) | ("text", Role::Drawing) => Ok(()),
            ("yaml", Role::File(name)) => {
                self.check(text).await?;
                self.write(name, &self.played(text))
            }
            (language, Role::File(name)) => reads(language, text).and_then(|()| self.write(name, text)),
            ("sh", Role::Serves) => self.serve(text).await,
            ("sh", Role::Plain) => {
                self.be_served(text).await?;
                self.printed = self.shell(text).await;
                Ok(())
            }
            ("console", Role::Plain) => self.talk(text).await,
            ("python", Role::Plain) => {
                self.be_served(text).await?;
                let python = place("PLUGWAY_PYTHON", "target/venv/bin/python");
                self.write("page.py", &self.addressed(text))?;
                self.printed = self.shell(&format!("'{}' page.py", python.display())).await;
                Ok(())
            }
            ("text", Role::Output) => same_text(text, &self.take_printed()),
            ("json", Role::Output) => same_json(text, &self.take_printed()),
            ("text", Role::Log) => self.wait_for_log(text).await,
            ("yaml", Role::Plain) => self.check(text).await,
            ("yaml", Role::Providers) => self.check(&format!("providers:\n{text}")).await,
            ("json" | "toml", Role::Plain) => reads(block.language.as_str(), text),
            ("rust", Role::Plain) if self.name == "plugin-sdk/README.md" => Ok(()),
            (language, role) => Err(format!("nobody knows how to run a block that is `{language}` and {role:?}")),
        }
    }

    /// Nothing may be left over when the page ends.
    pub fn end(self) -> Result<(), String> {
        self.printed.map(drop)
    }

    fn take_printed(&mut self) -> String {
        std::mem::replace(&mut self.printed, Ok(String::new())).unwrap_or_else(|said| said)
    }

    /// Commands with what they print.
    async fn talk(&mut self, text: &str) -> Result<(), String> {
        for turn in format!("\n{text}").split("\n$ ").skip(1) {
            let (command, shown) = turn.split_once('\n').unwrap_or((turn, ""));
            self.be_served(command).await?;
            // One that fails is shown with what it says, which is compared.
            let printed = self.shell(command).await.unwrap_or_else(|said| said);
            same_text(shown, &printed).map_err(|mistake| format!("$ {command}\n{mistake}"))?;
        }
        Ok(())
    }

    /// Runs a command to its end and gives what it printed, on standard error too where it failed.
    async fn shell(&self, command: &str) -> Result<String, String> {
        let running = self.command(&self.addressed(command)).output();
        let output = tokio::time::timeout(PATIENCE, running).await.map_err(|_| "it does not end")?.expect("a shell");
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let printed = match &self.serving {
            Some(serving) => printed.replace(&serving.address, ADDRESS),
            None => printed,
        };
        match output.status.success() {
            true => Ok(printed),
            false => Err(printed + &String::from_utf8_lossy(&output.stderr)),
        }
    }

    /// A shell in the page's folder that gives way to other tests, as builds would slow them down.
    fn command(&self, text: &str) -> Command {
        let tools = place("PLUGWAY_AUTHORS", "target/authors").with_file_name("author-tools");
        let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let path = [self.folder.path().join("bin"), tools.join("node_modules/.bin"), tools.join(".venv/bin")];
        let path = std::env::join_paths(path.into_iter().chain(std::env::split_paths(&path_of_the_tests())));
        let mut command = Command::new("nice");
        command
            .args(["sh", "-euc", text])
            .current_dir(self.folder.path())
            .env("PATH", path.expect("a path"))
            .env("XDG_CACHE_HOME", target.join("book-cache"))
            .env("XDG_DATA_HOME", self.folder.path().join("data"))
            // That of `tests/authors/build.sh`, so that the SDK's dependencies are built once.
            .env("CARGO_TARGET_DIR", target.with_file_name("new-projects"))
            .envs([("npm_config_prefer_offline", "true"), ("npm_config_audit", "false")])
            .envs([("no_proxy", "127.0.0.1"), ("NO_PROXY", "127.0.0.1")])
            .env("CURL_HOME", self.folder.path())
            .envs(self.keys.iter().map(|name| (name, if name == "ACME_API_KEY" { authors::TOKEN } else { "sk-book" })))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        command
    }

    /// Starts what the page says, in place of what served before.
    async fn serve(&mut self, text: &str) -> Result<(), String> {
        self.serving = None;
        let address = free_address().to_string();
        let text = ["plugway serve", "plugway plugin dev"]
            .iter()
            .fold(text.to_owned(), |text, command| text.replace(command, &format!("{command} --listen {address}")));
        let mut serving = Serving::start(self.command(&text), address);
        serving.wait_until_healthy().await?;
        self.serving = Some(serving);
        Ok(())
    }

    /// Starts a gateway where a command asks for one and there is none yet.
    async fn be_served(&mut self, command: &str) -> Result<(), String> {
        match self.serving.is_none() && [ADDRESS, BY_NAME].iter().any(|address| command.contains(address)) {
            true => self.serve("plugway serve").await,
            false => Ok(()),
        }
    }

    async fn wait_for_log(&self, text: &str) -> Result<(), String> {
        let serving = self.serving.as_ref().ok_or("nothing serves here")?;
        let start = Instant::now();
        for line in text.lines() {
            while !is_in_log(line, &serving.log()) {
                if start.elapsed() > PATIENCE {
                    return Err(format!("the log has no line like\n{line}\nbut\n{}", serving.log()));
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        Ok(())
    }

    async fn check(&self, configuration: &str) -> Result<(), String> {
        self.write("checked.yaml", configuration)?;
        self.shell("plugway check --config checked.yaml && rm checked.yaml").await.map(drop)
    }

    fn write(&self, name: &str, text: &str) -> Result<(), String> {
        let file = self.folder.path().join(name);
        let written = file.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| std::fs::write(&file, text));
        written.map_err(|error| format!("{name}: {error}"))
    }

    fn addressed(&self, text: &str) -> String {
        match &self.serving {
            Some(serving) => text.replace(BY_NAME, ADDRESS).replace(ADDRESS, &serving.address),
            None => text.to_owned(),
        }
    }

    /// A configuration whose services are played by the test.
    fn played(&self, configuration: &str) -> String {
        let network = |upstream: &Upstream| provider("", &upstream.url())["network_config"].to_string();
        let Outside { openai, anthropic, acme } = &self.outside;
        configuration
            .replace("\n  openai:\n", &format!("\n  openai:\n    network_config: {}\n", network(openai)))
            .replace("\n  anthropic:\n", &format!("\n  anthropic:\n    network_config: {}\n", network(anthropic)))
            .replace(r#"{base_url: "https://api.acme.example"}"#, &network(acme))
    }
}

/// Whether the text is of that language, as far as that can be said without running it.
fn reads(language: &str, text: &str) -> Result<(), String> {
    let mistake = match language {
        "json" => serde_json::Deserializer::from_str(text)
            .into_iter::<Value>()
            .find_map(|value| Some(value.err()?.to_string())),
        "toml" => toml::from_str::<toml::Table>(text).err().map(|error| error.to_string()),
        "js" | "ts" | "rust" | "python" | "sh" => None,
        other => Some(format!("nobody knows the language `{other}`")),
    };
    mistake.map_or(Ok(()), Err)
}

#[expect(clippy::disallowed_methods, reason = "what the reader's tools are found by")]
fn path_of_the_tests() -> std::ffi::OsString {
    std::env::var_os("PATH").expect("a path")
}
