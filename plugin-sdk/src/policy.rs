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

    /// A canonical request.
    ///
    /// # Errors
    /// The policy itself cannot go on; the request is refused with status 500. To refuse, return [`Verdict::Refuse`].
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
