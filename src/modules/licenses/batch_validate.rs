//! `POST /api/licenses/batch-validate`

use super::edge::{self, Check};
use super::model::{Batch, BatchItem, Validation};
use crate::call::Call;
use crate::error::{Error, Result};
use crate::http::body::Parts;
use crate::http::params::Known;
use crate::http::permit::Access;
use crate::http::reply::Data;
use crate::http::strict;
use crate::identity::limits;

/// Validates up to 100 keys. The order is kept, each item gets a verdict or an error of its own. Cold
/// licenses are read together, in one statement.
pub async fn batch(
    Known(call, caller): Known,
    Parts(body): Parts<Batch>,
) -> Result<Data<Vec<BatchItem>>> {
    let mut checks: Vec<Check> = Vec::with_capacity(body.items.len());
    let mut refused: Vec<Option<Error>> = Vec::with_capacity(body.items.len());
    for item in &body.items {
        match item_check(&call, caller.as_ref(), item.get()) {
            Ok(check) => {
                checks.push(check);
                refused.push(None);
            }
            Err(error) => refused.push(Some(error)),
        }
    }
    let mut verdicts = edge::check(&call, checks).await.into_iter();
    let mut items = Vec::with_capacity(refused.len());
    for (index, refusal) in refused.into_iter().enumerate() {
        let outcome = match refusal {
            Some(error) => Err(error),
            None => verdicts
                .next()
                .unwrap_or_else(|| Err(Error::internal("no verdict"))),
        };
        items.push(match outcome {
            Ok(verdict) => format!(r#"{{"index":{index},"verdict":{verdict},"error":null}}"#),
            Err(error) => format!(
                r#"{{"index":{index},"verdict":null,"error":{}}}"#,
                error.object(call.language, &call.request_id)
            ),
        });
    }
    Ok(Data::text(format!("[{}]", items.join(","))))
}

fn item_check(call: &Call, caller: Option<&Access>, item: &str) -> Result<Check> {
    // Whoever showed who they are was counted at the door.
    if caller.is_none() {
        limits::count_validation(call)?;
    }
    let validation: Validation = strict::parse(item.as_bytes())?;
    strict::validate(&validation)?;
    edge::prepare(call, edge::vendor(caller), validation)
}
