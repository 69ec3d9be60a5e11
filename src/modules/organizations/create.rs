//! `POST /api/organizations`

use super::model::{Organization, OrganizationChanges};
use super::queries::{COLUMNS, ORGANIZATION, given};
use crate::db::Raw;
use crate::error::{Code, Error};
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::idempotency::Once;
use crate::http::permit::{OrganizationsCreate, Permit};
use crate::http::reply::Created;
use celaest_domain::contact::slug_of;

/// Founds an organization.
pub async fn create(
    permit: Permit<OrganizationsCreate>,
    Once(key, Body(new)): Once<Body<OrganizationChanges>>,
) -> Outcome<Created<Organization>> {
    let name = new.name.value();
    let name = name.ok_or_else(|| Error::field("name", "is required"))?;
    let mut tx = permit.begin_once(key).await?;
    let mut set = given(&mut tx, &new).await?;
    if !new.slug.is_present() {
        let made = slug_of(name)
            .ok_or_else(|| Error::field("slug", "is required, none can be made from the name"))?;
        set = set.to("slug = {}", made);
    }
    let query = set
        .insert("organizations", "o", COLUMNS)
        .on("organizations_slug_key", Code::SlugTaken);
    let made: Raw<Organization> = tx.one(query, Code::Internal).await?;
    tx.record_new(&ORGANIZATION, "organization.created", &made);
    permit.commit(tx, Created::raw(&made)).await
}
