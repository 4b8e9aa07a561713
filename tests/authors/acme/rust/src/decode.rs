//! Acme's answers, streams and troubles in the canonical form.

use plugway_sdk::{Problem, ProblemKind, Progress, chat};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Reply {
    talk: String,
    engine: String,
    said: String,
    ended: String,
    bill: Bill,
}

#[derive(Deserialize)]
struct Bill {
    heard: u64,
    said: u64,
}

#[derive(Deserialize)]
struct Trouble {
    name: String,
    text: String,
    field: Option<String>,
}

#[derive(Deserialize)]
#[serde(tag = "at", rename_all = "lowercase")]
enum Said {
    Begin {
        talk: String,
        engine: String,
    },
    Word {
        says: String,
    },
    End {
        ended: String,
    },
    Bill {
        bill: Bill,
    },
    Trouble {
        trouble: Trouble,
    },
    #[serde(other)]
    SomethingElse,
}

/// What a stream has to remember.
#[derive(Default, Serialize, Deserialize)]
pub struct Talk {
    talk: String,
    engine: String,
    created: u64,
}

impl Talk {
    fn chunk(&self, choices: Value) -> Value {
        json!({
            "id": self.talk,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.engine,
            "choices": choices,
        })
    }
}

pub fn reply(body: &str) -> Result<String, Problem> {
    let Reply { talk, engine, said, ended, bill } = serde_json::from_str(body)
        .map_err(|error| Problem::upstream("the upstream's answer cannot be read").detail(error.to_string()))?;
    let mut choice = finish(&ended);
    choice["index"] = json!(0);
    choice["message"] = json!({"role": "assistant", "content": said});
    let reply = json!({
        "id": talk,
        "object": "chat.completion",
        "created": chat::now(),
        "model": engine,
        "choices": [choice],
        "usage": usage(&bill),
    });
    Ok(reply.to_string())
}

pub fn problem(status: u16, body: &str) -> Problem {
    #[derive(Deserialize)]
    struct Body {
        trouble: Trouble,
    }
    let kind = ProblemKind::of_status(status);
    match serde_json::from_str(body) {
        Ok(Body { trouble }) => trouble.into_problem(kind),
        Err(_) => Problem::new(kind, "Acme failed without saying why"),
    }
}

impl Trouble {
    fn into_problem(self, kind: ProblemKind) -> Problem {
        let code = if self.name == "too_long" { "context_length_exceeded" } else { &self.name };
        let problem = Problem::new(kind, self.text).code(code);
        match self.field {
            Some(field) => problem.at(field),
            None => problem,
        }
    }
}

pub fn event(talk: &mut Talk, data: &str, chunks: &mut Vec<String>) -> Result<Progress, Problem> {
    let said = serde_json::from_str(data).map_err(|_| Problem::upstream("an event of Acme's answer cannot be read"))?;
    let mut delta = |talk: &Talk, delta: Value, mut choice: Value| {
        choice["index"] = json!(0);
        choice["delta"] = delta;
        chunks.push(talk.chunk(json!([choice])).to_string());
    };
    let unfinished = json!({"finish_reason": null});
    match said {
        Said::Begin { talk: id, engine } => {
            *talk = Talk { talk: id, engine, created: chat::now() };
            delta(talk, json!({"role": "assistant", "content": ""}), unfinished);
        }
        Said::Word { says } => delta(talk, json!({"content": says}), unfinished),
        Said::End { ended } => delta(talk, json!({}), finish(&ended)),
        Said::Bill { bill } => {
            let mut chunk = talk.chunk(json!([]));
            chunk["usage"] = usage(&bill);
            chunks.push(chunk.to_string());
            return Ok(Progress::Complete);
        }
        Said::Trouble { trouble } => {
            let tired = trouble.name == "tired";
            let kind = if tired { ProblemKind::Overloaded } else { ProblemKind::Upstream };
            return Ok(Progress::Failed(trouble.into_problem(kind)));
        }
        Said::SomethingElse => {}
    }
    Ok(Progress::Open)
}

fn finish(ended: &str) -> Value {
    let reason = match ended {
        "words" => "length",
        "hushed" => "content_filter",
        _ => "stop",
    };
    json!({"finish_reason": reason, "native_finish_reason": ended})
}

fn usage(Bill { heard, said }: &Bill) -> Value {
    json!({"prompt_tokens": heard, "completion_tokens": said, "total_tokens": heard + said})
}
