//! `DELETE /api/users/{id}`

use super::queries::{self, COLUMNS, MINE, mine};
use crate::db::facts::{Action, Fact, changes};
use crate::db::sql;
use crate::error::{Code, Error, Result};
use crate::http::params::{Id, NoQuery};
use crate::http::permit::{Access, Permit, UsersWrite};
use crate::http::reply::NoContent;
use celaest_domain::membership::Wish;
use serde_json::Value;
use uuid::Uuid;

/// Removes a person: their sign-ins and API keys end with it, their address is free again.
pub async fn remove(permit: Permit<UsersWrite>, Id(id): Id, _: NoQuery) -> Result<NoContent> {
    take_out(&permit, id, None).await
}

/// Removes a person, of one organization if it is given.
///
/// # Errors
/// 404 when they are not in the caller's reach; 403 and 409 as the rules of membership say.
pub async fn take_out(access: &Access, id: Uuid, organization: Option<Uuid>) -> Result<NoContent> {
    let mut tx = access.begin();
    let before = queries::lock_member(&mut tx, id).await?;
    if organization.is_some() && organization != before.facts.organization_id {
        return Err(Error::new(Code::UserNotFound));
    }
    before.facts.allow(access, Wish::Remove)?;
    let removed = mine(
        &tx,
        format!(
            "UPDATE users_profile u SET deleted_at = now() WHERE {MINE} AND u.id = $3::uuid RETURNING {COLUMNS}"
        ),
    )
    .bind(id);
    let removed: Option<Value> = tx.row(removed).await?;
    let user = removed.ok_or_else(|| Error::new(Code::UserNotFound))?;
    for end in [
        "UPDATE user_sessions SET is_active = false, ended_at = now()
         WHERE user_id = $2::uuid AND ($1::uuid IS NULL OR organization_id = $1::uuid) AND is_active",
        "UPDATE user_api_keys SET is_active = false, revoked_at = now()
         WHERE user_id = $2::uuid AND ($1::uuid IS NULL OR organization_id = $1::uuid) AND revoked_at IS NULL",
    ] {
        tx.finally(sql(end).bind(tx.scope().organization()).bind(id));
    }
    tx.record(Fact {
        id: Uuid::new_v4(),
        organization_id: before.facts.organization_id,
        action: Action::Delete,
        event: "user.removed",
        resource_type: "user",
        resource_id: id,
        changes: changes(&user, &Value::Null),
        payload: Some(queries::public(&user)),
    });
    access.commit(tx).await?;
    Ok(NoContent)
}
