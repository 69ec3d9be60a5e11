//! `PATCH /api/organizations/{id}`

use super::model::{Organization, OrganizationChanges};
use super::queries::{self, COLUMNS, ORGANIZATION, mine};
use crate::db::Raw;
use crate::error::{Code, Error, Result};
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::idempotency::Once;
use crate::http::params::Id;
use crate::http::permit::{Access, OrganizationsWrite, Permit};
use crate::http::reply::Data;
use crate::identity::callers::Whom;
use serde_json::json;

/// Changes an organization.
pub async fn update(
    permit: Permit<OrganizationsWrite>,
    Id(id): Id,
    Once(key, Body(wanted)): Once<Body<OrganizationChanges>>,
) -> Outcome<Data<Organization>> {
    let mut tx = permit.begin_once(key).await?;
    let before = queries::lock(&mut tx, id).await?;
    check_limits(&permit, &wanted)?;
    let set = queries::given(&mut tx, &wanted).await?;
    let query = mine(&tx)
        .id(id)
        .set(set, COLUMNS)
        .on("organizations_slug_key", Code::SlugTaken);
    let after: Raw<Organization> = tx.one(query, Code::OrganizationNotFound).await?;
    tx.record_change(&ORGANIZATION, "organization.updated", &before, &after);
    permit
        .forget_callers(&mut tx, Whom::Organization(id))
        .await?;
    permit.commit(tx, Data::raw(&after)).await
}

/// Refuses limits to whoever may not set them.
fn check_limits(access: &Access, wanted: &OrganizationChanges) -> Result<()> {
    let limit = match (&wanted.max_users, &wanted.max_api_calls_per_month) {
        (people, _) if people.is_present() => "max_users",
        (_, calls) if calls.is_present() => "max_api_calls_per_month",
        _ => return Ok(()),
    };
    match access.principal.powers().sets_limits() {
        true => Ok(()),
        false => Err(Error::new(Code::Forbidden)
            .with_details(json!({ "fields": { limit: ["only super_admin may set it"] } }))),
    }
}
