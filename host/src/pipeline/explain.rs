//! explain: what would become of a request. It goes through every stage up to the sending, and nothing is sent: no
//! credential is got, no side request is made, nobody's turn is taken, and no request is counted. Calls into plugins are.

use super::adapt::{self, Foreseen};
use super::admit::{self, Admitted};
use super::attempt::Attempt;
use super::call::{Call, Gateway};
use super::decode::{self, Request};
use super::headers::{self, Sealed};
use super::hygiene;
use super::review;
use super::route::{self, Choice, Lineup, Out, Why};
use super::scrub::{MASK, Scrub, Scrubs};
use super::send::{Derived, Outbound, Upstreams};
use super::tries::{Ring, Turned};
use crate::config::may_hold_secret;
use crate::error::Failure;
use crate::snapshot::Live;
use crate::telemetry::Metrics;
use crate::vitals::Fitness;
use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use http_body_util::Full;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

const PATH: &str = "/v1/chat/completions";

/// A request that somebody might send.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    #[serde(default = "Question::method")]
    method: String,
    #[serde(default = "Question::path")]
    path: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    body: Option<Box<RawValue>>,
}

impl Question {
    fn method() -> String {
        "POST".to_owned()
    }

    fn path() -> String {
        PATH.to_owned()
    }

    /// `{"method", "path", "headers", "body"}`, of which all but the body may be left out; or a chat request as it is.
    pub fn read(text: &[u8]) -> Result<Self, Failure> {
        let wrong = |error: serde_json::Error| {
            let message = "the question must be a chat request, or an object of `method`, `path`, `headers` and `body`";
            Failure::invalid(format!("{message}: {error}"))
        };
        let members: BTreeMap<String, &RawValue> = serde_json::from_slice(text).map_err(wrong)?;
        if ["body", "path", "method"].iter().any(|name| members.contains_key(*name)) {
            return serde_json::from_slice(text).map_err(wrong);
        }
        let body = serde_json::from_slice(text).map_err(wrong)?;
        Ok(Question { method: Self::method(), path: Self::path(), headers: BTreeMap::new(), body: Some(body) })
    }

    fn into_request(self) -> Result<http::Request<Full<Bytes>>, Failure> {
        let body = self.body.map_or_else(Bytes::new, |body| Bytes::from(body.get().to_owned()));
        let mut request = http::Request::builder().method(self.method.as_str()).uri(self.path);
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        request.body(Full::new(body)).map_err(|error| Failure::invalid(format!("there is no such request: {error}")))
    }
}

/// Whom it would be given to, in order, with what; and who is passed over, and why.
pub async fn explain(live: Arc<Live>, question: Question) -> Result<Value, Failure> {
    // Of its own, so that what is only thought of leaves no trace in what is counted or got.
    let gateway = Gateway {
        live,
        upstreams: Upstreams::new(Arc::new(Derived::default()), 1),
        scrubs: Scrubs::default(),
        metrics: Arc::new(Metrics::default()),
        access_log: None,
        room: Arc::default(),
    };
    let Admitted { call, body, mut record, .. } =
        admit::admit(&gateway, question.into_request()?).await.map_err(|turned_away| turned_away.failure)?;
    call.speaker()?;
    let request = decode::decode(&call, body, &mut record)?;
    let request = review::request(&call, request).await?;
    let Lineup { mut choices, out } = route::lineup(&call, &request)?;
    // As `tries` does with who keeps failing.
    choices.sort_by_key(|choice| !choice.pulse.circuit.would_admit());
    let mut candidates = Vec::with_capacity(choices.len());
    for (number, choice) in (0..).zip(&choices) {
        candidates.push(candidate(&gateway, &call, &request, choice, number).await);
    }
    Ok(json!({
        "generation": call.snapshot.generation,
        "request": {
            "operation": request.kind.to_string(),
            "model": request.model,
            "dialect": call.dialect(),
            "route": call.route.path,
        },
        "candidates": candidates,
        "out": out.iter().map(passed_over).collect::<Vec<_>>(),
    }))
}

fn passed_over(out: &Out) -> Value {
    let mut why = json!({"address": out.address, "why": out.failure.message});
    if let Some(detail) = &out.failure.detail {
        why["detail"] = json!(detail);
    }
    why
}

