//! review: what policies say to requests, whole answers and stream chunks. Policies see the canonical form; as long as they
//! change nothing, what came passes as it came.

use super::call::Call;
use super::decode::Request;
use super::problem;
use super::receive::Answer;
use crate::chat;
use crate::error::{Failure, FailureKind};
use crate::plugins::Configured;
use crate::plugins::api::policy::{Context, Phases, Verdict};
use crate::snapshot::PolicyUse;
use std::sync::Arc;

pub async fn request(call: &Call, mut request: Request) -> Result<Request, Failure> {
    for policy in asked(call, Phases::REQUEST) {
        let plugin = plugin(policy)?;
        let context = context(call, &request);
        let shown = request.for_policies(call).await?;
        let verdict = plugin.review_request(call.moment, &context, &shown.body).await.map_err(problem::from_call)?;
        drop(shown);
        match verdict {
            Verdict::Pass => {}
            Verdict::Change(body) => request = request.changed_by(plugin, body)?,
            Verdict::Refuse(problem) => return Err(refusal(policy, problem)),
        }
    }
    Ok(request)
}

/// Whole answers; streams are reviewed chunk by chunk on their way out.
pub async fn answer(call: &Call, request: &Request, answer: Answer) -> Result<Answer, Failure> {
    let mut answer = answer;
    for policy in asked(call, Phases::REPLY) {
        let of_native;
        let body = match &answer {
            Answer::Canonical(body) => body,
            Answer::Native(reply) => {
                of_native = reply.canonical()?;
                &of_native
            }
            // What people could read must not pass unread.
            Answer::Bytes(reply) if reply.is_text() => {
                let message = "a policy must read the answer, which is no JSON; ask for `response_format: json`";
                return Err(Failure::new(FailureKind::Unsupported, message).at("response_format"));
            }
            Answer::Stream(_) | Answer::Bytes(_) => return Ok(answer),
        };
        let plugin = plugin(policy)?;
        let context = context(call, request);
        match plugin.review_reply(call.moment, &context, body).await.map_err(problem::from_call)? {
            Verdict::Pass => {}
            Verdict::Change(body) => answer = Answer::Canonical(problem::checked_answer(plugin, body)?),
            Verdict::Refuse(problem) => return Err(refusal(policy, problem)),
        }
    }
    Ok(answer)
}

/// The policies that look at the chunks of one stream, each with its state.
pub struct ChunkReview {
    context: Context,
    policies: Vec<(String, Arc<Configured>, String)>,
}

impl ChunkReview {
    /// None where no policy wants to see chunks.
    pub fn of(call: &Call, request: &Request) -> Result<Option<Self>, Failure> {
        Self::by(call, request, asked(call, Phases::CHUNKS))
    }

    /// The same for an answer that came whole and is given in pieces. Who reviewed it as a whole has seen what is in them.
    pub fn of_whole(call: &Call, request: &Request) -> Result<Option<Self>, Failure> {
        let asked = asked(call, Phases::CHUNKS).filter(|policy| !policy.phases.contains(Phases::REPLY));
        Self::by(call, request, asked)
    }

    fn by<'a>(
        call: &Call,
        request: &Request,
        asked: impl Iterator<Item = &'a PolicyUse>,
    ) -> Result<Option<Self>, Failure> {
        let mut policies = Vec::new();
        for policy in asked {
            policies.push((policy.name.clone(), plugin(policy)?.clone(), String::new()));
        }
        Ok((!policies.is_empty()).then(|| ChunkReview { context: context(call, request), policies }))
    }

    /// What may pass; and why the stream ends here, where it does.
    pub async fn review(&mut self, call: &Call, chunks: Vec<String>, end: bool) -> (Vec<String>, Option<Failure>) {
        let (mut chunks, mut end) = (chunks, end);
        let mut refused = None;
        for (name, plugin, state) in &mut self.policies {
            let reviewed = match plugin.review_chunks(call.moment, &self.context, state, &chunks, end).await {
                Ok(reviewed) => reviewed,
                Err(error) => return (Vec::new(), Some(problem::from_call(error))),
            };
            *state = reviewed.state;
            // No closer a look than upstreams' chunks get after the first content: a policy that passes on an odd one, at
            // once or later, is not to blame for it.
            if reviewed.chunks.iter().any(|chunk| chat::glance(chunk).is_none()) {
                let failure = problem::from_call(plugin.broke_contract("it passed on something that is no chunk"));
                return (Vec::new(), Some(failure));
            }
            chunks = reviewed.chunks;
            if let Some(problem) = reviewed.refusal {
                refused = Some(named(name, problem::from_plugin(problem)));
                // Those behind it see the end of what it let through.
                end = true;
            }
        }
        (chunks, refused)
    }
}

fn asked(call: &Call, phase: Phases) -> impl Iterator<Item = &PolicyUse> {
    call.snapshot.policies.iter().filter(move |policy| policy.phases.contains(phase))
}

fn plugin(policy: &PolicyUse) -> Result<&Arc<Configured>, Failure> {
    policy.plugin.as_ref().map_err(|reason| {
        Failure::new(FailureKind::Unavailable, format!("the policy `{}` cannot be asked now", policy.name))
            .code("policy_unavailable")
            .detail(format!("policy {}: {reason}", policy.name))
    })
}

fn context(call: &Call, request: &Request) -> Context {
    Context {
        request_id: call.id.clone(),
        operation: request.kind.operation.name().to_owned(),
        model: model(call, request),
        streaming: request.kind.streaming,
        now_ms: call.moment.now_ms,
    }
}

/// As the caller wrote it, with the provider's name before it where the path or a header says whose it is: what a policy says
/// of `<provider>/<model>` holds for each way of asking.
fn model(call: &Call, request: &Request) -> String {
    let model = request.model_name();
    let Some(provider) = call.addressee.target().map(|target| &target.config.name) else { return model.to_owned() };
    let rest = model.strip_prefix(provider.as_str()).and_then(|rest| rest.strip_prefix('/'));
    match rest {
        // Below the path of a provider every name is the provider's own.
        Some(_) if !call.addressee.is_by_path() => model.to_owned(),
        _ if model.is_empty() => String::new(),
        _ => format!("{provider}/{model}"),
    }
}

fn refusal(policy: &PolicyUse, problem: crate::plugins::api::Problem) -> Failure {
    named(&policy.name, problem::from_plugin(problem))
}

fn named(policy: &str, failure: Failure) -> Failure {
    let detail = failure.detail.as_deref().unwrap_or("refused");
    let detail = format!("policy {policy}: {detail}");
    failure.detail(detail)
}
