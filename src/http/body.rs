//! A JSON body: read with a limit, parsed strictly, then validated.

use crate::error::{Code, Error, Result};
use crate::http::params::no_query;
use axum::body::to_bytes;
use axum::extract::{FromRequest, Request};
use garde::Validate;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// The largest body accepted, in bytes.
pub const MAX_BODY_BYTES: usize = 128 * 1024;

/// A body that parsed as `T`, has no unknown field, and whose values are within bounds.
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Validate<Context = ()>> FromRequest<S> for Body<T> {
    type Rejection = Error;

    async fn from_request(request: Request, _: &S) -> Result<Self> {
        no_query(request.uri().query())?;
        let bytes = to_bytes(request.into_body(), MAX_BODY_BYTES)
            .await
            .map_err(|_| Error::new(Code::BodyTooLarge))?;
        // A call without a body is a call with an empty one, for actions whose fields are all optional.
        let body: T = parse(if bytes.is_empty() { b"{}" } else { &bytes })?;
        validate(&body)?;
        Ok(Self(body))
    }
}

/// Parses JSON strictly.
///
/// # Errors
/// 400 naming the place that is wrong. Text with a NUL character is refused here for every field,
/// because PostgreSQL cannot store one.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let refuse = |path: String, problem: String| {
        Error::new(Code::InvalidBody).with_details(json!({ "path": path, "problem": problem }))
    };
    let text = std::str::from_utf8(bytes)
        .map_err(|_| refuse(String::new(), "the body is not UTF-8".into()))?;
    if has_nul(text) {
        return Err(refuse(
            String::new(),
            "text must not contain the NUL character".into(),
        ));
    }
    // serde would read an array as a struct, field by field.
    if text
        .trim_start_matches([' ', '\t', '\r', '\n'])
        .starts_with('[')
    {
        return Err(refuse(String::new(), "the body is not an object".into()));
    }
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut reader)
        .map_err(|error| refuse(error.path().to_string(), error.inner().to_string()))?;
    reader
        .end()
        .map_err(|error| refuse(String::new(), error.to_string()))?;
    Ok(value)
}

/// Whether the JSON text contains the escape for U+0000 (an odd backslash before it, an even number is text).
fn has_nul(text: &str) -> bool {
    text.match_indices("\\u0000").any(|(at, _)| {
        let backslashes = text[..at]
            .bytes()
            .rev()
            .take_while(|byte| *byte == b'\\')
            .count();
        backslashes % 2 == 0
    })
}

/// Checks the bounds that the type declares.
///
/// # Errors
/// 422 with the problems of each field.
pub fn validate<T: Validate<Context = ()>>(value: &T) -> Result<()> {
    value.validate().map_err(|report| {
        let mut fields = Map::new();
        for (path, problem) in report.iter() {
            let list = fields.entry(path.to_string()).or_insert_with(|| json!([]));
            if let Value::Array(list) = list {
                list.push(json!(problem.message()));
            }
        }
        Error::new(Code::ValidationFailed).with_details(json!({ "fields": fields }))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nul_is_found_only_where_it_is_one() {
        assert!(has_nul(r#"{"a":"x\u0000"}"#));
        assert!(!has_nul(r#"{"a":"\\u0000"}"#));
        assert!(has_nul(r#"{"a":"\\\u0000"}"#));
    }

    #[test]
    fn the_wrong_place_is_named() {
        #[derive(Debug, serde::Deserialize)]
        struct Inner {
            #[allow(dead_code, reason = "only parsed")]
            n: u32,
        }
        #[derive(Debug, serde::Deserialize)]
        struct Outer {
            #[allow(dead_code, reason = "only parsed")]
            list: Vec<Inner>,
        }
        let error = parse::<Outer>(br#"{"list":[{"n":1},{"n":"x"}]}"#).unwrap_err();
        assert_eq!(error.details.unwrap()["path"], "list[1].n");
        assert!(parse::<Outer>(b"\xff").is_err());
        assert!(parse::<Outer>(br#"{"list":[]} x"#).is_err());
    }
}
