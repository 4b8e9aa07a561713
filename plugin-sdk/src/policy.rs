pub use crate::bindings::policy::exports::plugway::policy::policy::{Context, Phases, Verdict};
use crate::{Plugin, Problem, StreamState};

/// What may pass. Every method but [`phases`](Policy::phases) has a default that lets everything pass: implement those
/// of the phases that the policy names.
///
/// ```
/// use plugway_sdk::{Context, NoSettings, Phases, Plugin, Policy, Problem, ProblemKind, Verdict};
///
/// struct NoPoems;
///
/// impl Plugin for NoPoems {
///     type Settings = NoSettings;
///     const DESCRIPTION: &'static str = "Refuses requests for poems";
///
///     fn new(_: NoSettings) -> Result<Self, Problem> {
///         Ok(NoPoems)
///     }
/// }
///
/// impl Policy for NoPoems {
///     type State = ();
///
///     fn phases(&self) -> Phases {
///         Phases::REQUEST
///     }
///
///     fn review_request(&self, _context: &Context, body: &str) -> Result<Verdict, Problem> {
///         if body.contains("poem") {
///             return Ok(Verdict::Refuse(Problem::new(ProblemKind::Refused, "no poems here")));
///         }
///         Ok(Verdict::Pass)
///     }
/// }
///
/// plugway_sdk::export!(NoPoems: policy);
/// # fn main() {}
/// ```
pub trait Policy: Plugin {
    /// What is remembered between two chunks of a stream, as in
    /// [`UpstreamFormat::State`](crate::UpstreamFormat::State); `()` where nothing is.
    type State: StreamState;

    /// Which phases to be called for.
    fn phases(&self) -> Phases;

    /// A canonical request. Where the changed one has another `model`, the request goes there; where it has `stream:
    /// false`, the upstream is not asked for a stream, and a caller who waits for one gets the answer as one. `stream:
    /// true` for a caller who did not ask for a stream is the policy's fault.
    ///
    /// # Errors
    /// The policy itself cannot go on; the request fails with the status of the problem's kind, 500 for
    /// [`Problem::internal`]. To refuse, return [`Verdict::Refuse`]: such a problem has a code of its own, and the log
    /// says that it was a refusal.
    fn review_request(&self, _context: &Context, _body: &str) -> Result<Verdict, Problem> {
        Ok(Verdict::Pass)
    }

    /// A canonical answer that was not streamed.
    ///
    /// # Errors
    /// As [`review_request`](Policy::review_request).
    fn review_reply(&self, _context: &Context, _body: &str) -> Result<Verdict, Problem> {
        Ok(Verdict::Pass)
    }

    /// One canonical chunk; push what may pass. `Some` ends the stream with that problem.
    ///
    /// # Errors
    /// As [`review_request`](Policy::review_request).
    fn review_chunk(
        &self,
        _context: &Context,
        _state: &mut Self::State,
        chunk: String,
        chunks: &mut Vec<String>,
    ) -> Result<Option<Problem>, Problem> {
        chunks.push(chunk);
        Ok(None)
    }

    /// The stream has ended; push what was held back.
    ///
    /// # Errors
    /// As [`review_request`](Policy::review_request).
    fn review_end(
        &self,
        _context: &Context,
        _state: &mut Self::State,
        _chunks: &mut Vec<String>,
    ) -> Result<Option<Problem>, Problem> {
        Ok(None)
    }
}
