//! The real binary on a real port, with a configuration and a folder of plugins of its own.
//!
//! ```ignore
//! let gateway = Gateway::with(&[("openai", openai(&upstream.url()))]).await;
//! let answer = gateway.chat("openai/gpt-x", "hello").await;
//! assert_eq!(answer.status, 200);
//! ```

use crate::guests::Component;
use crate::sse::{self, Event};
use serde_json::{Map, Value, json};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};

/// Long enough for a loaded machine with two cores; nothing that works takes it.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Long enough for a tool that compiles a large component first, beside other tests that do.
pub const LONG: Duration = Duration::from_secs(180);

pub const BINARY: &str = env!("CARGO_BIN_EXE_plugway");

/// The repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the host's crate has a folder around it")
}

/// What `make test` says, or where it puts things.
#[expect(clippy::disallowed_methods, reason = "no configuration reaches the tests but the environment")]
pub fn place(variable: &str, by_default: &str) -> PathBuf {
    std::env::var_os(variable).map_or_else(|| root().join(by_default), PathBuf::from)
}

/// Where the first-party plugins lie.
pub fn plugins_folder() -> PathBuf {
    place("PLUGWAY_PLUGINS", "target/plugins")
}

/// A gateway to be.
pub struct Setup {
    config: Map<String, Value>,
    components: Vec<(String, Component)>,
    first_party: bool,
    environment: Vec<(String, String)>,
    /// What a shell says before it becomes the gateway.
    before: String,
    listen_by_argument: bool,
    listen_everywhere: bool,
    command: Vec<String>,
}

impl Setup {
    /// The first-party plugins, and no provider.
    pub fn new() -> Self {
        let config = json!({
            "plugins": {"debounce_ms": 50, "call_timeout_ms": 1000, "memory_limit_mb": 64},
            "limits": {"shutdown_grace_seconds": 5},
            "log": {"level": "debug", "format": "text", "access": true},
            "providers": {},
        });
        Setup {
            config: object(config),
            components: Vec::new(),
            first_party: true,
            environment: Vec::new(),
            before: String::new(),
            listen_by_argument: false,
            listen_everywhere: false,
            command: vec!["serve".to_owned()],
        }
    }

    /// No plugins but those that are added. Starts faster, and nothing else speaks.
    pub fn bare() -> Self {
        Setup { first_party: false, ..Setup::new() }
    }

    /// Another provider.
    pub fn provider(mut self, name: &str, block: Value) -> Self {
        self.config["providers"][name] = block;
        self
    }

    /// Sets a member of the configuration: `set("limits", "body_mb", 1)`.
    pub fn set(mut self, section: &str, key: &str, value: impl Into<Value>) -> Self {
        self.config.entry(section).or_insert_with(|| json!({}))[key] = value.into();
        self
    }

    /// Sets a whole section of the configuration.
    pub fn section(mut self, section: &str, value: Value) -> Self {
        self.config.insert(section.to_owned(), value);
        self
    }

    /// Another plugin in the folder.
    pub fn plugin(mut self, file: &str, component: Component) -> Self {
        self.components.push((file.to_owned(), component));
        self
    }

    /// Another command than `serve` that takes `--config` and serves.
    pub fn command(mut self, command: &[&str]) -> Self {
        self.command = command.iter().map(|&part| part.to_owned()).collect();
        self
    }

    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// What the shell says before it becomes the gateway.
    pub fn before(mut self, words: &str) -> Self {
        self.before = words.to_owned();
        self
    }

    /// Started with so many open files allowed: of both limits, or with `-S` of the soft one.
    pub fn open_files(mut self, which: &str, count: u32) -> Self {
        self.before = format!("ulimit {which} -n {count}; ");
        self
    }

    /// The address comes from the command line, and the configuration has another.
    pub fn listen_by_argument(mut self) -> Self {
        self.listen_by_argument = true;
        self
    }

    /// Other machines reach it too.
    pub fn listen_everywhere(mut self) -> Self {
        self.listen_everywhere = true;
        self
    }

