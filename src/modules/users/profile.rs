//! `GET|PATCH /api/users/{id}/profile`

use super::model::{Profile, ProfileChanges};
use super::queries::{self, COLUMNS, MORE_COLUMNS};
use crate::db::patched;
use crate::error::Result;
use crate::http::body::Body;
use crate::http::params::NoQuery;
use crate::http::permit::{AccountRead, AccountWrite, Over, UsersRead, UsersWrite};
use crate::http::reply::Data;
use celaest_domain::membership::Wish;
use serde_json::{Map, Value};

fn columns() -> String {
    format!("{COLUMNS}, {MORE_COLUMNS}")
}

/// Reads a profile.
pub async fn read(over: Over<AccountRead, UsersRead>, _: NoQuery) -> Result<Data<Profile>> {
    queries::read(over.begin(), over.person, &columns())
        .await
        .map(|profile| Data::raw(&profile))
}

/// Changes a profile.
pub async fn update(
    over: Over<AccountWrite, UsersWrite>,
    Body(wanted): Body<ProfileChanges>,
) -> Result<Data<Profile>> {
    wanted.timezone.not_null("timezone")?;
    wanted.locale.not_null("locale")?;
    wanted
        .onboarding_completed
        .not_null("onboarding_completed")?;
    wanted.onboarding_step.not_null("onboarding_step")?;
    let mut tx = over.begin();
    let before = queries::lock(&mut tx, over.person).await?;
    before.facts.allow(&over, Wish::Edit)?;
    if let Some(name) = wanted.timezone.value() {
        queries::check_timezone(&mut tx, "timezone", name).await?;
    }
    let assignments = patched(
        "u",
        "$4",
        &[
            ("first_name", "text"),
            ("last_name", "text"),
            ("display_name", "text"),
            ("avatar_url", "text"),
            ("phone", "text"),
            ("timezone", "text"),
            ("locale", "text"),
            ("preferences", "jsonb"),
            ("onboarding_completed", "boolean"),
            ("onboarding_step", "integer"),
        ],
    );
    let after = queries::set::<Profile>(
        &mut tx,
        over.person,
        &assignments,
        given(&wanted),
        &columns(),
    )
    .await?;
    queries::record(&mut tx, "user.updated", &before, &after.tree());
    over.commit(tx).await?;
    Ok(Data::raw(&after))
}

fn given(wanted: &ProfileChanges) -> Map<String, Value> {
    let mut given = Map::new();
    wanted.first_name.put(&mut given, "first_name");
    wanted.last_name.put(&mut given, "last_name");
    wanted.display_name.put(&mut given, "display_name");
    wanted.avatar_url.put(&mut given, "avatar_url");
    wanted.phone.put(&mut given, "phone");
    wanted.timezone.put(&mut given, "timezone");
    wanted.locale.put(&mut given, "locale");
    wanted.preferences.put(&mut given, "preferences");
    wanted
        .onboarding_completed
        .put(&mut given, "onboarding_completed");
    wanted.onboarding_step.put(&mut given, "onboarding_step");
    // No preferences is an object without fields.
    if given.get("preferences") == Some(&Value::Null) {
        given.insert("preferences".into(), Value::Object(Map::new()));
    }
    given
}
