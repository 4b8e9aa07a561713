//! `POST /api/explain`: what would become of a request.

use super::{Api, body};
use crate::error::Failure;
use crate::pipeline::{self, Question};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};

pub async fn explain(State(api): State<Api>, body: Body) -> Response {
    let question = match body::read(&api, body).await {
        Ok(question) => question,
        Err(failed) => return failed.into_response(),
    };
    match explained(&api, &question).await {
        Ok(answer) => answer.into_response(),
        Err(failure) => (failure.status(), Json(failure.body())).into_response(),
    }
}

async fn explained(api: &Api, question: &[u8]) -> Result<Json<serde_json::Value>, Failure> {
    pipeline::explain(api.gateway.live.clone(), Question::read(question)?).await.map(Json)
}
