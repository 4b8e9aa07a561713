//! Parts of a user's message or a tool's result, and the blocks that say the same.

use crate::base64;
use crate::path::Path;
use crate::wire::{Block, Source};
use plugway_sdk::Problem;
use plugway_sdk::chat::{ContentPart, File, ImageUrl, Json, Text, TextOr};

/// A canonical part as a block; None where it says nothing (Anthropic refuses empty texts). `path` is where it stands.
pub(crate) fn to_block<'a>(
    part: ContentPart<'a>,
    path: &Path<'_>,
    dropped: &mut Vec<String>,
) -> Result<Option<Block<'a>>, Problem> {
    let marks = (part.cache_control.clone(), part.native.clone());
    let block = match &*part.kind {
        "text" => match part.text.filter(|text| !text.is_empty()) {
            Some(text) => Block { citations: part.citations, ..Block::text(text) },
            None => return Ok(None),
        },
        "refusal" => match part.refusal.filter(|text| !text.is_empty()) {
            Some(text) => Block::text(text),
            None => return Ok(None),
        },
        "image_url" => image(part.image_url.unwrap_or_default(), path, dropped)?,
        "file" => document(part.file.unwrap_or_default(), path)?,
        "native" => native(part.block.as_ref(), path)?,
        "input_audio" => return Err(cannot_say("audio", path)),
        other => return Err(cannot_say(&format!("a content part of type `{other}`"), path)),
    };
    let (cache_control, native) = marks;
    Ok(Some(Block {
        cache_control: cache_control.or(block.cache_control.clone()),
        ..block.with_extra(native.as_ref())
    }))
}

fn cannot_say(what: &str, path: &Path<'_>) -> Problem {
    Problem::invalid(format!("{path}: this model's API cannot take {what}")).at(path.to_string())
}

fn image<'a>(image: ImageUrl<'a>, path: &Path<'_>, dropped: &mut Vec<String>) -> Result<Block<'a>, Problem> {
    if image.detail.is_some_and(|detail| detail != "auto") {
        dropped.push(format!("{path}.image_url.detail"));
    }
    let at = || format!("{path}.image_url.url");
    let source = match DataUrl::parse(image.url.clone()) {
        Some(DataUrl { media_type, data }) => base64_source(media_type, data),
        None if image.url.starts_with("http://") || image.url.starts_with("https://") => url_source(image.url),
        None => {
            let message = format!("{}: must be an http or https URL, or `data:<media type>;base64,…`", at());
            return Err(Problem::invalid(message).at(at()));
        }
    };
    Ok(Block { source: Some(TextOr::Full(source)), ..Block::of("image") })
}

fn document<'a>(file: File<'a>, path: &Path<'_>) -> Result<Block<'a>, Problem> {
    let source = if let Some(data) = file.file_data {
        match DataUrl::parse(data) {
            Some(DataUrl { media_type, data }) if media_type.starts_with("text/plain") => text_source(&data, path)?,
            Some(DataUrl { media_type, data }) => base64_source(media_type, data),
            None => {
                let at = format!("{path}.file.file_data");
                return Err(Problem::invalid(format!("{at}: must be `data:<media type>;base64,…`")).at(at));
            }
        }
    } else if let Some(id) = file.file_id {
        Source { kind: "file".into(), file_id: Some(id), ..Source::default() }
    } else if let Some(url) = file.file_url {
        url_source(url)
    } else {
        let at = format!("{path}.file");
        return Err(Problem::invalid(format!("{at}: needs file_data, file_id or file_url")).at(at));
    };
    Ok(Block { source: Some(TextOr::Full(source)), title: file.filename, ..Block::of("document") })
}

fn native<'a>(block: Option<&Json<'a>>, path: &Path<'_>) -> Result<Block<'a>, Problem> {
    let at = || format!("{path}.block");
    let block = block.map(Block::read).filter(|block| !block.kind.is_empty());
    block.ok_or_else(|| Problem::invalid(format!("{}: must be a content block", at())).at(at()))
}

fn base64_source<'a>(media_type: Text<'a>, data: Text<'a>) -> Source<'a> {
    Source { kind: "base64".into(), media_type: Some(media_type), data: Some(data), ..Source::default() }
}

