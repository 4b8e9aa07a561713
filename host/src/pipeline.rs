//! The way of a request, one stage after the other. Each stage is a file with the stage's name; each takes what the one
//! before it gives.

mod adapt;
mod addressee;
mod admit;
mod attempt;
mod call;
mod decode;
mod encode;
mod explain;
mod headers;
mod hygiene;
mod limit;
mod models;
mod problem;
mod receive;
mod review;
mod route;
mod scrub;
mod send;
mod stream;
mod tries;
mod url;

pub use admit::Room;
pub use call::Gateway;
pub use encode::ReplyBody;
pub use explain::{Question, explain};
pub use scrub::Scrubs;
pub use send::{Derived, Upstreams};
pub use url::{check as check_path, join as join_url};

use crate::error::Failure;
use admit::Admitted;
use attempt::Answered;
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use std::error::Error;

/// Serves one request.
pub async fn serve<B>(gateway: &Gateway, request: Request<B>) -> Response<ReplyBody>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    match admit::admit(gateway, request).await {
        Ok(admitted) => answer(gateway, admitted).await,
        Err(turned_away) => encode::failure(*turned_away).await,
    }
}

async fn answer(gateway: &Gateway, mut admitted: Admitted) -> Response<ReplyBody> {
    match run(gateway, &mut admitted).await {
        Ok(answer) => encode::answer(admitted, answer),
        Err(failure) => encode::failure(admitted.into_failed(failure)).await,
    }
}

/// The stages between the request that came in and the reply that goes out.
async fn run(gateway: &Gateway, admitted: &mut Admitted) -> Result<encode::Reply, Failure> {
    let Admitted { call, body, record, .. } = admitted;
    if models::is_list(call) {
        return encode::whole(call, models::answer(gateway, call).await?).await;
    }
    // A dialect that nobody speaks any more is not worth reading.
    call.speaker()?;
    let request = decode::decode(call, std::mem::take(body), record)?;
    let request = review::request(call, request).await?;
    let choices = route::route(call, &request, record)?;
    let Answered { answer, dropped } = tries::first_that_answers(gateway, call, &request, choices, record).await?;
    let answer = review::answer(call, &request, answer).await?;
    encode::encode(call, &request, answer, &dropped).await
}
