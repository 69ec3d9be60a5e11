//! `PATCH /api/users/{id}`

use super::model::{User, UserChanges};
use super::queries::{self, COLUMNS};
use crate::db::patched;
use crate::error::{Error, Result};
use crate::http::body::Body;
use crate::http::params::Id;
use crate::http::permit::{Access, Permit, UsersWrite};
use crate::http::reply::Data;
use crate::http::types::Patch;
use celaest_domain::access::Role;
use celaest_domain::membership::Wish;
use serde_json::Map;
use uuid::Uuid;

/// Changes a person's role, scopes and names.
pub async fn update(
    permit: Permit<UsersWrite>,
    Id(id): Id,
    Body(wanted): Body<UserChanges>,
) -> Result<Data<User>> {
    change(&permit, id, None, wanted).await
}

/// Changes a person, of one organization if it is given.
///
/// # Errors
/// 404 when they are not in the caller's reach; 403 and 409 as the rules of membership say.
pub async fn change(
    access: &Access,
    id: Uuid,
    organization: Option<Uuid>,
    wanted: UserChanges,
) -> Result<Data<User>> {
    wanted.role.not_null("role")?;
    let mut tx = access.begin();
    let before = queries::lock_member(&mut tx, id).await?;
    if organization.is_some() && organization != before.facts.organization_id {
        return Err(Error::new(crate::error::Code::UserNotFound));
    }
    let role = match wanted.role {
        Patch::Value(role) => Role::from(role),
        _ => before.facts.role()?,
    };
    // No scopes is a list without entries.
    let scopes = match wanted.scopes {
        Patch::Absent => before.facts.scopes.clone(),
        Patch::Null => Vec::new(),
        Patch::Value(scopes) => scopes,
    };
    before.facts.allow(access, Wish::Assign(role, &scopes))?;
    let mut columns = Map::new();
    Patch::Value(role.as_str()).put(&mut columns, "role");
    Patch::Value(scopes).put(&mut columns, "scopes");
    wanted.first_name.put(&mut columns, "first_name");
    wanted.last_name.put(&mut columns, "last_name");
    wanted.display_name.put(&mut columns, "display_name");
    let assignments = patched(
        "u",
        "$4",
        &[
            ("role", "user_role"),
            ("scopes", "jsonb"),
            ("first_name", "text"),
            ("last_name", "text"),
            ("display_name", "text"),
        ],
    );
    let after = queries::set::<User>(&mut tx, id, &assignments, columns, COLUMNS).await?;
    queries::record(&mut tx, "user.updated", &before, &after.tree());
    access.commit(tx).await?;
    Ok(Data::raw(&after))
}
