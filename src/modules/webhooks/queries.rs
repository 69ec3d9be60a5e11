//! The SQL of webhooks.

use super::model::{Status, Webhook};
use crate::db::facts::Subject;
use crate::db::{Raw, Rows, Set, Tx};
use crate::error::{Code, Error, Result};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

/// The columns of [`Webhook`], from `webhooks w`.
pub const COLUMNS: &str =
    "w.id, w.organization_id, w.user_id, w.name, w.description, w.url, w.events, w.status,
    w.consecutive_failures, w.failing_since, w.last_delivery_at, w.disabled_at, w.disabled_reason,
    CASE WHEN w.previous_secret_expires_at > now() THEN w.previous_secret_expires_at END
      AS previous_secret_expires_at, w.created_at, w.updated_at";

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

/// The assignment of a list of subscriptions, each once.
pub const EVENTS: &str =
    "events = ARRAY(SELECT DISTINCT jsonb_array_elements_text({}::jsonb) ORDER BY 1)";

/// What the log and the outside learn of a webhook. Its secrets are in none of [`COLUMNS`].
pub const WEBHOOK: Subject = Subject {
    kind: "webhook",
    tenant: "organization_id",
    secret: &[],
    told: Some(|webhook| json!({ "webhook": webhook })),
};

/// The caller's webhooks.
pub fn mine(tx: &Tx) -> Rows {
    with_deleted(tx).only("w.deleted_at IS NULL")
}

/// The caller's webhooks and those that were.
pub fn with_deleted(tx: &Tx) -> Rows {
    Rows::of("webhooks", "w")
        .when("w.organization_id = {}::uuid", tx.scope().organization())
        .when("w.user_id = {}::uuid", tx.scope().owner())
}

/// A webhook whose row is held, with what rules look at.
pub struct Locked {
    /// The row.
    pub row: Raw<Webhook>,
    /// Identifier.
    pub id: Uuid,
    /// The organization.
    pub organization_id: Uuid,
    /// Whether events are sent.
    pub status: Status,
    /// Subscriptions.
    pub events: Vec<String>,
}

/// The parts of [`Locked`] in the row.
#[derive(Deserialize)]
struct Parts {
    organization_id: Uuid,
    status: Status,
    events: Vec<String>,
}

impl Locked {
    /// Refuses to send anything while nothing is sent.
    ///
    /// # Errors
    /// 409.
    pub fn active(&self) -> Result<()> {
        match self.status {
            Status::Active => Ok(()),
            Status::Paused | Status::Disabled => Err(Code::WebhookInactive.into()),
        }
    }
}

/// Reads one webhook and holds its row until the transaction ends.
///
/// # Errors
/// 404 when it is not there or not the caller's.
pub async fn lock(tx: &mut Tx, id: Uuid) -> Result<Locked> {
    let query = mine(tx).id(id).lock(COLUMNS);
    let row: Raw<Webhook> = tx.one(query, Code::WebhookNotFound).await?;
    let parts: Parts = serde_json::from_str(row.text()).map_err(Error::internal)?;
    Ok(Locked {
        row,
        id,
        organization_id: parts.organization_id,
        status: parts.status,
        events: parts.events,
    })
}

/// Changes one webhook.
///
/// # Errors
/// 404 as [`lock`].
pub async fn set(tx: &mut Tx, id: Uuid, set: Set) -> Result<Raw<Webhook>> {
    let set = set.fixed("version = w.version + 1");
    let query = mine(tx).id(id).set(set, COLUMNS);
    tx.one(query, Code::WebhookNotFound).await
}
