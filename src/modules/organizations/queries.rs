//! The SQL of tenants.

use super::model::{Organization, OrganizationChanges};
use crate::db::facts::{Action, Fact};
use crate::db::{Query, Tx, sql};
use crate::error::{Code, Error, Result};
use crate::http::reply::Raw;
use crate::modules::users::queries::check_timezone;
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// The columns of [`Organization`], from alias `o`.
pub const COLUMNS: &str = "o.id, o.name, o.slug, o.email, o.phone, o.website, o.address_line1, o.address_line2, o.city,
    o.state, o.postal_code, o.country_code, o.tax_id, o.settings, o.metadata, o.max_users, o.max_api_calls_per_month,
    o.created_at, o.updated_at";

/// The columns that a body sets, with their types.
pub const SETTABLE: [(&str, &str); 16] = [
    ("name", "text"),
    ("slug", "text"),
    ("email", "text"),
    ("phone", "text"),
    ("website", "text"),
    ("address_line1", "text"),
    ("address_line2", "text"),
    ("city", "text"),
    ("state", "text"),
    ("postal_code", "text"),
    ("country_code", "text"),
    ("tax_id", "text"),
    ("settings", "jsonb"),
    ("metadata", "jsonb"),
    ("max_users", "integer"),
    ("max_api_calls_per_month", "bigint"),
];

/// The tenant in a statement's own WHERE, for `organizations o`; `$1` is the organization. A closed one
/// is nobody's.
pub const MINE: &str = "($1::uuid IS NULL OR o.id = $1::uuid) AND o.deleted_at IS NULL";

/// A statement whose first parameter is the tenant, as [`MINE`] expects.
pub fn mine(tx: &Tx, text: impl Into<String>) -> Query {
    sql(text).bind(tx.scope().organization())
}

/// Reads one organization.
///
/// # Errors
/// 404 when it is not there or not the caller's.
pub async fn read(tx: Tx, id: Uuid) -> Result<Raw<Organization>> {
    let query = mine(
        &tx,
        format!("SELECT {COLUMNS} FROM organizations o WHERE {MINE} AND o.id = $2::uuid"),
    )
    .bind(id);
    tx.only_row(query)
        .await?
        .ok_or_else(|| Code::OrganizationNotFound.into())
}

/// Reads one organization and holds its row until the transaction ends.
///
/// # Errors
/// As [`read`].
pub async fn lock(tx: &mut Tx, id: Uuid) -> Result<Value> {
    let query = mine(
        tx,
        format!(
            "SELECT {COLUMNS} FROM organizations o WHERE {MINE} AND o.id = $2::uuid FOR NO KEY UPDATE OF o"
        ),
    )
    .bind(id);
    let row: Option<Value> = tx.row(query).await?;
    row.ok_or_else(|| Error::new(Code::OrganizationNotFound))
}

/// Refuses an organization that is not in the caller's reach, within a transaction that goes on.
///
/// # Errors
/// As [`read`].
pub async fn check(tx: &mut Tx, id: Uuid) -> Result<()> {
    let query = mine(
        tx,
        format!("SELECT to_json(true)::text FROM organizations o WHERE {MINE} AND o.id = $2::uuid"),
    )
    .bind(id);
    match tx.value::<Option<bool>>(query).await? {
        Some(true) => Ok(()),
        _ => Err(Code::OrganizationNotFound.into()),
    }
}

/// The columns that a body sets, checked against what PostgreSQL knows.
///
/// # Errors
/// 422 for a time zone that does not exist or a column that cannot be cleared.
pub async fn columns(tx: &mut Tx, wanted: &OrganizationChanges) -> Result<Map<String, Value>> {
    wanted.name.not_null("name")?;
    wanted.slug.not_null("slug")?;
    wanted.max_users.not_null("max_users")?;
    wanted
        .max_api_calls_per_month
        .not_null("max_api_calls_per_month")?;
    let timezone = wanted
        .settings
        .value()
        .and_then(|settings| settings.timezone.as_deref());
    if let Some(name) = timezone {
        check_timezone(tx, "settings.timezone", name).await?;
    }
    let mut columns = Map::new();
    let set = &mut columns;
    wanted.name.put(set, "name");
    wanted.slug.put(set, "slug");
    wanted.email.put(set, "email");
    wanted.phone.put(set, "phone");
    wanted.website.put(set, "website");
    wanted.address_line1.put(set, "address_line1");
    wanted.address_line2.put(set, "address_line2");
    wanted.city.put(set, "city");
    wanted.state.put(set, "state");
    wanted.postal_code.put(set, "postal_code");
    wanted.country_code.put(set, "country_code");
    wanted.tax_id.put(set, "tax_id");
    wanted.settings.put(set, "settings");
    wanted.metadata.put(set, "metadata");
    wanted.max_users.put(set, "max_users");
    wanted
        .max_api_calls_per_month
        .put(set, "max_api_calls_per_month");
    // Cleared is an object without fields.
    for name in ["settings", "metadata"] {
        if columns.get(name) == Some(&Value::Null) {
            columns.insert(name.into(), json!({}));
        }
    }
    Ok(columns)
}

/// Records what happened to an organization.
pub fn record(
    tx: &mut Tx,
    id: Uuid,
    action: Action,
    event: &'static str,
    row: &Value,
    changes: Value,
) {
    tx.record(Fact {
        id: Uuid::new_v4(),
        organization_id: Some(id),
        action,
        event,
        resource_type: "organization",
        resource_id: id,
        changes,
        payload: Some(json!({ "organization": row })),
    });
}
