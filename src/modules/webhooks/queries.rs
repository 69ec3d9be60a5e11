//! The SQL of webhooks.

use super::model::{Status, Webhook};
use crate::db::{Query, Tx, sql};
use crate::error::{Code, Error, Result};
use crate::http::reply::Raw;
use serde::Deserialize;
use uuid::Uuid;

/// The columns of [`Webhook`], from `webhooks w`.
pub const COLUMNS: &str =
    "w.id, w.organization_id, w.user_id, w.name, w.description, w.url, w.events, w.status,
    w.consecutive_failures, w.failing_since, w.last_delivery_at, w.disabled_at, w.disabled_reason,
    CASE WHEN w.previous_secret_expires_at > now() THEN w.previous_secret_expires_at END
      AS previous_secret_expires_at, w.created_at, w.updated_at";

/// The tenant in a statement's own WHERE, for `webhooks w`; `$1` is the organization, `$2` the owner.
pub const MINE: &str = "($1::uuid IS NULL OR w.organization_id = $1::uuid)
    AND ($2::uuid IS NULL OR w.user_id = $2::uuid) AND w.deleted_at IS NULL";

/// What the webhook's object needs to know, from `webhooks w`.
pub const ENDPOINT: &str = "json_build_object(
    'webhook_id', w.id, 'organization_id', w.organization_id, 'version', w.version, 'url', w.url,
    'status', CASE WHEN w.deleted_at IS NULL THEN w.status::text ELSE 'deleted' END,
    'secrets', (SELECT coalesce(json_agg(json_build_object(
        'sealed', translate(encode(s.sealed, 'base64'), E'\\n', ''), 'key_version', s.key_version,
        'expires_at_ms', floor(extract(epoch FROM s.expires_at) * 1000)::bigint) ORDER BY s.place), '[]')
      FROM (VALUES (1, w.secret_encrypted, w.encryption_key_version, NULL::timestamptz),
                   (2, w.previous_secret_encrypted, w.previous_encryption_key_version, w.previous_secret_expires_at)
           ) AS s(place, sealed, key_version, expires_at)
      WHERE w.deleted_at IS NULL AND s.sealed IS NOT NULL AND (s.expires_at IS NULL OR s.expires_at > now())))";

/// A statement whose first two parameters are the tenant, as [`MINE`] expects.
pub fn mine(tx: &Tx, text: impl Into<String>) -> Query {
    sql(text)
        .bind(tx.scope().organization())
        .bind(tx.scope().owner())
}

/// The fields of a webhook that rules look at.
#[derive(Debug, Clone, Deserialize)]
pub struct Facts {
    /// Identifier.
    pub id: Uuid,
    /// The organization.
    pub organization_id: Uuid,
    /// Whether events are sent.
    pub status: Status,
}

/// A webhook: as a whole, and what rules look at.
pub struct Found {
    /// The row.
    pub row: Raw<Webhook>,
    /// The parts.
    pub facts: Facts,
}

/// Reads one webhook.
///
/// # Errors
/// 404 when it is not there or not the caller's.
pub async fn read(tx: Tx, id: Uuid) -> Result<Raw<Webhook>> {
    let query = mine(
        &tx,
        format!("SELECT {COLUMNS} FROM webhooks w WHERE {MINE} AND w.id = $3::uuid"),
    )
    .bind(id);
    tx.only_row(query)
        .await?
        .ok_or_else(|| Code::WebhookNotFound.into())
}

/// Reads one webhook and holds its row until the transaction ends.
///
/// # Errors
/// 404 as [`read`].
pub async fn lock(tx: &mut Tx, id: Uuid) -> Result<Found> {
    let query = mine(
        tx,
        format!("SELECT {COLUMNS} FROM webhooks w WHERE {MINE} AND w.id = $3::uuid FOR UPDATE"),
    )
    .bind(id);
    let row: Option<Raw<Webhook>> = tx.row(query).await?;
    let row = row.ok_or_else(|| Error::new(Code::WebhookNotFound))?;
    let facts = serde_json::from_str(row.text()).map_err(Error::internal)?;
    Ok(Found { row, facts })
}

/// Sets columns of one webhook; `assignments` uses parameters from `$4` on, bound by `bind`.
///
/// # Errors
/// 404 as [`read`].
pub async fn set(
    tx: &mut Tx,
    id: Uuid,
    assignments: &str,
    bind: impl FnOnce(Query) -> Query,
) -> Result<Raw<Webhook>> {
    let query = mine(
        tx,
        format!(
            "UPDATE webhooks w SET version = w.version + 1, {assignments}
             WHERE {MINE} AND w.id = $3::uuid RETURNING {COLUMNS}"
        ),
    )
    .bind(id);
    tx.row(bind(query))
        .await?
        .ok_or_else(|| Code::WebhookNotFound.into())
}
