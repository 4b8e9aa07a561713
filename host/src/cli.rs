//! The command line.

mod check;
mod explain;
mod plugin;
mod serve;

use crate::plugins;
use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// What scripts may rely on; the numbers are those of BSD's sysexits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Fine,
    /// What was checked is not as it should be.
    Refused,
    /// The command line is wrong.
    Usage,
    /// The configuration is wrong.
    Config,
    /// The machine does not give what is needed: an address, a thread, a program.
    Unavailable,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(match exit {
            Exit::Fine => 0,
            Exit::Refused => 1,
            Exit::Usage => 64,
            Exit::Unavailable => 69,
            Exit::Config => 78,
        })
    }
}

/// The LLM gateway whose providers are plugins.
#[derive(Parser)]
#[command(name = "plugway", version, about, disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve. Without a configuration there is one provider, `echo`, which answers by itself.
    Serve {
        /// The configuration; `plugway.yaml` in this folder where there is one.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Where to listen, in place of the configuration's `listen`.
        #[arg(long, value_name = "ADDRESS")]
        listen: Option<String>,
    },
    /// Say everything that is wrong with a configuration, and load the plugins that it needs.
    Check {
        /// The configuration; `plugway.yaml` in this folder where there is one.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Say what would become of a request: who would be asked, in which order, with what, and who not. Nothing is sent.
    Explain(explain::Explain),
    /// What a gateway starts to compile a plugin.
    #[command(name = plugins::COMPILE, hide = true)]
    CompileForParent { memory_limit_bytes: u64 },
    /// Build plugins and look into them.
    #[command(subcommand)]
    Plugin(PluginCommand),
}

#[derive(Subcommand)]
enum PluginCommand {
    /// Make a project for a new plugin, which builds and passes its own test at once.
    New {
        /// Its name: lower-case letters, digits and hyphens. Configurations may leave the kind before it off.
        name: String,
        /// What it is for.
        #[arg(long)]
        kind: plugin::Kind,
        /// What it is written in.
        #[arg(long = "lang", value_name = "LANGUAGE", default_value = "rust")]
        language: plugin::Language,
        /// Where the project is made, in place of a folder of its name.
        #[arg(long, value_name = "FOLDER")]
        into: Option<PathBuf>,
    },
    /// Build plugins from their source folders.
    Build {
        /// Folders with a Cargo.toml (Rust), a package.json (JavaScript) or a pyproject.toml (Python).
        #[arg(required = true, value_name = "FOLDER")]
        folders: Vec<PathBuf>,
        /// Where `<name>.wasm` is put.
        #[arg(long, value_name = "FOLDER", default_value = "target/plugins")]
        out: PathBuf,
    },
    Check(plugin::Check),
    Test(plugin::Test),
    Bench(plugin::Bench),
    Dev(plugin::Dev),
    Replay(plugin::Replay),
    Inspect(plugin::Inspect),
}

pub fn run() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Nobody can be told when the terminal is gone.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage } else { Exit::Fine }.into();
        }
    };
    match arguments.command {
        Command::Serve { config, listen } => serve::serve(config, listen.as_deref()),
        Command::Check { config } => check::check(config),
        Command::Explain(arguments) => explain::explain(arguments),
        Command::CompileForParent { memory_limit_bytes } => compile_for_parent(memory_limit_bytes),
        Command::Plugin(PluginCommand::New { name, kind, language, into }) => plugin::new(&name, kind, language, into),
        Command::Plugin(PluginCommand::Build { folders, out }) => plugin::build(&folders, &out),
        Command::Plugin(PluginCommand::Check(arguments)) => plugin::check(arguments),
        Command::Plugin(PluginCommand::Dev(arguments)) => plugin::dev(arguments),
        Command::Plugin(PluginCommand::Replay(arguments)) => plugin::replay(arguments),
        Command::Plugin(PluginCommand::Bench(arguments)) => plugin::bench(arguments),
        Command::Plugin(PluginCommand::Test(arguments)) => plugin::test(arguments),
        Command::Plugin(PluginCommand::Inspect(arguments)) => plugin::inspect(arguments),
    }
    .into()
}

fn compile_for_parent(memory_limit_bytes: u64) -> Exit {
    match plugins::compile_for_parent(memory_limit_bytes) {
        Ok(()) => Exit::Fine,
        Err(message) => {
            eprintln!("plugway: {message}");
            Exit::Refused
        }
    }
}

/// What is read when no configuration is named.
const USUAL_CONFIG: &str = "plugway.yaml";

/// The configuration that is meant: the one that was named, else the usual one where it lies here.
fn config_file(named: Option<PathBuf>) -> Option<PathBuf> {
    named.or_else(|| Some(PathBuf::from(USUAL_CONFIG)).filter(|usual| usual.is_file()))
}

/// Where plugins lie when there is no configuration: beside the program, as releases and the build tree have them.
fn usual_plugin_folders() -> Vec<PathBuf> {
    let program = std::env::current_exe().ok();
    let beside = program.as_deref().and_then(std::path::Path::parent);
    beside.into_iter().flat_map(|beside| [beside.join("plugins"), beside.join("../plugins")]).collect()
}

/// A runtime for commands that load plugins and go.
fn small_runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

#[cfg(test)]
mod tests {
    use super::Arguments;
    use clap::{Command, CommandFactory, Parser as _};
    use std::fmt::Write as _;

    const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference-cli.md");

    /// Each command that does something, as it is called.
    fn visit(command: &Command, words: &str, seen: &mut dyn FnMut(&str)) {
        let mut subcommands = command.get_subcommands().filter(|command| !command.is_hide_set()).peekable();
        if subcommands.peek().is_none() {
            return seen(words);
        }
        for inner in subcommands {
            visit(inner, &format!("{words} {}", inner.get_name()), seen);
        }
    }

    /// What it prints when it is asked.
    fn help(words: &str) -> String {
        let asked = Arguments::try_parse_from(words.split(' ').chain(["--help"]));
        asked.err().expect("help is no command").to_string()
    }

    /// Run with `UPDATE=1` to write the page anew.
    #[test]
    fn the_reference_of_commands_is_up_to_date() {
        let mut page = "# Every command\n\nGenerated from the program's own help; a test holds it up to date.\n\n\
                        The exit code is 0 where all is well, 1 where what was looked at is not as it should be, 64 for a \
                        wrong command line, 69 where the machine does not give what is needed, and 78 for a wrong \
                        configuration.\n"
            .to_owned();
        visit(&Arguments::command(), "plugway", &mut |words| {
            let help = help(words);
            let help = help.trim_end();
            write!(page, "\n## `{words}`\n\n```console\n$ {words} --help\n{help}\n```\n").expect("room for a page");
        });
        #[expect(clippy::disallowed_methods, reason = "a switch of this test alone")]
        let update = std::env::var_os("UPDATE").is_some();
        if update {
            std::fs::write(PAGE, &page).expect("a writable page");
        }
        assert_eq!(std::fs::read_to_string(PAGE).expect("the page"), page, "run this test with UPDATE=1");
    }
}
