//! receive: an upstream's reply → an Answer. Up to the commit point: a stream comes out of here with its first content,
//! or not at all.

mod bytes;
mod patience;

pub use self::bytes::ByteReply;
pub use self::patience::asked_for_ms;

use super::adapt;
use super::attempt::Attempt;
use super::headers;
use super::hygiene;
use super::limit::within;
use super::problem;
use super::scrub::Scrub;
use super::send::UpstreamReply;
use super::stream::{AnswerStream, Interpreter, Passing};
use super::tries::Verdict;
use crate::chat::{self, Members, ReportedError, Usage, Vocabulary};
use crate::error::{Failure, Verbatim};
use crate::framing::Framing;
use crate::plugins::api::provider::LocalReply;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};

/// What an upstream, or a provider by itself, answered.
pub enum Answer {
    /// In the caller's dialect already; it passes as it came.
    Native(Box<NativeReply>),
    /// A whole answer in canonical form.
    Canonical(String),
    Stream(Box<AnswerStream>),
    /// No JSON at all, such as sound. It passes as it comes.
    Bytes(Box<ByteReply>),
}

impl Answer {
    /// What it says of tokens. Those of a stream are counted on its way.
    pub fn usage(&self) -> Option<Usage> {
        match self {
            Answer::Native(reply) => reply.usage,
            Answer::Canonical(body) => chat::inspect_reply(body),
            Answer::Stream(_) | Answer::Bytes(_) => None,
        }
    }

    /// Its end is the verdict on who gave it. A whole answer has ended.
    pub fn is_judged_by(&mut self, verdict: Verdict) {
        match self {
            Answer::Native(_) | Answer::Canonical(_) => verdict.well(),
            Answer::Stream(stream) => stream.verdict = Some(verdict),
            Answer::Bytes(reply) => reply.verdict = Some(verdict),
        }
    }
}

pub struct NativeReply {
    pub verbatim: Verbatim,
    usage: Option<Usage>,
    /// None where it is in canonical form already.
    translated: Option<Result<String, Failure>>,
}

impl NativeReply {
    /// The same for those who must read it, or why they cannot.
    pub fn canonical(&self) -> Result<String, Failure> {
        let as_it_came = || Ok(String::from_utf8_lossy(&self.verbatim.body).into_owned());
        self.translated.clone().unwrap_or_else(as_it_came)
    }
}

/// What the plan said about the answer.
pub struct Expected {
    pub dialect: String,
    pub framing: Option<Framing>,
}

/// The answer of a provider that answers by itself.
pub async fn local(attempt: &Attempt<'_>, reply: LocalReply) -> Result<Answer, Failure> {
    let plugin = &attempt.candidate.ready.plugin;
    match reply {
        LocalReply::Whole(body) => Ok(Answer::Canonical(problem::checked_answer(plugin, body)?)),
        LocalReply::Chunks(chunks) if attempt.candidate.kind.streaming => {
            if chunks.iter().any(|chunk| chat::inspect_chunk(chunk).is_none()) {
                return Err(problem::from_call(plugin.broke_contract("it answers with something that is no chunk")));
            }
            as_the_caller_wants(attempt, AnswerStream::local(chunks)).await
        }
        LocalReply::Chunks(_) => {
            Err(problem::from_call(plugin.broke_contract("it streams where it was not asked for a stream")))
        }
    }
}

pub async fn receive(
    attempt: &Attempt<'_>,
    expected: Expected,
    scrub: &Scrub,
    reply: UpstreamReply,
) -> Result<Answer, Failure> {
    let reply = UpstreamReply { headers: scrub.headers(reply.headers), ..reply };
    // The other good ones have no answer with them (204, 205), or a piece of one (206).
    if !matches!(reply.status.as_u16(), 200..=203) {
        return Err(refused(attempt, &expected.dialect, scrub, reply).await);
    }
    let kind = Kind::of(&reply.headers);
    let may_be_bytes = attempt.candidate.kind.operation.answers_in_bytes();
    match (expected.framing, kind) {
        (_, Kind::WebPage) if may_be_bytes || expected.framing.is_some() => {
            Err(Failure::upstream("the provider answered with a web page where its answer should be")
                .code("upstream_malformed"))
        }
        (None, Kind::Other | Kind::Events) | (Some(_), Kind::Other) if may_be_bytes => {
            bytes::receive(attempt, scrub, reply).await
        }
        (Some(framing), Kind::Events | Kind::Other) => stream(attempt, expected.dialect, framing, scrub, reply).await,
        (Some(_) | None, _) => whole(attempt, &expected.dialect, scrub, reply).await,
    }
}

