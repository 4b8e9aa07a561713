//! Problems that plugins report, and faults that they commit, as failures of a call; and back.

use crate::chat::{BodyError, Members, ReportedError};
use crate::error::{Failure, FailureKind};
use crate::plugins::api::{Problem, ProblemKind};
use crate::plugins::{CallError, Configured, Fault};
use crate::snapshot::ClientRoute;
use http::StatusCode;

/// The longest that an upstream's word is taken for.
const LONGEST_RETRY_AFTER_MS: u64 = 3_600_000;

/// A problem as the caller will see it. `Unauthenticated` here is the upstream's word on the gateway's credential.
pub fn from_plugin(problem: Problem) -> Failure {
    let kind = match problem.kind {
        ProblemKind::InvalidRequest => FailureKind::InvalidRequest,
        ProblemKind::Unauthenticated => FailureKind::UpstreamCredential,
        ProblemKind::Forbidden => FailureKind::Forbidden,
        ProblemKind::NotFound => FailureKind::NotFound,
        ProblemKind::TooLarge => FailureKind::TooLarge,
        ProblemKind::Refused => FailureKind::Refused,
        ProblemKind::RateLimited => FailureKind::RateLimited,
        ProblemKind::Unsupported => FailureKind::Unsupported,
        ProblemKind::Upstream => FailureKind::Upstream,
        ProblemKind::Overloaded => FailureKind::Overloaded,
        ProblemKind::Timeout => FailureKind::Timeout,
        ProblemKind::Internal => FailureKind::Internal,
    };
    let code = match problem.code {
        None if kind == FailureKind::Refused => Some("content_policy_violation".into()),
        code => code.map(Into::into),
    };
    Failure {
        kind,
        message: problem.message.into(),
        param: problem.param.map(Into::into),
        code,
        detail: problem.detail.map(Into::into),
        retry_after_ms: problem.retry_after_ms.map(|milliseconds| milliseconds.min(LONGEST_RETRY_AFTER_MS)),
        verbatim: None,
    }
}

/// A failure for the client half of a format to put into its dialect's words.
pub fn to_plugin(failure: &Failure) -> Problem {
    let kind = match failure.kind {
        FailureKind::InvalidRequest | FailureKind::MethodNotAllowed | FailureKind::CallerTooSlow => {
            ProblemKind::InvalidRequest
        }
        FailureKind::UpstreamCredential => ProblemKind::Unauthenticated,
        FailureKind::Forbidden => ProblemKind::Forbidden,
        FailureKind::NotFound => ProblemKind::NotFound,
        FailureKind::TooLarge => ProblemKind::TooLarge,
        FailureKind::Refused => ProblemKind::Refused,
        FailureKind::RateLimited => ProblemKind::RateLimited,
        FailureKind::Unsupported => ProblemKind::Unsupported,
        FailureKind::Plugin | FailureKind::Internal => ProblemKind::Internal,
        FailureKind::Unavailable | FailureKind::Overloaded => ProblemKind::Overloaded,
        FailureKind::Upstream | FailureKind::ForbiddenAddress => ProblemKind::Upstream,
        FailureKind::Timeout => ProblemKind::Timeout,
    };
    Problem {
        kind,
        message: failure.message.to_string(),
        param: failure.param.as_deref().map(str::to_owned),
        code: failure.code.as_deref().map(str::to_owned),
        detail: None,
        retry_after_ms: failure.retry_after_ms,
    }
}

/// What a call into a plugin failed of.
pub fn from_call(error: CallError) -> Failure {
    match error {
        CallError::Problem(problem) => from_plugin(problem),
        CallError::Fault { plugin, fault } => from_fault(&plugin, &fault),
    }
}

