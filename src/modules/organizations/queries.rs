//! The SQL of tenants.

use super::model::{Organization, OrganizationChanges};
use crate::db::facts::Subject;
use crate::db::{Query, Raw, Rows, Set, Tx};
use crate::error::{Code, Error, Result};
use crate::http::types::Patch;
use crate::modules::users::queries::check_timezone;
use serde_json::json;
use uuid::Uuid;

/// The columns of [`Organization`], from alias `o`.
pub const COLUMNS: &str = "o.id, o.name, o.slug, o.email, o.phone, o.website, o.address_line1, o.address_line2, o.city,
    o.state, o.postal_code, o.country_code, o.tax_id, o.settings, o.metadata, o.max_users, o.max_api_calls_per_month,
    o.created_at, o.updated_at";

/// What the log and the outside learn of an organization.
pub const ORGANIZATION: Subject = Subject {
    kind: "organization",
    tenant: "id",
    secret: &[],
    told: Some(|organization| json!({ "organization": organization })),
};

/// The caller's organization, or every one. A closed one is nobody's.
pub fn mine(tx: &Tx) -> Rows {
    Rows::of("organizations", "o")
        .when("o.id = {}::uuid", tx.scope().organization())
        .only("o.deleted_at IS NULL")
}

/// The one that is named by somebody who sees all of them, closed or not: what is written down about it needs it.
pub fn named(id: Uuid) -> Query {
    Rows::of("organizations", "o").id(id).read("o.id")
}

/// Reads one organization and holds its row until the transaction ends.
///
/// # Errors
/// 404 when it is not there or not the caller's.
pub async fn lock(tx: &mut Tx, id: Uuid) -> Result<Raw<Organization>> {
    let query = mine(tx).id(id).lock(COLUMNS);
    tx.one(query, Code::OrganizationNotFound).await
}

/// What a body sets, checked against what PostgreSQL knows.
///
/// # Errors
/// 422 for a time zone that does not exist or a column that cannot be cleared.
pub async fn given(tx: &mut Tx, wanted: &OrganizationChanges) -> Result<Set> {
    // Not a rule of the body's own: who may not set the limits learns that first.
    let cleared = [
        ("name", wanted.name == Patch::Null),
        ("slug", wanted.slug == Patch::Null),
        ("max_users", wanted.max_users == Patch::Null),
        (
            "max_api_calls_per_month",
            wanted.max_api_calls_per_month == Patch::Null,
        ),
    ];
    if let Some((field, _)) = cleared.into_iter().find(|(_, is_cleared)| *is_cleared) {
        return Err(Error::field(field, "cannot be cleared"));
    }
    let settings = wanted.settings.value();
    if let Some(name) = settings.and_then(|settings| settings.timezone.as_deref()) {
        check_timezone(tx, "settings.timezone", name).await?;
    }
    Ok(Set::new()
        .patch("name = {}", &wanted.name)
        .patch("slug = {}", &wanted.slug)
        .patch("email = {}", &wanted.email)
        .patch("phone = {}", &wanted.phone)
        .patch("website = {}", &wanted.website)
        .patch("address_line1 = {}", &wanted.address_line1)
        .patch("address_line2 = {}", &wanted.address_line2)
        .patch("city = {}", &wanted.city)
        .patch("state = {}", &wanted.state)
        .patch("postal_code = {}", &wanted.postal_code)
        .patch("country_code = {}", &wanted.country_code)
        .patch("tax_id = {}", &wanted.tax_id)
        // Cleared is an object without fields.
        .patch_json("settings = coalesce({}::jsonb, '{}')", &wanted.settings)
        .patch_json("metadata = coalesce({}::jsonb, '{}')", &wanted.metadata)
        .patch("max_users = {}::integer", &wanted.max_users)
        .patch(
            "max_api_calls_per_month = {}::bigint",
            &wanted.max_api_calls_per_month,
        ))
}
