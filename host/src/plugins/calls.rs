//! The functions of the contract, as the host calls them.

use super::api::client::{Encoded, Route};
use super::api::headers::Variable;
use super::api::policy::{Context, Phases, Reviewed, Verdict};
use super::api::provider::{Call, Capabilities, HttpReply, Step};
use super::api::upstream::{Decoded, Progress, Translated};
use super::api::{Event, Header, Problem};
use super::configured::{CallError, Configured, MAX_SAID_BYTES, Moment, Occasion};
use super::fault::Fault;
use std::sync::Arc;

/// Calls one function of one kind on a pooled instance, under the deadline.
macro_rules! invoke {
    ($configured:ident, $occasion:expr, $kind:ident . $interface:ident . $function:ident ( $($argument:expr),* )) => {{
        let occasion: Occasion = $occasion.into();
        $configured.remember(occasion, stringify!($kind), stringify!($function), || {
            [$((stringify!($argument), serde_json::to_value($argument).unwrap_or_default())),*]
        });
        let mut taken = $configured.take(occasion).await.map_err(|fault| $configured.failed(fault))?;
        let limit = $configured.limit();
        let live = &mut taken.live;
        let Some(exports) = live.exports.$kind.as_ref() else {
            return Err($configured.failed(Fault::BrokeContract(concat!("it is no ", stringify!($kind)).to_owned())));
        };
        let outcome =
            tokio::time::timeout(limit, exports.$interface().$function(&mut live.store $(, $argument)*)).await;
        taken.finish(stringify!($function), outcome)
    }};
}

/// Provider.
impl Configured {
    pub async fn capabilities(&self) -> Result<Arc<Capabilities>, CallError> {
        let asked = self.capabilities.get_or_try_init(|| async { self.ask_capabilities().await.map(Arc::new) });
        asked.await.cloned()
    }

    async fn ask_capabilities(&self) -> Result<Capabilities, CallError> {
        invoke!(self, Occasion::Building, provider.plugway_provider_provider.call_get_capabilities())
    }

    pub async fn plan(&self, moment: Moment, call: &Call) -> Result<Step, CallError> {
        self.fits(&call.members)?;
        self.bounded_step(self.flatten(invoke!(self, moment, provider.plugway_provider_provider.call_plan(call)))?)
    }

    pub async fn resume(&self, moment: Moment, state: &String, reply: Option<&HttpReply>) -> Result<Step, CallError> {
        self.bounded_step(self.flatten(invoke!(
            self,
            moment,
            provider.plugway_provider_provider.call_resume(state, reply)
        ))?)
    }

    fn bounded_step(&self, step: Step) -> Result<Step, CallError> {
        match &step {
            Step::Fetch(fetch) => self.bounded(&fetch.state)?,
            Step::Wait(pause) => self.bounded(&pause.state)?,
            Step::Send(_) | Step::Acquire(_) | Step::Reply(_) => {}
        }
        Ok(step)
    }
}

/// Format, upstream half.
impl Configured {
    pub async fn upstream_dialect(&self) -> Result<String, CallError> {
        invoke!(self, Occasion::Building, upstream.plugway_format_upstream.call_dialect())
    }

    pub async fn encode_request(
        &self,
        moment: Moment,
        operation: &str,
        model: &str,
        body: &String,
    ) -> Result<Translated, CallError> {
        self.fits(body)?;
        self.flatten(invoke!(
            self,
            moment,
            upstream.plugway_format_upstream.call_encode_request(operation, model, body)
        ))
    }

    pub async fn decode_reply(&self, moment: Moment, operation: &str, body: &String) -> Result<String, CallError> {
        self.fits_answer(body)?;
        self.flatten(invoke!(self, moment, upstream.plugway_format_upstream.call_decode_reply(operation, body)))
    }

    pub async fn decode_problem(
        &self,
        moment: Moment,
        status: u16,
        headers: &[Header],
        body: &String,
    ) -> Result<Problem, CallError> {
        invoke!(self, moment, upstream.plugway_format_upstream.call_decode_problem(status, headers, body))
    }

