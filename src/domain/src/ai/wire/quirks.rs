//! What single models cannot take, told by their names.

use super::Target;
use crate::ai::provider::Provider;

/// The version in a name: the first number and, directly after a dot or a dash, the second. A date is none.
fn version(model: &str) -> (u32, u32) {
    let Some(start) = model.find(|char: char| char.is_ascii_digit()) else {
        return (0, 0);
    };
    let number = |text: &str| -> (u32, usize) {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        (
            text[..digits]
                .parse()
                .ok()
                .filter(|it| *it < 100)
                .unwrap_or(0),
            digits,
        )
    };
    let (major, length) = number(&model[start..]);
    let rest = &model[start + length..];
    let minor = match rest.strip_prefix(['.', '-']) {
        Some(rest) => number(rest).0,
        None => 0,
    };
    (major, minor)
}

/// Whether the model draws as it is told: temperature and top_p.
pub(super) fn takes_sampling(target: &Target<'_>, effort: Option<&str>) -> bool {
    let (model, version) = (target.model, version(target.model));
    match target.provider {
        Provider::OpenAi => !openai_thinks(model) || effort == Some("none"),
        Provider::Anthropic => {
            version < (5, 0)
                && (!model.contains("opus") || version < (4, 7))
                && !model.contains("fable")
        }
        _ => true,
    }
}

fn openai_thinks(model: &str) -> bool {
    let old = model.starts_with("o1") || model.starts_with("o3") || model.starts_with("o4");
    old || (model.starts_with("gpt-") && version(model) >= (5, 0))
}

/// Whether functions are only taken together with `reasoning_effort: "none"`.
pub(super) fn tools_forbid_thinking(model: &str) -> bool {
    model.starts_with("gpt-") && version(model) >= (5, 6)
}

/// Whether it can be forced to call a function.
pub(super) fn takes_forced_tools(model: &str) -> bool {
    !(model.contains("fable") || (model.contains("opus") && version(model) >= (5, 5)))
}

/// Gemini from 3 on: JSON together with functions, and signatures of thoughts in the history.
pub(super) fn is_gemini_3(model: &str) -> bool {
    version(model) >= (3, 0)
}

/// Whether the answer can be held to a schema.
pub(super) fn takes_schema(target: &Target<'_>) -> bool {
    target.json_schema.unwrap_or(match target.provider {
        Provider::DeepSeek => false,
        Provider::Groq => target.model.starts_with("openai/gpt-oss"),
        _ => true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        for (model, expected) in [
            ("gpt-5.4-mini", (5, 4)),
            ("gpt-6-luna", (6, 0)),
            ("gpt-4o", (4, 0)),
            ("gpt-4.1", (4, 1)),
            ("claude-opus-5-5", (5, 5)),
            ("claude-sonnet-4-20250514", (4, 0)),
            ("claude-haiku-5-5", (5, 5)),
            ("gemini-3.8-flash", (3, 8)),
            ("gemini-2.5-pro", (2, 5)),
            ("llama", (0, 0)),
            ("x-99999999999999999999", (0, 0)),
        ] {
            assert_eq!(version(model), expected, "{model}");
        }
    }

    #[test]
    fn by_name() {
        let takes = |provider, model, effort| {
            let target = Target {
                provider,
                base_url: "",
                secret: "",
                model,
                max_output: None,
                json_schema: None,
            };
            takes_sampling(&target, effort)
        };
        assert!(takes(Provider::OpenAi, "gpt-4o", None));
        assert!(!takes(Provider::OpenAi, "gpt-5.4-mini", None));
        assert!(takes(Provider::OpenAi, "gpt-6-luna", Some("none")));
        assert!(!takes(Provider::OpenAi, "o3-mini", Some("low")));
        assert!(takes(Provider::Anthropic, "claude-sonnet-4-6", None));
        assert!(takes(Provider::Anthropic, "claude-opus-4-6", None));
        assert!(!takes(Provider::Anthropic, "claude-opus-4-7", None));
        assert!(!takes(Provider::Anthropic, "claude-haiku-5-5", None));
        assert!(tools_forbid_thinking("gpt-6-sol") && tools_forbid_thinking("gpt-5.6"));
        assert!(!tools_forbid_thinking("gpt-5.4-mini"));
        assert!(!takes_forced_tools("claude-opus-5-5") && takes_forced_tools("claude-sonnet-5-5"));
        assert!(is_gemini_3("gemini-4-argon") && !is_gemini_3("gemini-2.5-pro"));
    }
}