    /// Writes everything down and starts the binary; fails if it does not come to answer `/healthz`.
    pub async fn start(self) -> Gateway {
        let address = free_address();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let plugins = folder.path().join("plugins");
        std::fs::create_dir(&plugins).expect("a folder for plugins");
        if self.first_party {
            copy_first_party(&plugins);
        }
        for (file, component) in &self.components {
            std::fs::write(plugins.join(file), component.bytes()).expect("a plugin in the folder");
        }
        let mut config = self.config;
        let written = if self.listen_by_argument { free_address() } else { address };
        let written = if self.listen_everywhere { (Ipv4Addr::UNSPECIFIED, written.port()).into() } else { written };
        config.insert("listen".to_owned(), json!(written));
        config["plugins"]["directory"] = json!(plugins);
        config["plugins"]["cache_directory"] = json!(cache_folder());
        let config_file = folder.path().join("plugway.yaml");
        write_config(&config_file, &config);

        let mut arguments = self.command;
        arguments.extend(["--config".to_owned(), config_file.display().to_string()]);
        arguments.extend(self.listen_by_argument.then(|| format!("--listen={address}")));
        let launch = Launch { before: self.before, arguments, environment: self.environment };
        let log = Arc::new(Mutex::new(String::new()));
        let child = launch.spawn(&log);
        let http = client();
        let mut gateway = Gateway {
            url: format!("http://{address}"),
            http,
            launch,
            child,
            log,
            config,
            config_file,
            plugins,
            _folder: folder,
        };
        gateway.wait_until_healthy().await;
        gateway
    }
}

/// How the binary is started.
struct Launch {
    before: String,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

impl Launch {
    fn spawn(&self, log: &Arc<Mutex<String>>) -> Child {
        let mut child = Command::new("sh")
            .args(["-c", &format!("{}exec \"$0\" \"$@\"", self.before), BINARY])
            .args(&self.arguments)
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the binary starts");
        collect(child.stdout.take().expect("piped"), log);
        collect(child.stderr.take().expect("piped"), log);
        child
    }
}

/// The running binary; it is killed when this is dropped.
pub struct Gateway {
    pub url: String,
    /// For calls that no helper makes.
    pub http: reqwest::Client,
    pub plugins: PathBuf,
    pub config: Map<String, Value>,
    launch: Launch,
    child: Child,
    log: Arc<Mutex<String>>,
    pub config_file: PathBuf,
    _folder: tempfile::TempDir,
}

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    pub fn events(&self) -> Vec<Event> {
        sse::events(&self.body)
    }

    /// The words of an OpenAI-shaped answer, streamed or not.
    pub fn content(&self) -> String {
        if !self.header("content-type").starts_with("text/event-stream") {
            return self.json()["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned();
        }
        let events = self.events();
        let chunks = events.iter().filter(|event| event.data != "[DONE]").map(Event::json);
        chunks.filter_map(|chunk| Some(chunk["choices"][0]["delta"]["content"].as_str()?.to_owned())).collect()
    }

    /// Whether it is a stream that says it is complete, in OpenAI's way.
    pub fn is_done(&self) -> bool {
        self.events().last().is_some_and(|event| event.data == "[DONE]")
    }

    /// Asserts a well-formed error of OpenAI's shape and gives its `error` member.
    #[track_caller]
    pub fn openai_error(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        openai_error_of(&self.json())
    }

    /// The same where only the class of the status is promised: 4 or 5.
    #[track_caller]
    pub fn openai_error_of_class(&self, class: u16) -> Value {
        assert_eq!(self.status / 100, class, "{}", self.text());
        openai_error_of(&self.json())
    }

    /// Asserts a well-formed error of Anthropic's shape and gives its `error` member.
    #[track_caller]
    pub fn anthropic_error(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        let body = self.json();
        assert_eq!(body["type"], "error", "{body}");
        assert!(body["error"]["type"].is_string() && body["error"]["message"].is_string(), "{body}");
        body["error"].clone()
    }
}

#[track_caller]
pub fn openai_error_of(body: &Value) -> Value {
    let error = &body["error"];
    assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "a message in {body}");
    assert!(error["type"].is_string(), "a type in {body}");
    let error = error.as_object().expect("an object");
    assert!(error.contains_key("param") && error.contains_key("code"), "param and code in {body}");
    body["error"].clone()
}

