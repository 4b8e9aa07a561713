//! The code blocks of a page.

use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag, TagEnd};

/// A fenced block of code.
pub struct Block {
    /// Of its fence.
    pub line: usize,
    /// The first word after the fence.
    pub language: String,
    /// What the rest of that line says.
    pub role: Role,
    pub text: String,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Role {
    /// Nothing is said.
    Plain,
    Serves,
    Output,
    Log,
    /// What stands below `providers:`.
    Providers,
    Drawing,
    File(String),
    NotRun(String),
}

impl Role {
    fn read(words: &str) -> Result<Role, String> {
        Ok(match words {
            "" => Role::Plain,
            "serves" => Role::Serves,
            "output" => Role::Output,
            "log" => Role::Log,
            "providers" => Role::Providers,
            "drawing" => Role::Drawing,
            other => match (other.strip_prefix("file="), other.strip_prefix("not-run: ")) {
                (Some(name), _) => Role::File(name.to_owned()),
                (_, Some(reason)) => Role::NotRun(reason.to_owned()),
                (None, None) => return Err(format!("nobody knows what `{other}` after a fence means")),
            },
        })
    }
}

/// In the order of the page.
pub fn blocks(page: &str) -> Result<Vec<Block>, String> {
    let mut blocks = Vec::new();
    let mut open = None;
    for (event, place) in Parser::new(page).into_offset_iter() {
        match event {
            Event::Start(Tag::CodeBlock(kind)) => {
                let line = page[..place.start].lines().count() + 1;
                open = Some(begin(line, &kind).map_err(|mistake| format!("line {line}: {mistake}"))?);
            }
            Event::Text(text) => {
                if let Some(block) = &mut open {
                    block.text.push_str(&text);
                }
            }
            Event::End(TagEnd::CodeBlock) => blocks.extend(open.take()),
            _ => {}
        }
    }
    Ok(blocks)
}

fn begin(line: usize, kind: &CodeBlockKind<'_>) -> Result<Block, String> {
    let CodeBlockKind::Fenced(info) = kind else {
        return Err("this block is indented; give it a fence and a language".to_owned());
    };
    let (language, words) = info.split_once(' ').unwrap_or((info, ""));
    Ok(Block { line, language: language.to_owned(), role: Role::read(words.trim())?, text: String::new() })
}
