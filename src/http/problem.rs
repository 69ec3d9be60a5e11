//! What errors look like, for the documentation: `Error` writes them.

use crate::error::Code;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::fmt::Write;

/// The body of every error.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "describes what `Error::body` writes")]
pub struct Failed {
    /// Always false.
    success: bool,
    /// What went wrong.
    error: Problem,
}

/// What went wrong.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "describes what `Error::object` writes")]
pub struct Problem {
    /// Stable, for programs.
    code: ErrorCode,
    /// For people, in their language.
    message: String,
    /// Quote it to support.
    request_id: String,
    /// Particulars, such as the fields that are wrong.
    details: Option<Map<String, Value>>,
}

/// The body of every error of OpenAI's API.
#[derive(JsonSchema)]
#[schemars(rename = "OpenAiFailed")]
#[allow(dead_code, reason = "describes what `Error::openai` writes")]
pub struct OpenAiFailed {
    /// What went wrong.
    error: OpenAiProblem,
}

/// What went wrong, as OpenAI's clients read it.
#[derive(JsonSchema)]
#[schemars(rename = "OpenAiProblem")]
#[allow(dead_code, reason = "describes what `Error::openai_object` writes")]
pub struct OpenAiProblem {
    /// For people, in their language.
    message: String,
    /// The class of the error, in OpenAI's words.
    r#type: String,
    /// The field that is wrong, if it is one.
    param: Option<String>,
    /// For programs, in OpenAI's words where they have one.
    code: String,
    /// The same in ours.
    celaest: Problem,
}

/// Every code, with its status and its meaning.
struct ErrorCode;

impl JsonSchema for ErrorCode {
    fn schema_name() -> Cow<'static, str> {
        "ErrorCode".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        let mut description = String::from(
            "Codes never change once published.\n\n| code | status | meaning |\n|---|---|---|",
        );
        for code in Code::ALL {
            let (name, status) = (code.as_str(), code.status());
            let _ = write!(
                description,
                "\n| `{name}` | {status} | {} |",
                code.meaning()
            );
        }
        json_schema!({ "type": "string", "description": description, "enum": names })
    }
}
