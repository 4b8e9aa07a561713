//! A provider on a real socket that does what a script says, down to the byte: it splits, stalls, cuts and lies.
//!
//! ```ignore
//! let upstream = Upstream::start().await;
//! upstream.on_model("good", Reply::json(200, &json!({"id": "1"})));
//! upstream.on_model("cut", Reply::sse(&events).byte_by_byte().then_reset_after(120));
//! ```
//!
//! It is written on bytes rather than on a framework, because no framework misbehaves on request.

use serde_json::Value;
use std::collections::HashMap;
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    /// With the query.
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// How the end of a body is told.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Length {
    Chunked,
    Announced,
    UntilClose,
}

/// What happens where the script ends the answer early.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Ending {
    /// The body ends as it should.
    Proper,
    /// The connection is closed, politely.
    Close,
    /// The connection is reset.
    Reset,
    /// Nothing more comes, and the connection stays open.
    Stall,
}

/// The script of one answer.
#[derive(Clone, Debug)]
pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    /// Each is written by itself.
    pieces: Vec<Vec<u8>>,
    length: Length,
    gzip: bool,
    before_headers: Duration,
    before_each_piece: Duration,
    /// Where the answer ends early: after this many bytes of the body (as it is on the wire, compressed or not).
    cut: Option<usize>,
    ending: Ending,
    stall_before_headers: bool,
}