impl Gateway {
    /// The first-party plugins and these providers.
    pub async fn with(providers: &[(&str, Value)]) -> Gateway {
        let setup = providers.iter().fold(Setup::new(), |setup, (name, block)| setup.provider(name, block.clone()));
        setup.start().await
    }

    /// One question, one answer.
    pub async fn chat(&self, model: &str, question: &str) -> Answer {
        self.post("/v1/chat/completions", &chat_body(model, question, false)).await
    }

    /// One question, one streamed answer, read to its end.
    pub async fn stream(&self, model: &str, question: &str) -> Answer {
        self.post("/v1/chat/completions", &chat_body(model, question, true)).await
    }

    /// The same of Anthropic's API.
    pub async fn message(&self, model: &str, question: &str, streaming: bool) -> Answer {
        let body = json!({
            "model": model,
            "max_tokens": 100,
            "messages": [{"role": "user", "content": question}],
            "stream": streaming,
        });
        self.post("/v1/messages", &body).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_bytes(path, body.to_string()).await
    }

    pub async fn post_bytes(&self, path: &str, body: impl Into<reqwest::Body>) -> Answer {
        let request = self.http.post(format!("{}{path}", self.url)).header("content-type", "application/json");
        read(request.body(body)).await
    }

    /// Any method, with a JSON body.
    pub async fn send(&self, method: &str, path: &str, body: &Value) -> Answer {
        let method = method.parse().expect("a method");
        read(self.http.request(method, format!("{}{path}", self.url)).json(body)).await
    }

    /// Killed without a warning, and started again in the same place.
    pub async fn restart(&mut self) {
        self.child.kill().await.expect("it still ran");
        self.child = self.launch.spawn(&self.log);
        self.wait_until_healthy().await;
    }

    /// The same with another environment.
    pub async fn restart_with(&mut self, environment: &[(&str, &str)]) {
        self.launch.environment =
            environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.restart().await;
    }

    pub async fn get(&self, path: &str) -> Answer {
        read(self.http.get(format!("{}{path}", self.url))).await
    }

    /// A stream that is still open.
    pub fn open_stream(&self, model: &str) -> impl Future<Output = OpenStream> + Send + use<> {
        let request = self
            .http
            .post(format!("{}/v1/chat/completions", self.url))
            .timeout(Duration::from_secs(300))
            .json(&chat_body(model, "hello", true));
        async {
            let response = request.send().await.expect("an answer's headers");
            assert_eq!(response.status(), 200, "{}", response.text().await.unwrap_or_default());
            OpenStream { response, reader: sse::Reader::default(), events: Vec::new() }
        }
    }

    /// The entries of `GET /api/plugins` with this name, one for each version.
    pub async fn plugin(&self, name: &str) -> Vec<Value> {
        let answer = self.get("/api/plugins").await;
        let list = answer.json()["plugins"].as_array().cloned().unwrap_or_default();
        list.into_iter().filter(|plugin| plugin["name"] == name).collect()
    }