fn from_fault(plugin: &str, fault: &Fault) -> Failure {
    let detail = format!("{plugin}: {fault}");
    match fault {
        Fault::OutOfUse(left) => Failure::new(
            FailureKind::Unavailable,
            format!("the plugin {plugin} is out of use after repeated faults; try again later"),
        )
        .code("plugin_out_of_use")
        .retry_after_ms(Some(u64::try_from(left.as_millis()).unwrap_or(u64::MAX)))
        .detail(detail),
        Fault::Busy(_) | Fault::NoSlot(_) | Fault::NoInstance(_) => {
            Failure::new(FailureKind::Unavailable, format!("the plugin {plugin} is busy; try again"))
                .code("plugin_busy")
                .retry_after_ms(Some(1_000))
                .detail(detail)
        }
        Fault::TooLargeForIt { limit } => {
            let message = format!("the request is larger than the {limit} bytes that can be translated");
            Failure::new(FailureKind::TooLarge, message).code("request_too_large").detail(detail)
        }
        Fault::AnswerTooLargeForIt { limit } => {
            let message = format!("the provider's answer is larger than the {limit} bytes that can be translated");
            Failure::upstream(message).code("upstream_too_large").detail(detail)
        }
        Fault::TookTooLong(_) => {
            Failure::new(FailureKind::Plugin, format!("the plugin {plugin} took too long for this request"))
                .code("plugin_timeout")
                .detail(detail)
        }
        Fault::Trapped(_) | Fault::TooMuch(_) | Fault::Unconfigured(_) | Fault::Script(_) | Fault::BrokeContract(_) => {
            Failure::new(FailureKind::Plugin, format!("the plugin {plugin} failed on this request"))
                .code("plugin_failed")
                .detail(detail)
        }
    }
}

/// An error reply in the canonical dialect.
pub fn from_reply(status: StatusCode, error: ReportedError) -> Failure {
    let silent = format!("the provider answered with status {}", status.as_u16());
    in_its_words(Failure::of_status(status, silent), error)
}

/// An error where an answer should be, in the canonical dialect: amid a stream, or in a document with a good status.
pub fn from_answer(error: ReportedError) -> Failure {
    let says = |word: &str| [&error.code, &error.kind].into_iter().flatten().any(|text| text.contains(word));
    let kind = if says("overloaded") || says("529") || says("503") {
        FailureKind::Overloaded
    } else if says("rate_limit") || says("429") {
        FailureKind::RateLimited
    } else {
        FailureKind::Upstream
    };
    in_its_words(Failure::new(kind, "the provider reported an error in place of an answer"), error)
}

fn in_its_words(mut failure: Failure, error: ReportedError) -> Failure {
    let ReportedError { message, param, code, kind: _ } = error;
    if let Some(message) = message.filter(|message| !message.is_empty()) {
        failure.message = message.into();
    }
    failure.param = param.map(Into::into);
    failure.code = code.map(Into::into);
    failure
}

/// A request that a plugin made; nothing but a JSON object may go on as one.
pub fn checked_request(plugin: &Configured, text: String) -> Result<String, Failure> {
    request_members(plugin, &text)?;
    Ok(text)
}

/// The members of a request that a plugin made.
pub fn request_members<'a>(plugin: &Configured, text: &'a str) -> Result<Members<'a>, Failure> {
    members(plugin, text, || Failure::invalid("the request is nested too deep to be translated"))
}

/// An answer that a plugin made, as [`checked_request`].
pub fn checked_answer(plugin: &Configured, text: String) -> Result<String, Failure> {
    let too_deep =
        || Failure::upstream("the provider's answer is nested too deep to be translated").code("upstream_malformed");
    members(plugin, &text, too_deep)?;
    Ok(text)
}

/// Too deep is no fault of the plugin: what stands in a string of one dialect, such as the arguments of a call, is unfolded
/// in another, and an object may lie one level deeper there. Whoever sent it must not take the plugin from everybody.
fn members<'a>(plugin: &Configured, text: &'a str, too_deep: impl FnOnce() -> Failure) -> Result<Members<'a>, Failure> {
    Members::of(text.as_bytes()).map_err(|error| match error {
        BodyError::TooDeep => too_deep(),
        BodyError::Empty | BodyError::NotUtf8(_) | BodyError::NotJson(_) => {
            from_call(plugin.broke_contract(format!("what should be a JSON object is none: {error}")))
        }
    })
}

/// A route whose format plugin was taken away.
pub fn gone(route: &ClientRoute) -> Failure {
    Failure::new(
        FailureKind::Unavailable,
        format!("the plugin that speaks `{}` has been removed; {} is not served now", route.dialect, route.path),
    )
    .code("plugin_missing")
}
