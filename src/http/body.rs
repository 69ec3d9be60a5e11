//! A JSON body: read with a limit, parsed strictly, then validated.

use crate::error::{Code, Error, Result};
use crate::http::endpoint::{Documented, Input, Needs, Prepared};
use crate::http::strict;
use crate::platform::incoming::Head;
use garde::Validate;
use serde::de::DeserializeOwned;
use serde_json::json;

/// The largest body of most routes, in bytes.
pub const MAX_BODY_BYTES: usize = 128 * 1024;

/// Checks that a body is what only is read here: JSON as it is. Without `Content-Type` it may be: programs
/// that send bytes often name none, and no form of a browser goes without.
///
/// # Errors
/// 415 naming the header.
pub fn is_plain_json(head: &Head) -> Result<()> {
    let refused = |header| {
        Err(Error::new(Code::UnsupportedMediaType).with_details(json!({ "header": header })))
    };
    if !head.content_type().is_none_or(is_json) {
        return refused("Content-Type");
    }
    match head.content_encoding() {
        Some(coding) if !coding.trim().eq_ignore_ascii_case("identity") => {
            refused("Content-Encoding")
        }
        _ => Ok(()),
    }
}

/// `application/json`, or a format made of it (RFC 6839), with whatever parameters.
fn is_json(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default();
    let essence = essence.trim().to_ascii_lowercase();
    match essence.strip_prefix("application/") {
        Some(kind) => kind == "json" || kind.ends_with("+json"),
        None => false,
    }
}

/// A body that parsed as `T`, has no unknown field, and whose values are within bounds.
#[derive(Debug)]
pub struct Body<T, const LIMIT: usize = MAX_BODY_BYTES>(pub T);

/// A body as it came, byte by byte: for what is signed by somebody else.
#[derive(Debug)]
pub struct Bytes<const LIMIT: usize>(pub Vec<u8>);

impl<const LIMIT: usize> Input for Bytes<LIMIT> {
    const NEEDS: Needs = Needs {
        body: Some(LIMIT),
        ..Needs::NOTHING
    };

    fn take(from: &mut Prepared) -> Result<Self> {
        Ok(Self(std::mem::take(&mut from.body)))
    }
}

/// A body whose parts are read on their own, each with its own mistakes: `T` keeps them as they came.
#[derive(Debug)]
pub struct Parts<T>(pub T);

impl<T: DeserializeOwned + Validate<Context = ()> + Documented> Input for Parts<T> {
    const NEEDS: Needs = Needs {
        body: Some(MAX_BODY_BYTES),
        ..Needs::NOTHING
    };

    fn take(from: &mut Prepared) -> Result<Self> {
        let body: T = strict::parse_parts(&from.body)?;
        strict::validate(&body)?;
        Ok(Self(body))
    }
}

impl<T: DeserializeOwned + Validate<Context = ()> + Documented, const LIMIT: usize> Input
    for Body<T, LIMIT>
{
    const NEEDS: Needs = Needs {
        body: Some(LIMIT),
        ..Needs::NOTHING
    };

    fn take(from: &mut Prepared) -> Result<Self> {
        // A call without a body is a call with an empty one, for actions whose fields are all optional.
        let bytes: &[u8] = match from.body.is_empty() {
            true => b"{}",
            false => &from.body,
        };
        let body: T = strict::parse(bytes)?;
        strict::validate(&body)?;
        Ok(Self(body))
    }
}

#[cfg(test)]
mod tests {
    use super::is_json;

    #[test]
    fn what_is_json() {
        for good in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/merge-patch+json",
        ] {
            assert!(is_json(good), "{good}");
        }
        for bad in [
            "text/plain",
            "text/json",
            "application/x-www-form-urlencoded",
            "application/xml",
            "json",
            "application/jsonp",
            ";",
        ] {
            assert!(!is_json(bad), "{bad}");
        }
    }
}
