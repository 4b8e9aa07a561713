//! A while of everything at once: memory and open files settle, and the metrics know of each request what its caller saw.

use crate::dialects::{ANSWER, Dialect::Anthropic, Dialect::OpenAi};
use crate::faults::{FAULTS, ask, block, is_complete, nothing_is_left, settled_files, setup, spare, whole_or_stream};
use crate::gateway::{Gateway, place};
use crate::trust;
use crate::upstream::{Reply, Seen, Upstream};
use serde_json::json;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

const MIB: f64 = 1024.0 * 1024.0;

/// What became of requests, in the metrics' words: by status and outcome.
type Tally = BTreeMap<(u16, String), u64>;

/// As many seconds as `PLUGWAY_SOAK_SECONDS` says.
fn soak() -> Duration {
    let seconds = place("PLUGWAY_SOAK_SECONDS", "").to_string_lossy().parse().unwrap_or(15);
    Duration::from_secs(seconds)
}

/// What a caller does, one after the other.
#[derive(Clone, Copy)]
enum Lane {
    /// All faults in turn, with this provider.
    Faults(&'static str),
    /// A model of a provider, whole or streamed.
    Chat(&'static str),
    /// Goes away in the middle of a stream.
    Leaves,
    /// Says what a policy forbids.
    Forbidden,
}

const LANES: &[Lane] = &[
    Lane::Faults("openai"),
    Lane::Faults("anthropic"),
    Lane::Faults("safe-openai"),
    Lane::Faults("safe-anthropic"),
    Lane::Faults("openai"),
    Lane::Faults("safe-anthropic"),
    Lane::Chat("refused/m"),
    Lane::Chat("stranger/m"),
    Lane::Chat("resting/m"),
    Lane::Chat("flaky/m"),
    Lane::Chat("broken/m"),
    Lane::Leaves,
    Lane::Forbidden,
];

/// The one upstream: faults by number, and what the other lanes need.
async fn upstream() -> Upstream {
    let (upstream, turn) = (Upstream::start().await, AtomicUsize::new(0));
    upstream.otherwise(move |seen| answer(seen, &turn));
    upstream
}

fn answer(seen: &Seen, turn: &AtomicUsize) -> Reply {
    let body = seen.json();
    let spoken = if seen.path.contains("messages") { Anthropic } else { OpenAi };
    let streams = body["stream"] == true;
    match body["model"].as_str().expect("a model") {
        "limited" => Reply::json(429, &spoken.error(429)).header("retry-after-ms", "300"),
        "broken" => Reply::json(500, &spoken.error(500)),
        "flaky" if turn.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) => Reply::json(500, &spoken.error(500)),
        "flaky" => whole_or_stream(spoken, streams),
        "endless" => {
            let frames = spoken.frames(&spoken.stream(ANSWER));
            Reply::sse(&frames).stall_after(frames[0].len() + frames[1].len())
        }
        number => {
            let number: usize = number.parse().expect("a fault's number");
            (FAULTS[number].reply)(spoken, streams)
        }
    }
}

/// An address at which nobody listens.
async fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.expect("a free port").local_addr().expect("bound")
}

async fn gateway(upstream: &Upstream, spare: &Upstream) -> Gateway {
    let stranger = trust::start(trust::identity(&["127.0.0.1"], |_| {})).await;
    let rule = json!({"name": "no-nightfall", "contains": ["nightfall"]});
    let mut setup = setup(spare)
        .section("routing", json!({"circuit_failures": 5, "circuit_open_seconds": 0.5, "longest_rest_seconds": 0.05}))
        .section("log", json!({"level": "error", "format": "text", "access": false}))
        .section("policies", json!([{"plugin": "deny", "settings": {"rules": [rule]}}]));
    for (name, spoken) in [("openai", OpenAi), ("anthropic", Anthropic)] {
        let alone = block(spoken, &upstream.url());
        let mut safe = alone.clone();
        safe["fallbacks"] = json!(["spare/m"]);
        setup = setup.provider(name, alone).provider(&format!("safe-{name}"), safe);
    }
    let asking_for = |url: &str, model: &str| {
        let mut block = block(OpenAi, url);
        block["keys"][0]["aliases"] = json!({"m": model});
        block
    };
    let url = upstream.url();
    let mut flaky = asking_for(&url, "flaky");
    flaky["network_config"]["max_retries"] = json!(1);
    flaky["network_config"]["retry_backoff_initial"] = json!(1);
    let mut broken = asking_for(&url, "broken");
    broken["fallbacks"] = json!(["spare/m"]);
    let mut endless = asking_for(&url, "endless");
    // It is the caller who leaves.
    endless["network_config"]["stream_idle_timeout_in_seconds"] = json!(600);
    setup
        .provider("refused", block(OpenAi, &format!("http://{}", nobody().await)))
        .provider("stranger", block(OpenAi, &stranger.url))
        .provider("resting", asking_for(&url, "limited"))
        .provider("flaky", flaky)
        .provider("broken", broken)
        .provider("endless", endless)
        .start()
        .await
}

