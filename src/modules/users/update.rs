//! `PATCH /api/users/{id}`

use super::model::{User, UserChanges};
use super::queries::{self, COLUMNS};
use crate::db::Set;
use crate::error::{Code, Error};
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::idempotency::{Claim, Once};
use crate::http::params::Id;
use crate::http::permit::{Access, Permit, UsersWrite};
use crate::http::reply::Data;
use crate::http::types::Patch;
use crate::identity::callers::Whom;
use celaest_domain::access::Role;
use celaest_domain::membership::{Wish, scopes_kept};
use serde_json::json;
use uuid::Uuid;

/// Changes a person's role, scopes and names.
pub async fn update(
    permit: Permit<UsersWrite>,
    Id(id): Id,
    Once(key, Body(wanted)): Once<Body<UserChanges>>,
) -> Outcome<Data<User>> {
    change(&permit, key, id, None, wanted).await
}

/// Changes a person, of one organization if it is given.
///
/// # Errors
/// 404 when they are not in the caller's reach; 403 and 409 as the rules of membership say.
pub async fn change(
    access: &Access,
    key: Claim,
    id: Uuid,
    organization: Option<Uuid>,
    wanted: UserChanges,
) -> Outcome<Data<User>> {
    let mut tx = access.begin_once(key).await?;
    let before = queries::lock_member(&mut tx, id).await?;
    if organization.is_some() && organization != before.facts.organization_id {
        return Err(Error::new(Code::UserNotFound).into());
    }
    let role = match wanted.role {
        Patch::Value(role) => Role::from(role),
        _ => before.facts.role()?,
    };
    // No scopes is a list without entries; with a smaller role go the scopes that were more than it.
    let scopes = match wanted.scopes {
        Patch::Absent => scopes_kept(before.facts.role()?, role, &before.facts.scopes),
        Patch::Null => Vec::new(),
        Patch::Value(scopes) => scopes,
    };
    before.facts.allow(access, Wish::Assign(role, &scopes))?;
    let set = Set::new()
        .to("role = {}::user_role", role.as_str())
        .to("scopes = {}::jsonb", json!(scopes))
        .patch("first_name = {}", &wanted.first_name)
        .patch("last_name = {}", &wanted.last_name)
        .patch("display_name = {}", &wanted.display_name);
    let after = queries::set::<User>(&mut tx, id, set, COLUMNS).await?;
    queries::record(&mut tx, "user.updated", &before, &after.tree());
    access.forget_callers(&mut tx, Whom::Person(id)).await?;
    access.commit(tx, Data::raw(&after)).await
}
