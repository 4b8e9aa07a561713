//! The routes of the canonical dialect: OpenAI's, but for those of dialects with a plugin of their own.

use super::{ClientRoute, PROXY, Speaker};
use crate::chat;
use crate::operation::Operation;
use crate::plugins::api::client::Place;
use http::Method;

/// What is asked for by `POST`, with the model in the body. The last says where a stream is asked for.
const POSTS: [(&str, Operation, &str); 11] = [
    ("/v1/chat/completions", Operation::ChatCompletion, "stream"),
    ("/v1/completions", Operation::TextCompletion, "stream"),
    ("/v1/embeddings", Operation::Embedding, ""),
    ("/v1/moderations", Operation::Moderation, ""),
    ("/v1/rerank", Operation::Rerank, ""),
    ("/v1/audio/speech", Operation::Speech, "stream_format"),
    ("/v1/audio/transcriptions", Operation::Transcription, "stream"),
    ("/v1/audio/translations", Operation::Translation, ""),
    ("/v1/images/generations", Operation::ImageGeneration, "stream"),
    ("/v1/images/edits", Operation::ImageEdit, "stream"),
    ("/v1/images/variations", Operation::ImageVariation, ""),
];

/// Where clients find what is not served. Everything below is meant too.
const NOT_SERVED: [(&str, Operation); 7] = [
    ("/v1/batches", Operation::Batch),
    ("/v1/messages/batches", Operation::Batch),
    ("/v1/files", Operation::File),
    ("/v1/uploads", Operation::File),
    ("/v1/realtime", Operation::Realtime),
    ("/v1/responses/input_tokens", Operation::CountTokens),
    ("/v1/responses", Operation::Responses),
];

pub(super) fn routes() -> Vec<ClientRoute> {
    let member = |name: &str| if name.is_empty() { Place::Never } else { Place::Member(name.to_owned()) };
    let posts = POSTS.map(|(path, operation, streaming)| ClientRoute {
        method: Method::POST,
        path: path.to_owned(),
        dialect: chat::DIALECT.to_owned(),
        operation,
        model: member("model"),
        streaming: member(streaming),
        format: Speaker::Canonical,
        header: None,
    });
    let lists = ["/v1/models", "/v1/models/{*id}"].map(|path| ClientRoute {
        method: Method::GET,
        path: path.to_owned(),
        operation: Operation::ListModels,
        model: Place::Never,
        streaming: Place::Never,
        ..posts[0].clone()
    });
    posts.into_iter().chain(lists).collect()
}

/// The operation that callers of this path want, where it is one that no route is for.
pub(super) fn not_served(path: &str) -> Option<Operation> {
    let below = path.strip_prefix(PROXY).unwrap_or(path);
    let found = NOT_SERVED.iter().find(|(prefix, _)| {
        [*prefix, &prefix["/v1".len()..]]
            .iter()
            .any(|prefix| below.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
    });
    found.map(|(_, operation)| *operation)
}
