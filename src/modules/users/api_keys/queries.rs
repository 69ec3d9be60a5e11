//! The SQL of API keys, and the keys themselves.

use crate::db::facts::{Action, Fact};
use crate::db::{Query, Tx, sql};
use crate::error::{Error, Result};
use crate::http::call::Call;
use crate::http::principal::{KEY_PREFIX_CHARS, key_hash};
use crate::modules::users::model::ApiKeyShown;
use crate::platform::random;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// The columns of [`crate::modules::users::model::ApiKey`], from alias `k`.
pub const COLUMNS: &str =
    "k.id, k.user_id, k.organization_id, k.name, k.key_prefix, k.scopes, k.rate_limit_rpm,
    k.usage_count, k.last_used_at, k.expires_at,
    (k.is_active AND (k.expires_at IS NULL OR k.expires_at > now())) AS is_active,
    k.replaced_by, k.created_by, k.created_at, k.updated_at";

/// [`COLUMNS`] from another alias.
pub fn columns_of(alias: &str) -> String {
    COLUMNS.replace("k.", &format!("{alias}."))
}

/// The tenant in a statement's own WHERE, for `user_api_keys k`; `$1` is the organization, `$2` whose. A
/// deleted key is nobody's.
pub const MINE: &str = "($1::uuid IS NULL OR k.organization_id = $1::uuid) AND k.user_id = $2::uuid
    AND k.revoked_at IS NULL";

/// A statement whose first two parameters are the tenant and the person, as [`MINE`] expects.
pub fn of(tx: &Tx, person: Uuid, text: impl Into<String>) -> Query {
    sql(text).bind(tx.scope().organization()).bind(person)
}

/// A key as it is shown, with what is stored of it.
pub struct Drawn {
    /// `celk_`, eight characters to recognise it by, and the secret.
    pub key: String,
    /// The visible beginning.
    pub prefix: String,
    /// What it is found by.
    pub hash: String,
}

/// Draws a new key.
///
/// # Errors
/// When the platform has no random numbers.
pub fn draw(call: &Call) -> Result<Drawn> {
    let name = random::bytes::<6>()?;
    let secret = random::bytes::<32>()?;
    let key = format!(
        "celk_{}{}",
        URL_SAFE_NO_PAD.encode(name),
        URL_SAFE_NO_PAD.encode(secret)
    );
    Ok(Drawn {
        prefix: key.chars().take(KEY_PREFIX_CHARS).collect(),
        hash: key_hash(&key, call.config.api_key_pepper.expose()),
        key,
    })
}

/// The stored row with the key, for its only showing.
///
/// # Errors
/// When the row is no object.
pub fn shown(row: &Value, key: &str) -> Result<ApiKeyShown> {
    let mut shown = row.clone();
    shown["key"] = json!(key);
    serde_json::from_value(shown).map_err(Error::internal)
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

/// Records what happened to a key.
///
/// # Errors
/// When the row has no id.
pub fn record(
    tx: &mut Tx,
    action: Action,
    event: &'static str,
    row: &Value,
    changes: Value,
    payload: Value,
) -> Result<()> {
    let id = |name: &str| serde_json::from_value(row[name].clone()).map_err(Error::internal);
    tx.record(Fact {
        id: Uuid::new_v4(),
        organization_id: Some(id("organization_id")?),
        action,
        event,
        resource_type: "api_key",
        resource_id: id("id")?,
        changes,
        payload: Some(payload),
    });
    Ok(())
}
