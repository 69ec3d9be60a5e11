//! The SQL of API keys.

use crate::db::facts::Subject;
use crate::db::{Raw, Rows, Set, Tx};
use crate::error::{Code, Result};
use crate::http::permit::Access;
use crate::http::reply::Created;
use crate::identity::api_key;
use crate::modules::users::model::{ApiKey, ApiKeyShown};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// The columns of [`ApiKey`], from alias `k`.
pub const COLUMNS: &str =
    "k.id, k.user_id, k.organization_id, k.name, k.key_prefix, k.scopes, k.rate_limit_rpm,
    k.usage_count, k.last_used_at, k.expires_at,
    (k.is_active AND (k.expires_at IS NULL OR k.expires_at > now())) AS is_active,
    k.replaced_by, k.created_by, k.created_at, k.updated_at";

/// What the log and the outside learn of a key.
pub const API_KEY: Subject = Subject {
    kind: "api_key",
    tenant: "organization_id",
    secret: &[],
    told: Some(|key| json!({ "api_key": public(key) })),
};

/// Keys in the caller's reach. A deleted one is nobody's.
pub fn mine(tx: &Tx) -> Rows {
    Rows::of("user_api_keys", "k")
        .when("k.organization_id = {}::uuid", tx.scope().organization())
        .only("k.revoked_at IS NULL")
}

/// A person's keys.
pub fn of(tx: &Tx, person: Uuid) -> Rows {
    mine(tx).when("k.user_id = {}::uuid", Some(person))
}

/// What a key is made with, and what one in its place is made with again.
#[derive(Deserialize)]
pub struct Terms {
    /// The organization it works in.
    pub organization_id: Uuid,
    /// What it is for.
    pub name: String,
    /// What it narrows its owner's permissions to.
    pub scopes: Vec<String>,
    /// Requests a minute.
    pub rate_limit_rpm: Option<u32>,
    /// Until when it works.
    pub expires_at: Option<DateTime<Utc>>,
}

/// Makes a person's key; the second is the key itself.
///
/// # Errors
/// When the platform has no random numbers, or the database refuses.
pub async fn insert(
    tx: &mut Tx,
    access: &Access,
    person: Uuid,
    terms: &Terms,
) -> Result<(Raw<ApiKey>, String)> {
    let drawn = api_key::draw(access.call.config.api_key_pepper.expose())?;
    let set = Set::new()
        .to("user_id = {}::uuid", person)
        .to("organization_id = {}::uuid", terms.organization_id)
        .to("name = {}", &terms.name)
        .to("key_hash = {}", &drawn.hash)
        .to("key_prefix = {}", &drawn.prefix)
        .to(
            "scopes = ARRAY(SELECT jsonb_array_elements_text({}::jsonb))",
            json!(terms.scopes),
        )
        .to("rate_limit_rpm = {}::integer", terms.rate_limit_rpm)
        .to("expires_at = {}::timestamptz", terms.expires_at)
        .to("created_by = {}::uuid", access.principal.user_id);
    let query = set.insert("user_api_keys", "k", COLUMNS);
    Ok((tx.one(query, Code::Internal).await?, drawn.key))
}

/// The stored row with the key, for its only showing.
pub fn shown(row: &Raw<ApiKey>, key: &str) -> Created<ApiKeyShown> {
    let mut shown = row.tree();
    shown["key"] = json!(key);
    Created::text(shown.to_string())
}

/// What the outside learns of a key.
pub fn public(row: &Value) -> Value {
    const SHOWN: [&str; 8] = [
        "id",
        "user_id",
        "organization_id",
        "name",
        "key_prefix",
        "scopes",
        "rate_limit_rpm",
        "expires_at",
    ];
    let fields: Map<_, _> = SHOWN
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), row.get(*name)?.clone())))
        .collect();
    Value::Object(fields)
}
