//! `POST /api/licenses/validate`: what the product is for. Warm, this is one call to the license's object
//! and no SQL.

use super::edge;
use super::model::{Validation, Verdict};
use crate::error::{Error, Result};
use crate::http::body::Body;
use crate::http::params::Counted;
use crate::http::reply::Data;

/// The largest body of a validation, in bytes.
const MAX_BYTES: usize = 16 * 1024;

/// Validates a license key for an address.
pub async fn validate(
    Counted(call, caller): Counted,
    Body(body): Body<Validation, MAX_BYTES>,
) -> Result<Data<Verdict>> {
    let check = edge::prepare(&call, edge::vendor(caller.as_ref()), body)?;
    let verdict = edge::check(&call, vec![check]).await.pop();
    verdict
        .unwrap_or_else(|| Err(Error::internal("no verdict")))
        .map(Data::text)
}
