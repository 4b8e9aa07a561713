//! Limits of time, and what is said of those that pass.

use crate::error::{Failure, FailureKind};
use std::fmt::Display;
use std::time::Duration;

/// What comes of it in time. `what` begins the sentence that the caller reads, and goes on with "within 30 s".
pub async fn within<T, W: Display>(
    limit: Duration,
    code: &'static str,
    what: impl FnOnce() -> W,
    doing: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::time::timeout(limit, doing).await.unwrap_or_else(|_| {
        let message = format!("{} within {} s", what(), limit.as_secs_f64());
        Err(Failure::new(FailureKind::Timeout, message).code(code))
    })
}