impl Reply {
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Reply {
            status,
            headers: vec![("content-type".to_owned(), content_type.to_owned())],
            pieces: vec![body.into()],
            length: Length::Announced,
            gzip: false,
            before_headers: Duration::ZERO,
            before_each_piece: Duration::ZERO,
            cut: None,
            ending: Ending::Proper,
            stall_before_headers: false,
        }
    }

    pub fn json(status: u16, body: &Value) -> Self {
        Reply::new(status, "application/json", body.to_string())
    }

    /// A stream of these frames, each `data: …\n\n` or the like, one write each.
    pub fn sse<S: AsRef<str>>(frames: &[S]) -> Self {
        Reply {
            pieces: frames.iter().map(|frame| frame.as_ref().as_bytes().to_vec()).collect(),
            length: Length::Chunked,
            ..Reply::new(200, "text/event-stream; charset=utf-8", "")
        }
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(header, _)| !header.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same header once more.
    pub fn another(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Every byte in a write of its own.
    pub fn byte_by_byte(self) -> Self {
        let body = self.body();
        Reply { pieces: body.iter().map(|byte| vec![*byte]).collect(), ..self }
    }

    /// Two writes, the second after a moment.
    pub fn split_at(self, index: usize) -> Self {
        let body = self.body();
        let (head, tail) = body.split_at(index);
        Reply { pieces: vec![head.to_vec(), tail.to_vec()], before_each_piece: Duration::from_millis(2), ..self }
    }

    /// The whole body in one write.
    pub fn at_once(self) -> Self {
        Reply { pieces: vec![self.body()], ..self }
    }

    /// Lines end with CR LF.
    pub fn crlf(self) -> Self {
        let pieces = self.pieces.iter().map(|piece| String::from_utf8_lossy(piece).replace('\n', "\r\n").into_bytes());
        Reply { pieces: pieces.collect(), ..self }
    }

    /// Compressed, with a flush after each piece, as servers of streams do.
    pub fn gzip(self) -> Self {
        Reply { gzip: true, ..self }.header("content-encoding", "gzip")
    }

    pub fn until_close(self) -> Self {
        Reply { length: Length::UntilClose, ..self }
    }

    pub fn content_length(self) -> Self {
        Reply { length: Length::Announced, ..self }
    }

    pub fn chunked(self) -> Self {
        Reply { length: Length::Chunked, ..self }
    }

    pub fn after(self, pause: Duration) -> Self {
        Reply { before_headers: pause, ..self }
    }

    pub fn every(self, pause: Duration) -> Self {
        Reply { before_each_piece: pause, ..self }
    }

    pub fn stall_before_headers(self) -> Self {
        Reply { stall_before_headers: true, ..self }
    }

    /// Closes the connection instead of waiting.
    pub fn hang_up(self) -> Self {
        Reply { ending: Ending::Close, ..self }
    }

    pub fn stall_after(self, bytes: usize) -> Self {
        Reply { cut: Some(bytes), ending: Ending::Stall, ..self }
    }

    pub fn close_after(self, bytes: usize) -> Self {
        Reply { cut: Some(bytes), ending: Ending::Close, ..self }
    }

    pub fn reset_after(self, bytes: usize) -> Self {
        Reply { cut: Some(bytes), ending: Ending::Reset, ..self }
    }

    /// The body, uncompressed.
    pub fn body(&self) -> Vec<u8> {
        self.pieces.concat()
    }

    fn wire_pieces(&self) -> Vec<Vec<u8>> {
        if !self.gzip {
            return self.pieces.clone();
        }
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        let mut pieces = Vec::new();
        for piece in &self.pieces {
            encoder.write_all(piece).and_then(|()| encoder.flush()).expect("a vector takes everything");
            pieces.push(std::mem::take(encoder.get_mut()));
        }
        pieces.push(encoder.finish().expect("a vector takes everything"));
        pieces
    }
}

type Script = dyn Fn(&Seen) -> Reply + Send + Sync;

#[derive(Default)]
struct Shared {
    scripts: Mutex<HashMap<String, Arc<Script>>>,
    seen: Mutex<Vec<Seen>>,
    connections: AtomicU64,
    open: AtomicU64,
    /// Of bodies, as far as the other side's system has taken them.
    written: AtomicU64,
    /// How many answers the other side hung up on.
    abandoned: AtomicU64,
}

/// The running server; it ends with the test's runtime.
pub struct Upstream {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Upstream {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let shared = Arc::new(Shared::default());
        let serving = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                serving.connections.fetch_add(1, Ordering::SeqCst);
                serving.open.fetch_add(1, Ordering::SeqCst);
                let serving = Arc::clone(&serving);
                tokio::spawn(async move {
                    serve(connection, &serving).await;
                    serving.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Upstream { address, shared }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers requests whose body asks for this model.
    pub fn on_model(&self, model: &str, reply: Reply) {
        self.on(&format!("model {model}"), move |_| reply.clone());
    }

    /// Answers requests of this path (without the query) for whose model there is no script.
    pub fn on_path(&self, path: &str, reply: Reply) {
        self.on(path, move |_| reply.clone());
    }

    /// Answers every request for which there is no other script.
    pub fn otherwise(&self, script: impl Fn(&Seen) -> Reply + Send + Sync + 'static) {
        self.on("*", script);
    }

    fn on(&self, key: &str, script: impl Fn(&Seen) -> Reply + Send + Sync + 'static) {
        self.shared.scripts.lock().unwrap().insert(key.to_owned(), Arc::new(script));
    }

    pub fn requests(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// The one request that has arrived for this model.
    pub fn only_request(&self, model: &str) -> Seen {
        let mut requests = self.requests();
        requests.retain(|request| request.json()["model"] == model);
        assert_eq!(requests.len(), 1, "requests for the model {model}");
        requests.remove(0)
    }

    pub fn last_request(&self) -> Seen {
        self.requests().pop().expect("a request has arrived")
    }

    /// How many connections were opened, ever.
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// How many connections are open now.
    pub fn open(&self) -> u64 {
        self.shared.open.load(Ordering::SeqCst)
    }

    /// How many bytes of bodies could be written, over all answers.
    pub fn written(&self) -> u64 {
        self.shared.written.load(Ordering::SeqCst)
    }

    /// How many answers the other side did not wait for.
    pub fn abandoned(&self) -> u64 {
        self.shared.abandoned.load(Ordering::SeqCst)
    }
}

impl Shared {
    fn reply_to(&self, seen: &Seen) -> Reply {
        let scripts = self.scripts.lock().unwrap();
        let model = format!("model {}", seen.json()["model"].as_str().unwrap_or_default());
        let path = seen.path.split('?').next().unwrap_or_default();
        let script = scripts.get(&model).or_else(|| scripts.get(path)).or_else(|| scripts.get("*")).cloned();
        drop(scripts);
        match script {
            Some(script) => script(seen),
            None => Reply::new(404, "text/plain", format!("no script for {path} or {model}")),
        }
    }
}

async fn serve(mut connection: TcpStream, shared: &Shared) {
    connection.set_nodelay(true).expect("a connected socket");
    let mut buffer = Vec::new();
    while let Some(seen) = read_request(&mut connection, &mut buffer).await {
        shared.seen.lock().unwrap().push(seen.clone());
        let reply = shared.reply_to(&seen);
        match answer(&mut connection, &reply, &shared.written).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(_) => {
                shared.abandoned.fetch_add(1, Ordering::SeqCst);
                return;
            }
        }
    }
}

/// Whether the connection can take another request.
async fn answer(connection: &mut TcpStream, reply: &Reply, written: &AtomicU64) -> std::io::Result<bool> {
    if reply.stall_before_headers {
        return if reply.ending == Ending::Close { Ok(false) } else { stall(connection).await };
    }
    tokio::time::sleep(reply.before_headers).await;
    let pieces = reply.wire_pieces();
    connection.write_all(head(reply, pieces.iter().map(Vec::len).sum()).as_bytes()).await?;

    let mut left = reply.cut.unwrap_or(usize::MAX);
    for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
        if left == 0 {
            break;
        }
        if !reply.before_each_piece.is_zero() {
            tokio::time::sleep(reply.before_each_piece).await;
        }
        let piece = &piece[..piece.len().min(left)];
        left -= piece.len();
        if reply.length == Length::Chunked {
            let framed = [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
            write(connection, &framed, written).await?;
        } else {
            write(connection, piece, written).await?;
        }
    }
    match reply.ending {
        Ending::Proper if reply.length == Length::Chunked => {
            connection.write_all(b"0\r\n\r\n").await?;
            Ok(true)
        }
        Ending::Proper => Ok(reply.length == Length::Announced),
        Ending::Close => Ok(false),
        Ending::Reset => {
            // What was written must be read before the reset takes it away.
            tokio::time::sleep(Duration::from_millis(100)).await;
            connection.set_zero_linger()?;
            Ok(false)
        }
        Ending::Stall => stall(connection).await,
    }
}

/// All of it, counted as it goes.
async fn write(connection: &mut TcpStream, mut bytes: &[u8], written: &AtomicU64) -> std::io::Result<()> {
    while !bytes.is_empty() {
        let count = connection.write(bytes).await?;
        written.fetch_add(u64::try_from(count).expect("not that many"), Ordering::SeqCst);
        bytes = &bytes[count..];
    }
    Ok(())
}

fn head(reply: &Reply, body_length: usize) -> String {
    let mut head = format!("HTTP/1.1 {} Scripted\r\n", reply.status);
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    match reply.length {
        Length::Chunked => head.push_str("transfer-encoding: chunked\r\n"),
        Length::Announced => head.push_str(&format!("content-length: {body_length}\r\n")),
        Length::UntilClose => head.push_str("connection: close\r\n"),
    }
    head.push_str("\r\n");
    head
}

/// Ends when the other side has had enough.
async fn stall(connection: &mut TcpStream) -> std::io::Result<bool> {
    let mut rest = [0; 1024];
    while connection.read(&mut rest).await? > 0 {}
    Err(std::io::ErrorKind::ConnectionAborted.into())
}

/// None at the end of the connection.
async fn read_request(connection: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Seen> {
    let end = loop {
        if let Some(end) = find(buffer, b"\r\n\r\n") {
            break end;
        }
        read_more(connection, buffer).await?;
    };
    let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
    buffer.drain(..end + 4);
    let mut lines = head.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let mut seen = Seen {
        method: first.next()?.to_owned(),
        path: first.next()?.to_owned(),
        headers: lines.filter_map(|line| line.split_once(": ")).map(|(n, v)| (n.to_owned(), v.to_owned())).collect(),
        body: Vec::new(),
    };
    if seen.header("transfer-encoding").is_some_and(|value| value.contains("chunked")) {
        seen.body = read_chunks(connection, buffer).await?;
    } else {
        let length = seen.header("content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
        while buffer.len() < length {
            read_more(connection, buffer).await?;
        }
        seen.body = buffer.drain(..length).collect();
    }
    Some(seen)
}

async fn read_chunks(connection: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = loop {
            if let Some(end) = find(buffer, b"\r\n") {
                break end;
            }
            read_more(connection, buffer).await?;
        };
        let length = usize::from_str_radix(std::str::from_utf8(&buffer[..line]).ok()?.trim(), 16).ok()?;
        while buffer.len() < line + 2 + length + 2 {
            read_more(connection, buffer).await?;
        }
        body.extend_from_slice(&buffer[line + 2..line + 2 + length]);
        buffer.drain(..line + 2 + length + 2);
        if length == 0 {
            return Some(body);
        }
    }
}

async fn read_more(connection: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<()> {
    match connection.read_buf(buffer).await {
        Ok(0) | Err(_) => None,
        Ok(_) => Some(()),
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