    /// The sum of the samples of this metric whose labels contain this text; 0 if there are none.
    pub async fn metric(&self, name: &str, label: &str) -> f64 {
        let text = self.get("/metrics").await.text();
        let samples = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' '));
        samples
            .filter(|(series, _)| series.split('{').next() == Some(name) && series.contains(label))
            .map(|(_, value)| value.parse::<f64>().unwrap_or(f64::NAN))
            .sum()
    }

    /// Everything that it has printed.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits until a line with all of these words has been printed.
    pub async fn wait_for_log(&self, words: &[&str]) {
        let start = Instant::now();
        while !self.log().lines().any(|line| words.iter().all(|word| line.contains(word))) {
            if start.elapsed() > PATIENCE {
                let log = self.log();
                let last: Vec<&str> = log.lines().rev().take(50).collect();
                panic!("no line has {words:?}; the last lines, latest first:\n{}", last.join("\n"));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits for this request's line in the access log, which is written a few times a second.
    pub async fn wait_for_access_line(&self, answer: &Answer) {
        self.wait_for_log(&[answer.header("x-plugway-request-id"), "outcome"]).await;
    }

    /// Waits until all that has happened was seen to. Changes are taken one after the other, and here is one more, which
    /// says nothing new.
    pub async fn catch_up(&self) {
        let loaded = || self.log().lines().filter(|line| line.contains("configuration loaded")).count();
        let before = loaded();
        let mut text = std::fs::read_to_string(&self.config_file).expect("a configuration");
        text.push('\n');
        self.write_config(&text);
        wait_until("changes to be taken", || async { loaded() > before }).await;
    }

    /// Puts a file into the folder of plugins as a careful operator does: written beside it, then renamed.
    pub fn install(&self, file: &str, bytes: &[u8]) {
        let beside = self.plugins.join(format!(".{file}.part"));
        std::fs::write(&beside, bytes).expect("a plugin beside its place");
        std::fs::rename(&beside, self.plugins.join(file)).expect("a plugin in its place");
    }

    /// Writes over the file, in two halves with a pause, as a careless operator's `cp` does.
    pub async fn install_in_place(&self, file: &str, bytes: &[u8]) {
        use std::io::Write as _;
        let mut target = std::fs::File::create(self.plugins.join(file)).expect("a plugin in its place");
        let (head, tail) = bytes.split_at(bytes.len() / 2);
        target.write_all(head).expect("the first half");
        tokio::time::sleep(Duration::from_millis(20)).await;
        target.write_all(tail).expect("the second half");
    }

    pub fn remove(&self, file: &str) {
        std::fs::remove_file(self.plugins.join(file)).expect("a plugin to remove");
    }

    /// Writes another configuration over the one that it was started with.
    pub fn reconfigure(&self, change: impl FnOnce(&mut Map<String, Value>)) {
        let mut config = self.config.clone();
        change(&mut config);
        write_config(&self.config_file, &config);
    }

    /// The same with any text.
    pub fn write_config(&self, text: &str) {
        std::fs::write(&self.config_file, text).expect("a configuration");
    }

    /// How many files it may have open, softly and at most.
    pub fn open_files(&self) -> (String, String) {
        let pid = self.child.id().expect("it still runs");
        let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).expect("a process has limits");
        let line = limits.lines().find(|line| line.starts_with("Max open files")).expect("one of files");
        let mut numbers = line.split_whitespace().skip(3).map(str::to_owned);
        (numbers.next().expect("a soft one"), numbers.next().expect("a hard one"))
    }

    pub fn signal(&self, name: &str) {
        let pid = self.child.id().expect("it still runs");
        let status = std::process::Command::new("kill").args(["-s", name, &pid.to_string()]).status();
        assert!(status.expect("kill").success(), "SIG{name} to {pid}");
    }

    /// Waits for its end and gives its exit code.
    pub async fn exit_code(&mut self) -> Option<i32> {
        let status = tokio::time::timeout(PATIENCE, self.child.wait()).await.expect("it ends");
        status.expect("a status").code()
    }

    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Resident memory in bytes.
    pub fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id().expect("it still runs")))
            .expect("this test needs Linux's /proc");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
    }

    /// How many files, sockets among them, it has open.
    pub fn files(&self) -> usize {
        let pid = self.child.id().expect("it still runs");
        std::fs::read_dir(format!("/proc/{pid}/fd")).expect("this test needs Linux's /proc").count()
    }

    /// Closes the connections of this test that nothing is asked on.
    pub fn hang_up(&mut self) {
        self.http = client();
    }

    async fn wait_until_healthy(&mut self) {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if let Ok(Some(status)) = self.child.try_wait() {
                tokio::time::sleep(Duration::from_millis(200)).await;
                panic!("the gateway ended with {status} instead of serving:\n{}", self.log());
            }
            if let Ok(response) = self.http.get(format!("{}/healthz", self.url)).send().await
                && response.status() == 200
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the gateway does not answer:\n{}", self.log());
    }
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().expect("a client")
}

/// A streamed answer that is read event by event.
pub struct OpenStream {
    response: reqwest::Response,
    reader: sse::Reader,
    /// All events so far.
    pub events: Vec<Event>,
}

