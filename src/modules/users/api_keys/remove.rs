//! `DELETE /api/users/{id}/api-keys/{inner_id}`

use super::queries::{MINE, columns_of, of, public, record};
use crate::db::facts::{Action, changes};
use crate::error::{Code, Error, Result};
use crate::http::params::{Inner, NoQuery};
use crate::http::permit::{AccountWrite, ApiKeysWrite, Over};
use crate::http::reply::NoContent;
use crate::modules::users::queries;
use celaest_domain::membership::Wish;
use serde_json::{Value, json};

/// Deletes an API key: the next request with it is refused.
pub async fn remove(
    over: Over<AccountWrite, ApiKeysWrite>,
    Inner(id): Inner,
    _: NoQuery,
) -> Result<NoContent> {
    let mut tx = over.begin();
    let owner = queries::peek(&mut tx, over.person).await?.facts;
    owner.allow(&over, Wish::Edit)?;
    let removed = of(
        &tx,
        over.person,
        format!(
            "UPDATE user_api_keys k SET is_active = false, revoked_at = now()
             WHERE {MINE} AND k.id = $3::uuid RETURNING {}",
            columns_of("old")
        ),
    )
    .bind(id);
    let removed: Option<Value> = tx.row(removed).await?;
    let row = removed.ok_or_else(|| Error::new(Code::NotFound))?;
    record(
        &mut tx,
        Action::Delete,
        "api_key.deleted",
        &row,
        changes(&row, &Value::Null),
        json!({ "api_key": public(&row) }),
    )?;
    over.commit(tx).await?;
    Ok(NoContent)
}
