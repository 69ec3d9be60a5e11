//! A JSON body: read with a limit, parsed strictly, then validated.

use crate::error::Result;
use crate::http::endpoint::{Documented, Input, Needs, Prepared};
use crate::http::strict;
use garde::Validate;
use serde::de::DeserializeOwned;

/// The largest body of most routes, in bytes.
pub const MAX_BODY_BYTES: usize = 128 * 1024;

/// A body that parsed as `T`, has no unknown field, and whose values are within bounds.
#[derive(Debug)]
pub struct Body<T, const LIMIT: usize = MAX_BODY_BYTES>(pub T);

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