    pub async fn decode_events(
        &self,
        moment: Moment,
        operation: &str,
        state: &String,
        events: &[Event],
        end: bool,
    ) -> Result<Decoded, CallError> {
        let decoded: Decoded = self.flatten(invoke!(
            self,
            moment,
            upstream.plugway_format_upstream.call_decode_events(operation, state, events, end)
        ))?;
        self.bounded(&decoded.state)?;
        Ok(decoded)
    }
}

/// Format, client half.
impl Configured {
    pub async fn client_dialect(&self) -> Result<String, CallError> {
        invoke!(self, Occasion::Building, client.plugway_format_client.call_dialect())
    }

    pub async fn routes(&self) -> Result<Vec<Route>, CallError> {
        invoke!(self, Occasion::Building, client.plugway_format_client.call_routes())
    }

    pub async fn decode_request(
        &self,
        moment: Moment,
        operation: &str,
        model: &str,
        streaming: bool,
        body: &String,
    ) -> Result<Translated, CallError> {
        self.fits(body)?;
        self.flatten(invoke!(
            self,
            moment,
            client.plugway_format_client.call_decode_request(operation, model, streaming, body)
        ))
    }

    pub async fn encode_reply(&self, moment: Moment, operation: &str, body: &String) -> Result<String, CallError> {
        self.fits_answer(body)?;
        self.flatten(invoke!(self, moment, client.plugway_format_client.call_encode_reply(operation, body)))
    }

    pub async fn encode_events(
        &self,
        moment: Moment,
        operation: &str,
        state: &String,
        chunks: &[String],
        progress: &Progress,
    ) -> Result<Encoded, CallError> {
        let encoded: Encoded = self.flatten(invoke!(
            self,
            moment,
            client.plugway_format_client.call_encode_events(operation, state, chunks, progress)
        ))?;
        self.within(MAX_SAID_BYTES, &encoded.state)?;
        Ok(encoded)
    }

    pub async fn encode_problem(
        &self,
        moment: Moment,
        status: u16,
        problem: &Problem,
        request_id: &str,
    ) -> Result<String, CallError> {
        invoke!(self, moment, client.plugway_format_client.call_encode_problem(status, problem, request_id))
    }
}

/// Headers.
impl Configured {
    pub async fn variables(&self, template: &str) -> Result<Vec<String>, CallError> {
        self.flatten(invoke!(self, Occasion::Building, headers.plugway_headers_headers.call_variables(template)))
    }

    pub async fn render(
        &self,
        moment: Moment,
        templates: &[Header],
        variables: &[Variable],
    ) -> Result<Vec<Header>, CallError> {
        self.flatten(invoke!(self, moment, headers.plugway_headers_headers.call_render(templates, variables)))
    }
}

/// Policy.
impl Configured {
    pub async fn phases(&self) -> Result<Phases, CallError> {
        invoke!(self, Occasion::Building, policy.plugway_policy_policy.call_get_phases())
    }

    pub async fn review_request(&self, moment: Moment, context: &Context, body: &String) -> Result<Verdict, CallError> {
        self.fits(body)?;
        self.flatten(invoke!(self, moment, policy.plugway_policy_policy.call_review_request(context, body)))
    }

    pub async fn review_reply(&self, moment: Moment, context: &Context, body: &String) -> Result<Verdict, CallError> {
        self.fits_answer(body)?;
        self.flatten(invoke!(self, moment, policy.plugway_policy_policy.call_review_reply(context, body)))
    }

    pub async fn review_chunks(
        &self,
        moment: Moment,
        context: &Context,
        state: &String,
        chunks: &[String],
        end: bool,
    ) -> Result<Reviewed, CallError> {
        let reviewed: Reviewed = self.flatten(invoke!(
            self,
            moment,
            policy.plugway_policy_policy.call_review_chunks(context, state, chunks, end)
        ))?;
        self.bounded(&reviewed.state)?;
        Ok(reviewed)
    }
}