impl Lane {
    /// One request, and what the caller saw of it.
    async fn turn(self, gateway: &Gateway, turn: usize) -> (u16, String) {
        let (caller, streaming) = ([OpenAi, Anthropic][turn / 2 % 2], turn.is_multiple_of(2));
        let answer = match self {
            Lane::Faults(provider) => {
                let fault = turn / 4 % FAULTS.len();
                ask(gateway, caller, &format!("{provider}/{fault}"), streaming).await
            }
            Lane::Chat(model) => ask(gateway, caller, model, streaming).await,
            Lane::Forbidden => gateway.chat("spare/m", "what about nightfall?").await,
            Lane::Leaves => {
                let mut stream = gateway.open_stream("endless/m").await;
                assert!(stream.read(2).await, "the beginning has come");
                return (200, "cancelled".to_owned());
            }
        };
        let complete =
            answer.status == 200 && is_complete(caller, &answer, streaming && !matches!(self, Lane::Forbidden));
        (answer.status, if complete { "complete" } else { "failed" }.to_owned())
    }
}

async fn counted(gateway: &Gateway) -> Tally {
    let label = |line: &str, name: &str| {
        let (_, rest) = line.split_once(&format!("{name}=\""))?;
        Some(rest.split_once('"')?.0.to_owned())
    };
    let mut tally = Tally::new();
    for line in gateway.get("/metrics").await.text().lines().filter(|line| line.starts_with("plugway_requests_total{"))
    {
        let key =
            (label(line, "status").expect("a status").parse().expect("a number"), label(line, "outcome").expect("one"));
        *tally.entry(key).or_default() += line.rsplit(' ').next().expect("a value").parse::<u64>().expect("a number");
    }
    tally
}

/// The straight line that fits best, in units of `y` for one of `x`.
fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let together: f64 = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
    together / points.iter().map(|point| (point.0 - x).powi(2)).sum::<f64>()
}

#[tokio::test]
async fn under_load_of_mixed_faults_nothing_grows() {
    let (upstream, spare) = (upstream().await, spare().await);
    let mut gateway = gateway(&upstream, &spare).await;
    gateway.hang_up();
    let files = settled_files(&gateway).await;
    let (shared, start, length) = (Arc::new(gateway), Instant::now(), soak());
    let workers: Vec<_> = (0..2 * LANES.len())
        .map(|worker| {
            let (gateway, lane) = (shared.clone(), LANES[worker % LANES.len()]);
            tokio::spawn(async move {
                let mut tally = Tally::new();
                for turn in worker * 5.. {
                    if start.elapsed() >= length {
                        break;
                    }
                    *tally.entry(lane.turn(&gateway, turn).await).or_default() += 1;
                    // Some are answered at once, and would be all that is asked.
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                tally
            })
        })
        .collect();

    let mut memory = Vec::new();
    while start.elapsed() < length {
        tokio::time::sleep(length / 60).await;
        memory.push((start.elapsed().as_secs_f64(), shared.memory() as f64 / MIB));
    }
    let mut seen = Tally::new();
    for worker in workers {
        for (key, count) in worker.await.expect("no worker fails") {
            *seen.entry(key).or_default() += count;
        }
    }
    let mut gateway = Arc::into_inner(shared).expect("the workers have ended");
    nothing_is_left(&mut gateway, &[&upstream, &spare], files).await;
    assert_eq!(counted(&gateway).await, seen, "by status and outcome: what was counted, and what callers saw");
    println!("{seen:?}");

    memory.retain(|(at, _)| *at >= length.as_secs_f64() / 3.0);
    let grown = slope(&memory) * length.as_secs_f64() * 2.0 / 3.0;
    println!("{grown:.1} MiB in the last two thirds: {memory:.1?}");
    assert!(grown < 24.0, "memory grows, by {grown:.0} MiB in the last two thirds: {memory:.1?}");
}
