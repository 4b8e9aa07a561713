//! A provider that goes to the network by itself: it imports `wasi:sockets`, and must be refused when it is loaded.

use plugway_sdk::{Call, Capabilities, NoSettings, Outgoing, Plugin, Problem, Provider, Step};
use std::io::Write;
use std::net::TcpStream;

struct Sockets;

impl Plugin for Sockets {
    type Settings = NoSettings;
    const DESCRIPTION: &'static str = "Goes to the network by itself";

    fn new(_: NoSettings) -> Result<Self, Problem> {
        Ok(Sockets)
    }
}

impl Provider for Sockets {
    fn capabilities(&self) -> Capabilities {
        Capabilities::of(["chat_completion"]).key_less()
    }

    fn plan(&self, call: &Call) -> Result<Step, Problem> {
        let sent = TcpStream::connect("127.0.0.1:9").and_then(|mut stream| write!(stream, "{call:?}"));
        sent.map_err(|error| Problem::internal(error.to_string()))?;
        Ok(Outgoing::post("/v1/chat/completions").into())
    }
}

plugway_sdk::export!(Sockets: provider);
