//! `DELETE /api/organizations/{id}`

use super::queries::{self, MINE, mine, record};
use crate::db::facts::{Action, changes};
use crate::error::{Code, Result};
use crate::http::params::{Id, NoQuery};
use crate::http::permit::{OrganizationsDelete, Permit};
use crate::http::reply::NoContent;
use serde_json::Value;

/// Closes an organization: nobody of it signs in any more, and its licenses are no longer valid.
pub async fn remove(
    permit: Permit<OrganizationsDelete>,
    Id(id): Id,
    _: NoQuery,
) -> Result<NoContent> {
    // Nobody locks themselves out.
    if permit.principal.organization_id == Some(id) {
        return Err(Code::OwnAccount.into());
    }
    let mut tx = permit.begin();
    let before = queries::lock(&mut tx, id).await?;
    tx.finally(
        mine(
            &tx,
            format!(
                "UPDATE organizations o SET deleted_at = now() WHERE {MINE} AND o.id = $2::uuid"
            ),
        )
        .bind(id),
    );
    record(
        &mut tx,
        id,
        Action::Delete,
        "organization.deleted",
        &before,
        changes(&before, &Value::Null),
    );
    permit.commit(tx).await?;
    Ok(NoContent)
}
