//! The body of a request to the admin API, bounded in size and time.

use super::Api;
use super::reply::{Failed, Kind};
use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use std::time::Duration;

/// Larger than any provider's block, even with all the certificates of the world in it.
const LARGEST_BODY: usize = 1024 * 1024;

pub async fn read(api: &Api, body: Body) -> Result<Bytes, Failed> {
    let patience = api.gateway.live.current().config.limits.caller_timeout;
    match tokio::time::timeout(patience, gather(body)).await {
        Ok(gathered) => gathered,
        Err(_) => Err(Failed::new(Kind::TooSlow, "too_slow", "the request's body did not come in time")),
    }
}

async fn gather(mut body: Body) -> Result<Bytes, Failed> {
    let mut gathered = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Failed::new(Kind::Invalid, "invalid_body", "the request's body broke off"))?;
        gathered.extend_from_slice(&frame.into_data().unwrap_or_default());
        if gathered.len() > LARGEST_BODY {
            drop(gathered);
            drain(body).await;
            let message = format!("the body is larger than the {} KB that are taken", LARGEST_BODY / 1024);
            return Err(Failed::new(Kind::TooLarge, "request_too_large", message));
        }
    }
    Ok(gathered.freeze())
}

/// Reads on for a moment and throws away: most clients look for a reply only when they have sent everything.
async fn drain(mut body: Body) {
    const MOMENT: Duration = Duration::from_secs(2);
    let reading = async { while let Some(Ok(_)) = body.frame().await {} };
    // Who sends for longer does not get the reply.
    let _ = tokio::time::timeout(MOMENT, reading).await;
}
