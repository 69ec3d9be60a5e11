//! The SQL of webhooks.

use super::model::{Status, Webhook};
use crate::db::facts::Subject;
use crate::db::{Raw, Rows, Set, Tx};
use crate::error::{Code, Error, Result};
use celaest_domain::json;
use celaest_domain::webhook::shown_url;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

/// The columns of [`Webhook`], from `webhooks w`.
pub const COLUMNS: &str =
    "w.id, w.organization_id, w.user_id, w.name, w.description, w.url, w.events, w.status,
    w.consecutive_failures, w.failing_since, w.last_delivery_at, w.disabled_at, w.disabled_reason,
    (SELECT max((s->>'expires_at')::timestamptz) FROM jsonb_array_elements(w.previous_secrets) AS s
     WHERE (s->>'expires_at')::timestamptz > now()) AS previous_secret_expires_at, w.created_at, w.updated_at";

/// What the webhook's object needs to know, from `webhooks w`.
pub const ENDPOINT: &str = "json_build_object(
    'webhook_id', w.id, 'organization_id', w.organization_id, 'version', w.version, 'generation', w.generation,
    'url', w.url, 'status', CASE WHEN w.deleted_at IS NULL THEN w.status::text ELSE 'deleted' END,
    'secrets', (SELECT coalesce(json_agg(json_build_object('sealed', s.sealed, 'key_version', s.key_version,
        'expires_at_ms', floor(extract(epoch FROM s.expires_at) * 1000)::bigint) ORDER BY s.expires_at DESC NULLS FIRST), '[]')
      FROM (SELECT translate(encode(w.secret_encrypted, 'base64'), E'\\n', ''), w.encryption_key_version, NULL::timestamptz
            UNION ALL
            SELECT p.sealed, p.key_version, p.expires_at FROM jsonb_to_recordset(w.previous_secrets) AS p(
              sealed text, key_version integer, expires_at timestamptz)
            WHERE p.expires_at > now()) AS s(sealed, key_version, expires_at)
      WHERE w.deleted_at IS NULL))";

/// Whose thing an event of `topic` and `payload` is about: the owner of its license, the maker of its webhook,
/// whoever handed in its task.
/// The id of a license is a SELECT of its own: PostgreSQL takes `coalesce` for something that may tell of rows, and looks at
/// every license for whether it may be seen before it compares.
pub fn owner_of(topic: &str, payload: &str) -> String {
    format!(
        "CASE WHEN {topic} LIKE 'license.%' THEN (
           SELECT l.owner_id FROM licenses l WHERE l.id = (SELECT coalesce({payload}->'license'->>'id',
             {payload}->>'license_id', {payload}->'validation'->>'license_id')::uuid))
         WHEN {topic} LIKE 'order.%' THEN (
           SELECT b.user_id FROM orders b WHERE b.id = ({payload}->'order'->>'id')::uuid)
         WHEN {topic} LIKE 'subscription.%' THEN (
           SELECT b.user_id FROM subscriptions b WHERE b.id = ({payload}->'subscription'->>'id')::uuid)
         WHEN {topic} LIKE 'invoice.%' THEN (
           SELECT b.user_id FROM invoices b WHERE b.id = ({payload}->'invoice'->>'id')::uuid)
         WHEN {topic} LIKE 'webhook.%' THEN (
           SELECT v.user_id FROM webhooks v WHERE v.id = ({payload}->'webhook'->>'id')::uuid)
         WHEN {topic} LIKE 'ai.%' THEN coalesce({payload}->'task'->>'user_id', {payload}->'batch'->>'user_id')::uuid END"
    )
}

/// What was sent, from `webhook_deliveries d`: it is kept with the first attempt that was written down.
pub const PAYLOAD: &str = "coalesce(d.payload, (SELECT f.payload FROM webhook_deliveries f
    WHERE f.webhook_id = d.webhook_id AND f.event_id = d.event_id AND f.payload IS NOT NULL LIMIT 1))";

/// The assignment of a list of subscriptions, each once.
pub const EVENTS: &str =
    "events = ARRAY(SELECT DISTINCT jsonb_array_elements_text({}::jsonb) ORDER BY 1)";

/// The assignment of what it may carry.
pub const CARRIES: &str = "carries = ARRAY(SELECT jsonb_array_elements_text({}::jsonb) ORDER BY 1)";

/// What the log and the outside learn of a webhook. Its secrets are in none of [`COLUMNS`], and those that
/// its receiver has in its address are its own.
pub const WEBHOOK: Subject = Subject {
    kind: "webhook",
    tenant: "organization_id",
    secret: &[],
    told: Some(|webhook| {
        let mut webhook = webhook.clone();
        if let Some(url) = webhook["url"].as_str().map(shown_url) {
            webhook["url"] = url.into();
        }
        json!({ "webhook": webhook })
    }),
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
    /// Whose rights it has.
    pub user_id: Uuid,
    /// Whether events are sent.
    pub status: Status,
    /// Where they go.
    pub url: String,
    /// Subscriptions.
    pub events: Vec<String>,
}

/// The parts of [`Locked`] in the row.
#[derive(Deserialize)]
struct Parts {
    organization_id: Uuid,
    user_id: Uuid,
    status: Status,
    url: String,
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
    let parts: Parts = json::read(row.text()).map_err(Error::internal)?;
    Ok(Locked {
        row,
        id,
        organization_id: parts.organization_id,
        user_id: parts.user_id,
        status: parts.status,
        url: parts.url,
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
