//! What is measured and what it is set up with: the upstream and nginx, in a temporary folder; Plugway is in `plugway.rs`.

use crate::process::{self, GATEWAY_CORE, Process};
use crate::upstream::{Dialect, Upstream};
use anyhow::{Context, Result};
use bytes::Bytes;
use serde_json::json;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) struct Options {
    pub(crate) rounds: usize,
    pub(crate) seconds: u64,
    pub(crate) streams: usize,
    pub(crate) plugway: PathBuf,
    pub(crate) plugins: PathBuf,
}

impl Default for Options {
    fn default() -> Self {
        let (plugway, plugins) = ("target/release/plugway".into(), "target/plugins".into());
        Options { rounds: 5, seconds: 3, streams: 2_000, plugway, plugins }
    }
}

pub(crate) struct Lab {
    pub(crate) options: Options,
    pub(crate) upstream: Upstream,
    folder: Folder,
}

/// A running gateway.
pub(crate) struct Gateway {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
    /// Where it does not collect answers before it passes them on.
    pub(crate) unbuffered: SocketAddr,
}

/// A way to the upstream: an address, and what to ask there.
#[derive(Clone)]
pub(crate) struct Route {
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
    pub(crate) path: &'static str,
    model: String,
}

impl Lab {
    pub(crate) fn open(options: Options) -> Result<Lab> {
        Ok(Lab { options, upstream: Upstream::start()?, folder: Folder::new()? })
    }

    pub(crate) async fn nginx(&self) -> Result<Gateway> {
        let (address, unbuffered) = (free_address()?, free_address()?);
        let folder = self.folder.0.display();
        let upstream = self.upstream.address;
        // One process, which is the worker; as root, nginx would otherwise give up its rights to its own folder.
        let config = format!(
            "
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/nginx-error.log warn;
worker_rlimit_nofile 16384;
events {{ worker_connections 8192; }}
http {{
    access_log {folder}/nginx-access.log combined;
    client_body_temp_path {folder}/nginx-body;
    proxy_temp_path {folder}/nginx-proxy;
    fastcgi_temp_path {folder}/nginx-fastcgi;
    uwsgi_temp_path {folder}/nginx-uwsgi;
    scgi_temp_path {folder}/nginx-scgi;
    keepalive_requests 1000000000;
    proxy_http_version 1.1;
    proxy_set_header connection \"\";
    upstream mock {{ server {upstream}; keepalive 4096; keepalive_requests 1000000000; }}
    server {{ listen {address} backlog=4096; location / {{ proxy_pass http://mock; }} }}
    server {{ listen {unbuffered} backlog=4096; location / {{ proxy_pass http://mock; proxy_buffering off; }} }}
}}
"
        );
        let file = self.file("nginx.conf");
        fs::write(&file, config)?;
        let arguments = ["-c", text(&file)?, "-p", text(&self.folder.0)?];
        let mut process = Process::start(GATEWAY_CORE, Path::new("nginx"), &arguments, self.file("nginx.log"))?;
        process.listens(address).await.context("nginx")?;
        Ok(Gateway { process, address, unbuffered })
    }

    /// The floor under Plugway: see `bare.rs`.
    pub(crate) async fn bare(&self) -> Result<Gateway> {
        let address = free_address()?;
        let (listen, upstream) = (address.to_string(), self.upstream.address.to_string());
        let arguments = ["bare", listen.as_str(), upstream.as_str()];
        let mut process = Process::start(GATEWAY_CORE, &std::env::current_exe()?, &arguments, self.file("bare.log"))?;
        process.listens(address).await.context("the bare proxy")?;
        Ok(Gateway { process, address, unbuffered: address })
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.0.join(name)
    }

    /// Straight to the upstream.
    pub(crate) fn direct(&self, dialect: Dialect) -> Route {
        let name = match dialect {
            Dialect::OpenAi => "direct",
            Dialect::Anthropic => "direct, Anthropic",
        };
        Route { name, address: self.upstream.address, path: dialect.path(), model: "gpt-4o-mini".to_owned() }
    }

    /// What the numbers depend on.
    pub(crate) fn conditions(&self) -> String {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown processor");
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let options = &self.options;
        format!(
            "{}, {} cores; Linux {}; {}; {}; {} rounds of {} s, load and upstream beside the gateway on the other cores.\n",
            model.trim_start_matches([' ', '\t', ':']),
            process::cores(),
            kernel.trim(),
            said_by("nginx", "-v").trim_start_matches("nginx version: "),
            said_by("wrk", "-v").split(" Copyright").next().unwrap_or_default().trim(),
            options.rounds,
            options.seconds,
        )
    }
}

impl Gateway {
    /// nginx passes on what it gets, so the upstream's dialect is the caller's.
    pub(crate) fn as_nginx(&self, dialect: Dialect) -> Route {
        Route { name: "nginx", address: self.address, path: dialect.path(), model: "gpt-4o-mini".to_owned() }
    }

    /// The same for streams.
    pub(crate) fn as_nginx_unbuffered(&self, dialect: Dialect) -> Route {
        Route { name: "nginx, unbuffered", address: self.unbuffered, ..self.as_nginx(dialect) }
    }

    pub(crate) fn as_bare(&self, dialect: Dialect) -> Route {
        Route { name: "hyper, bare", ..self.as_nginx(dialect) }
    }

    /// The caller always speaks OpenAI's dialect; the model decides what the upstream speaks.
    pub(crate) fn as_plugway(&self, dialect: Dialect) -> Route {
        let (name, model) = match dialect {
            Dialect::OpenAi => ("plugway", "openai/gpt-4o-mini"),
            Dialect::Anthropic => ("plugway, OpenAI → Anthropic", "anthropic/claude-sonnet-4-5"),
        };
        self.to(name, model)
    }

    /// A model by the name that callers use.
    pub(crate) fn to(&self, name: &'static str, model: &str) -> Route {
        Route { name, address: self.address, path: Dialect::OpenAi.path(), model: model.to_owned() }
    }
}

impl Route {
    /// A chat request of exactly 1 KB.
    pub(crate) fn body(&self, streaming: bool) -> Bytes {
        let with = |text: &str| {
            json!({
                "model": self.model,
                "messages": [
                    {"role": "system", "content": "You answer in six sentences and never in seven."},
                    {"role": "user", "content": text},
                ],
                "temperature": 0.5,
                "max_tokens": 500,
                "stream": streaming,
            })
            .to_string()
        };
        let words = "What does a gateway do all day? ".repeat(32);
        with(&words[..1_024 - with("").len()]).into()
    }
}

pub(crate) fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is not UTF-8")
}

fn said_by(program: &str, argument: &str) -> String {
    let output = Command::new(program).arg(argument).output();
    let said = output.map(|output| [output.stdout, output.stderr].concat()).unwrap_or_default();
    String::from_utf8_lossy(&said).lines().next().unwrap_or(program).to_owned()
}

pub(crate) fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?)
}

/// A temporary folder that goes away with the lab.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Folder> {
        let path = std::env::temp_dir().join(format!("plugway-bench-{}", std::process::id()));
        fs::create_dir_all(&path)?;
        Ok(Folder(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
