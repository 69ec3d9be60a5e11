//! Errors in the shape that OpenAI's clients read.

use super::{Code, Error};
use crate::language::Language;
use serde_json::{Value, json};

/// Whether what is at `path` speaks OpenAI's API.
pub fn is_at(path: &str) -> bool {
    path.starts_with("/v1/")
}

impl Error {
    /// The status: what is well-formed and wrong is no other than what is malformed.
    pub fn openai_status(&self) -> u16 {
        match self.code.status() {
            413 | 415 | 422 => 400,
            status => status,
        }
    }

    /// The body of the answer.
    pub fn openai(&self, language: Language, request_id: &str) -> String {
        json!({ "error": self.openai_object(language, request_id) }).to_string()
    }

    /// The error as an object, as it stands in a body or in a stream. Our own code and details are there too.
    pub fn openai_object(&self, language: Language, request_id: &str) -> Value {
        let own = self.object(language, request_id);
        let (field, problem) = first_problem(&own["details"]);
        let message = match problem {
            Some(problem) => format!("{}: {problem}", self.code.message(language)),
            None => self.code.message(language).to_owned(),
        };
        json!({
            "message": message,
            "type": self.kind(),
            "param": field,
            "code": self.name(),
            "celaest": own,
        })
    }

    fn kind(&self) -> &'static str {
        match (self.code, self.openai_status()) {
            (Code::QuotaExceeded, _) => "insufficient_quota",
            (_, 401) => "authentication_error",
            (_, 403) => "permission_error",
            (_, 429) => "rate_limit_error",
            (_, 500..) => "server_error",
            _ => "invalid_request_error",
        }
    }

    fn name(&self) -> String {
        match self.code {
            Code::Unauthenticated | Code::InvalidApiKey | Code::InvalidToken => {
                "invalid_api_key".to_owned()
            }
            Code::QuotaExceeded => "insufficient_quota".to_owned(),
            Code::ContextTooLong => "context_length_exceeded".to_owned(),
            Code::RateLimited | Code::ConcurrencyLimit => "rate_limit_exceeded".to_owned(),
            code => code.as_str().to_ascii_lowercase(),
        }
    }
}

/// The field that is wrong first, and what is wrong with it, in the language of the details.
fn first_problem(details: &Value) -> (Option<&str>, Option<&str>) {
    let text = |name: &str| details[name].as_str().filter(|text| !text.is_empty());
    let fields = details["fields"].as_object();
    match fields.and_then(|fields| fields.iter().next()) {
        Some((field, problems)) => (Some(field.as_str()), problems[0].as_str()),
        None => (text("path"), text("problem").or_else(|| text("message"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_openais_clients_read() {
        let of = |error: &Error| {
            let body: Value = serde_json::from_str(&error.openai(Language::En, "r")).unwrap();
            let error = &body["error"];
            let text = |name: &str| error[name].as_str().map(str::to_owned);
            (text("type"), text("code"), text("param"), text("message"))
        };
        let some = |text: &str| Some(text.to_owned());
        let error = Error::field("temperature", "must be 0 to 2");
        assert_eq!(error.openai_status(), 400);
        assert_eq!(
            of(&error),
            (
                some("invalid_request_error"),
                some("validation_failed"),
                some("temperature"),
                some("Some values are not valid: must be 0 to 2")
            )
        );
        let spanish: Value = serde_json::from_str(&error.openai(Language::Es, "r")).unwrap();
        assert_eq!(
            spanish["error"]["message"],
            "Hay valores que no son válidos: debe ser de 0 a 2"
        );
        let (kind, code, param, _) = of(&Code::ModelNotFound.into());
        assert_eq!(
            (kind, code, param),
            (some("invalid_request_error"), some("model_not_found"), None)
        );
        let (kind, code, ..) = of(&Code::QuotaExceeded.into());
        assert_eq!(
            (kind, code),
            (some("insufficient_quota"), some("insufficient_quota"))
        );
        let (kind, code, ..) = of(&Code::InvalidApiKey.into());
        assert_eq!(
            (kind, code),
            (some("authentication_error"), some("invalid_api_key"))
        );
    }
}