fn url_source(url: Text<'_>) -> Source<'_> {
    Source { kind: "url".into(), url: Some(url), ..Source::default() }
}

fn text_source<'a>(data: &str, path: &Path<'_>) -> Result<Source<'a>, Problem> {
    let at = || format!("{path}.file.file_data");
    let text = base64::decode(data).and_then(|bytes| String::from_utf8(bytes).ok());
    let text = text.ok_or_else(|| Problem::invalid(format!("{}: is not Base64 of UTF-8 text", at())).at(at()))?;
    Ok(Source {
        kind: "text".into(),
        media_type: Some("text/plain".into()),
        data: Some(text.into()),
        ..Source::default()
    })
}

/// `data:<media type>;base64,<data>`
struct DataUrl<'a> {
    media_type: Text<'a>,
    data: Text<'a>,
}

impl<'a> DataUrl<'a> {
    fn parse(url: Text<'a>) -> Option<Self> {
        let (head, _) = url.strip_prefix("data:")?.split_once(',')?;
        let media_type = head.strip_suffix(";base64")?;
        let (start, end) = ("data:".len(), "data:".len() + head.len());
        // Images are megabytes: borrow the data where the URL itself is borrowed.
        Some(match url.clone().into_cow() {
            std::borrow::Cow::Borrowed(url) => {
                DataUrl { media_type: url[start..start + media_type.len()].into(), data: url[end + 1..].into() }
            }
            std::borrow::Cow::Owned(url) => {
                DataUrl { media_type: media_type.to_owned().into(), data: url[end + 1..].to_owned().into() }
            }
        })
    }
}

/// A block as a canonical part; blocks that have no canonical form become `native` parts, which only an upstream of
/// this dialect takes and every other refuses.
pub(crate) fn from_block(block: Block<'_>) -> ContentPart<'_> {
    let source = match &block.source {
        Some(TextOr::Full(source)) => Some(&*source.kind),
        Some(TextOr::Text(_)) | None => None,
    };
    match (&*block.kind, source) {
        ("text", _) => text_part(block),
        ("image", Some("base64" | "url")) => image_part(block),
        ("document", Some("base64" | "url" | "text" | "file")) => file_part(block),
        _ => ContentPart {
            kind: "native".into(),
            cache_control: block.cache_control.clone(),
            block: Some(Json::of(&Block { cache_control: None, ..block })),
            ..ContentPart::default()
        },
    }
}

pub(crate) fn text_part(block: Block<'_>) -> ContentPart<'_> {
    let (block, native) = block.without_extra();
    ContentPart {
        cache_control: block.cache_control,
        citations: block.citations,
        native,
        ..ContentPart::text(block.text.unwrap_or_default())
    }
}

fn image_part(block: Block<'_>) -> ContentPart<'_> {
    let (block, native) = block.without_extra();
    let url = source_url(source(block.source));
    ContentPart {
        kind: "image_url".into(),
        image_url: Some(ImageUrl { url, ..ImageUrl::default() }),
        cache_control: block.cache_control,
        native,
        ..ContentPart::default()
    }
}

fn file_part(mut block: Block<'_>) -> ContentPart<'_> {
    // On a document `citations` is a setting, not a list of sources.
    if let Some(citations) = block.citations.take() {
        block.extra.push("citations", citations);
    }
    let (block, native) = block.without_extra();
    let source = source(block.source);
    let mut file = File { filename: block.title, ..File::default() };
    match &*source.kind {
        "file" => file.file_id = source.file_id,
        "url" => file.file_url = source.url,
        _ => file.file_data = Some(source_url(source)),
    }
    ContentPart {
        kind: "file".into(),
        file: Some(file),
        cache_control: block.cache_control,
        native,
        ..ContentPart::default()
    }
}

fn source<'a>(source: Option<TextOr<'a, Source<'a>>>) -> Source<'a> {
    match source {
        Some(TextOr::Full(source)) => source,
        Some(TextOr::Text(_)) | None => Source::default(),
    }
}

fn source_url(source: Source<'_>) -> Text<'_> {
    let data = source.data.unwrap_or_default();
    match &*source.kind {
        "url" => source.url.unwrap_or_default(),
        "text" => format!("data:text/plain;base64,{}", base64::encode(data.as_bytes())).into(),
        _ => format!("data:{};base64,{}", &*source.media_type.unwrap_or_default(), &*data).into(),
    }
}
