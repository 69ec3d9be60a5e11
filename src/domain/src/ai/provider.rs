//! The providers, and what differs between them beside their dialect.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Whose models answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "AiProvider"))]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// Google's Gemini API.
    Gemini,
    /// OpenAI.
    OpenAi,
    /// Groq.
    Groq,
    /// DeepSeek.
    DeepSeek,
    /// Anthropic.
    Anthropic,
    /// An Ollama server of the operator's own.
    Local,
}

impl Provider {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Gemini,
        Self::OpenAi,
        Self::Groq,
        Self::DeepSeek,
        Self::Anthropic,
        Self::Local,
    ];

    /// The text in the column and in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gemini => "gemini",
            Self::OpenAi => "openai",
            Self::Groq => "groq",
            Self::DeepSeek => "deepseek",
            Self::Anthropic => "anthropic",
            Self::Local => "local",
        }
    }

    /// The provider of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == name)
    }

    /// Where its API is when the configuration says nothing else, without a slash at the end.
    #[must_use]
    pub fn base_url(self) -> &'static str {
        match self {
            Self::Gemini => "https://generativelanguage.googleapis.com/v1beta",
            Self::OpenAi => "https://api.openai.com/v1",
            Self::Groq => "https://api.groq.com/openai/v1",
            Self::DeepSeek => "https://api.deepseek.com/v1",
            Self::Anthropic => "https://api.anthropic.com/v1",
            Self::Local => "http://127.0.0.1:11434",
        }
    }

    /// Whether its keys share their limits unless it is known that they do not: Groq's are those of an
    /// organization, Gemini's those of a project, so a second key adds no capacity.
    #[must_use]
    pub fn keys_share_limits(self) -> bool {
        matches!(self, Self::Groq | Self::Gemini)
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::Provider;

    #[test]
    fn named_as_the_column_has_them() {
        for provider in Provider::ALL {
            assert_eq!(Provider::named(provider.as_str()), Some(provider));
            assert_eq!(
                serde_json::to_value(provider).unwrap(),
                serde_json::json!(provider.as_str())
            );
            assert!(!provider.base_url().ends_with('/'));
        }
        assert_eq!(Provider::named("OpenAI"), None);
    }
}
