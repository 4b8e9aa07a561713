//! Services that speak OpenAI's API at another address. The list is data: `presets.json`.

use plugway_sdk::Preset;
use serde::Deserialize;
use serde_json::{Map, Value};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    base_url: String,
    #[serde(default = "yes")]
    needs_key: bool,
    #[serde(default)]
    settings: Map<String, Value>,
}

fn yes() -> bool {
    true
}

pub(crate) fn all() -> Vec<Preset> {
    let entries: Vec<Entry> =
        serde_json::from_str(include_str!("presets.json")).expect("presets.json is tested to be a list of presets");
    let preset = |Entry { name, base_url, needs_key, settings }| Preset {
        name,
        base_url,
        needs_key,
        settings: Value::Object(settings).to_string(),
    };
    entries.into_iter().map(preset).collect()
}

#[cfg(test)]
mod tests {
    use crate::OpenAi;
    use plugway_sdk::{Call, Plugin, Preset, Provider, Step};

    /// Where a chat goes with each preset, as the services document it.
    const CHAT: [(&str, &str); 25] = [
        ("ollama", "http://localhost:11434/v1/chat/completions"),
        ("vllm", "http://localhost:8000/v1/chat/completions"),
        ("sglang", "http://localhost:30000/v1/chat/completions"),
        ("lm-studio", "http://localhost:1234/v1/chat/completions"),
        ("llama-cpp", "http://localhost:8080/v1/chat/completions"),
        ("cerebras", "https://api.cerebras.ai/v1/chat/completions"),
        ("deepinfra", "https://api.deepinfra.com/v1/openai/chat/completions"),
        ("deepseek", "https://api.deepseek.com/v1/chat/completions"),
        ("fireworks", "https://api.fireworks.ai/inference/v1/chat/completions"),
        ("gemini", "https://generativelanguage.googleapis.com/v1beta/openai/chat/completions"),
        ("github-models", "https://models.github.ai/inference/chat/completions"),
        ("groq", "https://api.groq.com/openai/v1/chat/completions"),
        ("huggingface", "https://router.huggingface.co/v1/chat/completions"),
        ("hyperbolic", "https://api.hyperbolic.xyz/v1/chat/completions"),
        ("mistral", "https://api.mistral.ai/v1/chat/completions"),
        ("moonshot", "https://api.moonshot.ai/v1/chat/completions"),
        ("nebius", "https://api.tokenfactory.nebius.com/v1/chat/completions"),
        ("novita", "https://api.novita.ai/openai/v1/chat/completions"),
        ("nvidia", "https://integrate.api.nvidia.com/v1/chat/completions"),
        ("openrouter", "https://openrouter.ai/api/v1/chat/completions"),
        ("perplexity", "https://api.perplexity.ai/chat/completions"),
        ("sambanova", "https://api.sambanova.ai/v1/chat/completions"),
        ("together", "https://api.together.xyz/v1/chat/completions"),
        ("xai", "https://api.x.ai/v1/chat/completions"),
        ("zai", "https://api.z.ai/api/paas/v4/chat/completions"),
    ];

    /// The host's rule, as `wit/provider/provider.wit` has it: the path is joined to the base URL, and a base URL that
    /// ends in a version takes the place of the path's own.
    fn join(base_url: &str, path: &str) -> String {
        let is_version = |segment: &str| {
            let digits = segment.strip_prefix('v').unwrap_or_default();
            digits.starts_with(|first: char| first.is_ascii_digit())
        };
        let last_of_base = base_url.rsplit('/').next().unwrap_or_default();
        let (first, rest) = path[1..].split_once('/').unwrap_or((&path[1..], ""));
        match is_version(last_of_base) && is_version(first) {
            true => format!("{base_url}/{rest}"),
            false => format!("{base_url}{path}"),
        }
    }

    fn chat_url(preset: &Preset) -> String {
        let settings = serde_json::from_str(&preset.settings).expect("settings that the plugin knows");
        let provider = OpenAi::new(settings).unwrap_or_else(|problem| panic!("{}: {}", preset.name, problem.message));
        match provider.plan(&Call::chat("m")).expect("a plan") {
            Step::Send(outgoing) => join(&preset.base_url, &outgoing.path),
            other => panic!("{}: {other:?}", preset.name),
        }
    }

    #[test]
    fn every_preset_leads_to_where_its_service_listens() {
        let presets = super::all();
        let there: Vec<(&str, String)> =
            presets.iter().map(|preset| (preset.name.as_str(), chat_url(preset))).collect();
        let documented: Vec<(&str, String)> = CHAT.iter().map(|(name, url)| (*name, (*url).to_owned())).collect();
        assert_eq!(there, documented);
    }

    /// Everybody else is known to take the newer name: OpenAI's own models, some of which take no other, and services
    /// that list both.
    #[test]
    fn services_that_know_only_the_older_name_of_the_token_limit_get_it() {
        const NEWER_NAME: [&str; 9] =
            ["vllm", "sglang", "cerebras", "fireworks", "gemini", "github-models", "groq", "openrouter", "xai"];
        for preset in super::all() {
            let settings = serde_json::from_str(&preset.settings).expect("settings that the plugin knows");
            let reads = OpenAi::new(settings).expect("an instance").capabilities().body_members;
            let renames = reads.iter().any(|member| member == "max_completion_tokens");
            assert_eq!(renames, !NEWER_NAME.contains(&preset.name.as_str()), "{}", preset.name);
        }
    }

    #[test]
    fn services_without_the_responses_api_are_asked_for_chats() {
        const HAVE_IT: [&str; 10] = [
            "ollama",
            "vllm",
            "sglang",
            "lm-studio",
            "llama-cpp",
            "fireworks",
            "groq",
            "huggingface",
            "openrouter",
            "xai",
        ];
        for preset in super::all() {
            let settings = serde_json::from_str(&preset.settings).expect("settings that the plugin knows");
            let serves = OpenAi::new(settings).expect("an instance").capabilities().operations;
            let has_it = serves.iter().any(|operation| operation == "responses");
            assert_eq!(has_it, HAVE_IT.contains(&preset.name.as_str()), "{}", preset.name);
        }
    }

    #[test]
    fn only_what_runs_on_ones_own_machine_needs_no_key_and_no_tls() {
        for preset in super::all() {
            let local = preset.base_url.starts_with("http://localhost:");
            assert_eq!(preset.needs_key, !local, "{}", preset.name);
            assert!(local || preset.base_url.starts_with("https://"), "{}", preset.name);
        }
    }
}