/// A stream, up to its first content.
async fn stream(
    attempt: &Attempt<'_>,
    dialect: String,
    framing: Framing,
    scrub: &Scrub,
    reply: UpstreamReply,
) -> Result<Answer, Failure> {
    let Attempt { call, request, candidate, .. } = attempt;
    // With the caller's own dialect the bytes pass as they come, unless a policy wants to look into each chunk.
    let passes = framing == Framing::Sse
        && dialect == call.dialect()
        && request.caller_streams
        && !call.snapshot.reviews_chunks();
    let interpreter = if dialect == chat::DIALECT {
        Interpreter::canonical(match candidate.kind.operation.streams_events() {
            true => Vocabulary::Events,
            false => Vocabulary::Chunks,
        })
    } else {
        let format = adapt::upstream_format(call, candidate, &dialect)?.clone();
        Interpreter::format(format, call, candidate.kind.operation)
    };
    let limits = &call.snapshot.config.limits;
    let passing = match passes {
        false => Passing::Translated,
        true => Passing::AsItComes { usage: !call.is_canonical() || request.wants_usage },
    };
    let mut stream = AnswerStream::upstream(reply.body, framing, interpreter, passing, scrub.clone(), limits);
    if passes {
        stream.headers = hygiene::downwards(reply.headers);
    }
    let limit = candidate.target.config.network.timeouts.first_token;
    let what = || "the provider's stream brought no content";
    within(limit, "first_token_timeout", what, stream.commit(limits.body_bytes)).await?;
    as_the_caller_wants(attempt, stream).await
}

/// A stream as it comes, or as a whole where the caller waits for one document.
async fn as_the_caller_wants(attempt: &Attempt<'_>, mut stream: AnswerStream) -> Result<Answer, Failure> {
    if attempt.request.caller_streams {
        return Ok(Answer::Stream(Box::new(stream)));
    }
    let limit = attempt.candidate.target.config.network.timeouts.request;
    let gathering = stream.gather(attempt.candidate.kind.operation, attempt.call.snapshot.config.limits.body_bytes);
    let whole = within(limit, "upstream_timeout", || "the provider's stream did not end", gathering).await?;
    Ok(Answer::Canonical(whole))
}

async fn whole(attempt: &Attempt<'_>, dialect: &str, scrub: &Scrub, reply: UpstreamReply) -> Result<Answer, Failure> {
    let UpstreamReply { status, headers, body } = reply;
    let body = scrub.answer(body.whole().await?);
    // An answer that does not parse is an error, not an empty answer.
    let members = Members::of(&body).map_err(|error| {
        Failure::upstream("the provider's answer is not the JSON that it should be")
            .code("upstream_malformed")
            .detail(format!("{error}; it begins with {:?}", beginning(&body)))
    })?;
    let is_canonical = dialect == chat::DIALECT;
    let (error, usage) = (ReportedError::in_answer(&members), Usage::in_answer(&members).filter(|_| is_canonical));
    let text = || String::from_utf8_lossy(&body).into_owned();
    // Some servers say 200 and mean an error.
    match error {
        None => {}
        Some(error) if is_canonical => return Err(problem::from_answer(error)),
        Some(_) => return Err(in_words(attempt, dialect, StatusCode::BAD_GATEWAY, &headers, &text()).await?),
    }
    let passes = dialect == attempt.call.dialect() && !attempt.request.caller_streams;
    let (usage, translated) = match is_canonical {
        true if !passes => return Ok(Answer::Canonical(text())),
        true => (usage, None),
        false => {
            let canonical = in_canonical_form(attempt, dialect, text()).await;
            if !passes {
                return canonical.map(Answer::Canonical);
            }
            // Other dialects count in other ways.
            (canonical.as_ref().ok().and_then(|canonical| chat::inspect_reply(canonical)), Some(canonical))
        }
    };
    let verbatim = Verbatim { status, headers: hygiene::downwards(headers), body };
    Ok(Answer::Native(Box::new(NativeReply { verbatim, usage, translated })))
}

