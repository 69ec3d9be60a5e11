//! `GET|PATCH /api/users/{id}/profile`

use super::model::{Profile, ProfileChanges};
use super::queries::{self, COLUMNS, MORE_COLUMNS};
use crate::db::Set;
use crate::error::Result;
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::idempotency::Once;
use crate::http::permit::{AccountRead, AccountWrite, OnPerson, UsersRead, UsersWrite};
use crate::http::reply::Data;
use crate::identity::callers::Whom;
use celaest_domain::membership::Wish;

fn columns() -> String {
    format!("{COLUMNS}, {MORE_COLUMNS}")
}

/// Reads a profile.
pub async fn read(permit: OnPerson<AccountRead, UsersRead>) -> Result<Data<Profile>> {
    let profile = queries::read(permit.begin(), permit.person, &columns()).await?;
    Ok(Data::raw(&profile))
}

/// Changes a profile.
pub async fn update(
    permit: OnPerson<AccountWrite, UsersWrite>,
    Once(key, Body(wanted)): Once<Body<ProfileChanges>>,
) -> Outcome<Data<Profile>> {
    let mut tx = permit.begin_once(key).await?;
    let before = queries::lock(&mut tx, permit.person).await?;
    before.facts.allow(&permit, Wish::Edit)?;
    if let Some(name) = wanted.timezone.value() {
        queries::check_timezone(&mut tx, "timezone", name).await?;
    }
    let set = Set::new()
        .patch("first_name = {}", &wanted.first_name)
        .patch("last_name = {}", &wanted.last_name)
        .patch("display_name = {}", &wanted.display_name)
        .patch("avatar_url = {}", &wanted.avatar_url)
        .patch("phone = {}", &wanted.phone)
        .patch("timezone = {}", &wanted.timezone)
        .patch("locale = {}", &wanted.locale)
        // No preferences is an object without fields.
        .patch_json(
            "preferences = coalesce({}::jsonb, '{}')",
            &wanted.preferences,
        )
        .patch(
            "onboarding_completed = {}::boolean",
            &wanted.onboarding_completed,
        )
        .patch("onboarding_step = {}::integer", &wanted.onboarding_step);
    let after = queries::set::<Profile>(&mut tx, permit.person, set, &columns()).await?;
    queries::record(&mut tx, "user.updated", &before, &after.tree());
    permit
        .forget_callers(&mut tx, Whom::Person(permit.person))
        .await?;
    permit.commit(tx, Data::raw(&after)).await
}