async fn candidate(gateway: &Gateway, call: &Call, request: &Request, choice: &Choice, number: u32) -> Value {
    let pulse = &choice.pulse;
    let mut ring = Ring::of(choice);
    let turned = ring.turn();
    let key = match turned {
        Turned::Key(key) => key,
        Turned::Resting(_) | Turned::Spent => None,
    };
    let candidate = choice.candidate(key);
    let why = match choice.why {
        Why::Asked => "it serves the model",
        Why::Fallback => "a fallback",
    };
    let mut told = Map::from_iter([
        ("provider".to_owned(), json!(choice.target.config.name)),
        ("plugin".to_owned(), json!(format!("{:?}", choice.ready.plugin.plugin))),
        ("why".to_owned(), json!(why)),
        ("model".to_owned(), json!(candidate.model)),
        ("streamed".to_owned(), json!(candidate.kind.streaming)),
        ("key".to_owned(), json!(candidate.key().map(|key| &key.name))),
        ("keys".to_owned(), keys(choice, &ring)),
        ("circuit".to_owned(), json!(if pulse.circuit.would_admit() { "closed" } else { "open: tried last" })),
        ("in_flight".to_owned(), json!(pulse.load())),
        ("expected_ms".to_owned(), json!((pulse.expected_seconds() * 1_000.0).round())),
    ]);
    if let Turned::Resting(left) = turned {
        let what = format!("all its keys rest, the first for another {} s", left.as_secs_f64().ceil());
        told.extend([("passed_over_now".to_owned(), json!(what))]);
        return Value::Object(told);
    }
    let attempt = Attempt { gateway, call, request, candidate: &candidate, number };
    match foreseen(&attempt).await {
        Ok(sent) => told.extend(sent),
        Err(failure) => told.extend([("fails".to_owned(), in_words(&failure))]),
    }
    Value::Object(told)
}

fn in_words(failure: &Failure) -> Value {
    json!({"status": failure.status().as_u16(), "message": failure.message, "detail": failure.detail})
}

fn keys(choice: &Choice, ring: &Ring<'_>) -> Value {
    let state = |fitness| match fitness {
        Fitness::Fit => "fit".to_owned(),
        Fitness::Refused => "was refused lately: a last resort".to_owned(),
        Fitness::Resting(left) => format!("rests for another {} s", left.as_secs_f64().ceil()),
    };
    let all = &choice.target.config.keys;
    let serving: Vec<usize> = choice.keys().collect();
    let told = all.iter().enumerate().map(|(index, key)| {
        let state = match serving.contains(&index) {
            true => state(ring.fitness(Some(index))),
            false => "does not serve the model".to_owned(),
        };
        json!({"name": key.name, "state": state})
    });
    told.collect()
}

/// What would be sent, or what would be done before.
async fn foreseen(attempt: &Attempt<'_>) -> Result<Map<String, Value>, Failure> {
    Ok(match adapt::foresee(attempt).await? {
        Foreseen::Local => Map::from_iter([("answers".to_owned(), json!("by itself, without any upstream"))]),
        Foreseen::First(what) => Map::from_iter([("first".to_owned(), json!(what))]),
        Foreseen::Send { outbound, dropped } => sent(attempt, *outbound, &dropped).await?,
    })
}

async fn sent(attempt: &Attempt<'_>, outbound: Outbound, dropped: &[String]) -> Result<Map<String, Value>, Failure> {
    let dialect = outbound.dialect.clone();
    let templates = attempt.candidate.ready.headers.iter().flat_map(|headers| &headers.templates);
    // As the admin API shows them: people write credentials into templates as they stand.
    let written = templates.filter(|template| may_hold_secret(&template.text)).map(|template| &template.name);
    let written: Vec<&HeaderName> = written.collect();
    let Sealed { request, scrub, .. } = headers::finish(attempt, outbound).await?;
    let told = Map::from_iter([
        ("method".to_owned(), json!(request.method().as_str())),
        ("url".to_owned(), json!(scrub.text(&request.uri().to_string()))),
        ("headers".to_owned(), masked(&scrub, request.headers(), &written)),
        ("dialect".to_owned(), json!(dialect)),
        ("translated".to_owned(), json!(dialect != attempt.call.dialect())),
        ("dropped".to_owned(), json!(dropped)),
    ]);
    Ok(told)
}

fn masked(scrub: &Scrub, headers: &HeaderMap, written: &[&HeaderName]) -> Value {
    let told = headers.iter().map(|(name, value)| {
        let text = scrub.text(&String::from_utf8_lossy(value.as_bytes()));
        // A secret that is too short to be looked for is one all the same.
        let hidden = written.contains(&name) || (hygiene::names_a_credential(name) && !text.contains(MASK));
        (name.as_str().to_owned(), json!(if hidden { MASK } else { &text }))
    });
    Value::Object(told.collect())
}