pub async fn in_canonical_form(attempt: &Attempt<'_>, dialect: &str, text: String) -> Result<String, Failure> {
    if dialect == chat::DIALECT {
        return Ok(text);
    }
    let format = adapt::upstream_format(attempt.call, attempt.candidate, dialect)?;
    let operation = attempt.candidate.kind.operation.name();
    let canonical = format.decode_reply(attempt.call.moment, operation, &text).await.map_err(problem::from_call)?;
    problem::checked_answer(format, canonical)
}

/// A reply with a status that says no.
async fn refused(attempt: &Attempt<'_>, dialect: &str, scrub: &Scrub, reply: UpstreamReply) -> Failure {
    let UpstreamReply { status, headers, body } = reply;
    if status.is_redirection() {
        return Failure::upstream("the provider answered with a redirect, which is not followed")
            .code("upstream_redirect")
            .detail(format!("status {}", status.as_u16()));
    }
    // Nothing else can be the status of an answer; a caller could not tell what it means.
    if !status.is_client_error() && !status.is_server_error() {
        return Failure::upstream("the provider answered with a status that no answer has")
            .code("upstream_malformed")
            .detail(format!("status {}", status.as_u16()));
    }
    let now_ms = attempt.call.moment.now_ms;
    let patience_ms = asked_for_ms(status, &headers, now_ms);
    let body = match body.whole().await {
        Ok(body) => scrub.report(body),
        Err(unread) => return without_words(status, unread).retry_after_ms(patience_ms),
    };
    let text = String::from_utf8_lossy(&body).into_owned();
    let failure = match in_words(attempt, dialect, status, &headers, &text).await {
        Ok(failure) | Err(failure) => failure,
    };
    let failure = match failure.retry_after_ms {
        Some(_) => failure,
        None => failure.retry_after_ms(patience_ms),
    };
    if dialect == attempt.call.dialect() && Members::of(&body).is_ok() {
        let mut headers = hygiene::downwards(headers);
        patience::say(&mut headers, failure.retry_after_ms, now_ms);
        return failure.verbatim(Verbatim { status, headers, body });
    }
    failure
}

/// A reply whose body cannot be read says what its status says: of the key, of how busy the service is.
fn without_words(status: StatusCode, unread: Failure) -> Failure {
    let Failure { message, detail, .. } = unread;
    let why = detail.map(|detail| format!(": {detail}")).unwrap_or_default();
    problem::from_reply(status, ReportedError::default()).detail(format!("{message}{why}"))
}

/// What the reply says, by whoever knows its dialect.
async fn in_words(
    attempt: &Attempt<'_>,
    dialect: &str,
    status: StatusCode,
    headers: &HeaderMap,
    body: &String,
) -> Result<Failure, Failure> {
    if dialect == chat::DIALECT {
        let error = chat::inspect_chunk(body).and_then(|facts| facts.error);
        let is_silent = error.is_none();
        let failure = problem::from_reply(status, error.unwrap_or_default());
        return Ok(match is_silent {
            true => failure.detail(format!("the answer begins with {:?}", beginning(body.as_bytes()))),
            false => failure,
        });
    }
    let format = adapt::upstream_format(attempt.call, attempt.candidate, dialect)?;
    let headers = headers::for_plugin(headers.iter().filter(|(name, _)| hygiene::may_be_read(name)));
    let problem = format.decode_problem(attempt.call.moment, status.as_u16(), &headers, body).await;
    Ok(problem::from_plugin(problem.map_err(problem::from_call)?))
}

/// What a reply is by its own word.
#[derive(Clone, Copy)]
enum Kind {
    Json,
    Events,
    WebPage,
    Other,
}

impl Kind {
    fn of(headers: &HeaderMap) -> Self {
        match content_type(headers).as_str() {
            "application/json" => Kind::Json,
            "text/event-stream" => Kind::Events,
            "text/html" => Kind::WebPage,
            _ => Kind::Other,
        }
    }
}

/// Without its parameters.
fn content_type(headers: &HeaderMap) -> String {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn beginning(body: &[u8]) -> String {
    String::from_utf8_lossy(&body[..body.len().min(120)]).into_owned()
}