impl OpenStream {
    /// Reads until so many events have come; false if the stream ends before.
    pub async fn read(&mut self, count: usize) -> bool {
        while self.events.len() < count {
            match self.response.chunk().await {
                Ok(Some(bytes)) => self.events.extend(self.reader.push(&bytes)),
                Ok(None) | Err(_) => return false,
            }
        }
        true
    }

    /// Reads to the end; whether it says that it is complete.
    pub async fn finish(&mut self) -> bool {
        self.read(usize::MAX).await;
        self.events.last().is_some_and(|event| event.data == "[DONE]")
    }
}

/// A provider block for an OpenAI-compatible upstream.
pub fn openai(url: &str) -> Value {
    provider("openai", url)
}

/// A provider block for an upstream that speaks Anthropic's API.
pub fn anthropic(url: &str) -> Value {
    provider("anthropic", url)
}

/// A provider block with one key and short patience, for an upstream on this machine.
pub fn provider(plugin: &str, url: &str) -> Value {
    json!({
        "plugin": plugin,
        "keys": [{"name": "main", "value": "sk-upstream-key"}],
        "network_config": {
            "base_url": url,
            "allow_private_network": true,
            "default_request_timeout_in_seconds": 2,
            "stream_idle_timeout_in_seconds": 2,
        },
    })
}

pub fn chat_body(model: &str, question: &str, streaming: bool) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": question}], "stream": streaming})
}

/// Sends, and reads the answer to its end or to where it breaks off.
pub async fn read(request: reqwest::RequestBuilder) -> Answer {
    let mut response = request.send().await.expect("an answer");
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let mut body = Vec::new();
    while let Ok(Some(bytes)) = response.chunk().await {
        body.extend_from_slice(&bytes);
    }
    Answer { status, headers, body }
}

/// Asks again and again until it is so.
pub async fn wait_until<F: Future<Output = bool>>(what: &str, mut is_so: impl FnMut() -> F) {
    let start = Instant::now();
    while !is_so().await {
        assert!(start.elapsed() < PATIENCE, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Runs the binary to its end: exit code, and both outputs in one text.
pub async fn run(arguments: &[&str]) -> (Option<i32>, String) {
    run_within(PATIENCE, arguments).await
}

/// The same with another patience.
pub async fn run_within(limit: Duration, arguments: &[&str]) -> (Option<i32>, String) {
    let running = Command::new(BINARY).args(arguments).stdin(Stdio::null()).kill_on_drop(true).output();
    let output = tokio::time::timeout(limit, running).await.expect("it ends").expect("it starts");
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}

/// One for all tests and all runs, so that each component is compiled once.
pub fn cache_folder() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("plugin-cache")
}

pub fn copy_first_party(to: &Path) {
    let from = plugins_folder();
    let files = std::fs::read_dir(&from)
        .unwrap_or_else(|error| panic!("{}: {error}; `make test` builds the plugins", from.display()));
    for file in files.map(|file| file.expect("a file").path()) {
        if file.extension().is_some_and(|extension| extension == "wasm") {
            std::fs::copy(&file, to.join(file.file_name().expect("a name"))).expect("a copy");
        }
    }
}

fn write_config(file: &Path, config: &Map<String, Value>) {
    // JSON is YAML.
    let text = serde_json::to_string_pretty(config).expect("JSON");
    std::fs::write(file, text).expect("a configuration");
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("{other} is no object"),
    }
}

/// One that nobody has, from below the range that systems give to outgoing connections: one of those could take it
/// before the gateway does.
pub fn free_address() -> SocketAddr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    const FIRST: u32 = 20_000;
    const COUNT: u32 = 12_000;
    loop {
        // Another run of the tests at the same time begins elsewhere.
        let number = std::process::id().wrapping_mul(97).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(FIRST + number % COUNT).expect("a port");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if std::net::TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

pub fn collect(output: impl AsyncRead + Unpin + Send + 'static, log: &Arc<Mutex<String>>) {
    let log = Arc::clone(log);
    tokio::spawn(async move {
        let mut lines = BufReader::new(output).split(b'\n');
        while let Ok(Some(line)) = lines.next_segment().await {
            let mut log = log.lock().unwrap();
            log.push_str(&String::from_utf8_lossy(&line));
            log.push('\n');
        }
    });
}
