//! What a plan begins with, without doing any of it.

use super::{Adapted, outbound, plan_input};
use crate::error::Failure;
use crate::pipeline::attempt::Attempt;
use crate::pipeline::problem;
use crate::pipeline::send::Outbound;
use crate::plugins::api::provider::Step;

pub enum Foreseen {
    Send {
        outbound: Box<Outbound>,
        dropped: Vec<String>,
    },
    /// Something has to be done before anybody can say what is sent.
    First(String),
    /// The provider answers by itself.
    Local,
}

pub async fn foresee(attempt: &Attempt<'_>) -> Result<Foreseen, Failure> {
    let plugin = &attempt.candidate.ready.plugin;
    let lent = attempt.gateway.upstreams.derived().live(attempt.candidate);
    let planned = plan_input(attempt, &lent).await?;
    Ok(match plugin.plan(attempt.call.moment, &planned).await.map_err(problem::from_call)? {
        Step::Send(outgoing) => match outbound(attempt, outgoing, lent).await? {
            Adapted::Send { outbound, dropped } => Foreseen::Send { outbound, dropped },
            Adapted::Local { .. } => Foreseen::Local,
        },
        Step::Reply(_) => Foreseen::Local,
        Step::Wait(pause) => Foreseen::First(format!("waits for {} ms", pause.milliseconds)),
        Step::Fetch(fetch) => {
            Foreseen::First(format!("asks {} {}, and plans by the answer", fetch.request.method, fetch.request.path))
        }
        Step::Acquire(wanted) => Foreseen::First(format!(
            "gets the credential `{}` with {} {}, unless it is at hand",
            wanted.credential, wanted.request.method, wanted.request.path
        )),
    })
}
