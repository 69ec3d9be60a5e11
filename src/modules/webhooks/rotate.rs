//! `POST /api/webhooks/{id}/rotate-secret`

use super::model::{Nothing, WebhookWithSecret};
use super::object;
use super::queries::{self, WEBHOOK};
use super::secrets::NewSecret;
use crate::db::Set;
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::idempotency::Once;
use crate::http::params::Id;
use crate::http::permit::{Permit, WebhooksWrite};
use crate::http::reply::Data;
use serde_json::json;

/// Gives a webhook a new secret and shows it, this once. Deliveries carry the signatures of both for 24
/// hours, so that the receiver can change over without missing any.
pub async fn rotate(
    permit: Permit<WebhooksWrite>,
    Id(id): Id,
    Once(key, Body(Nothing {})): Once<Body<Nothing>>,
) -> Outcome<Data<WebhookWithSecret>> {
    let secret = NewSecret::new(permit.call.config, id)?;
    let mut tx = permit.begin_once(key).await?;
    let before = queries::lock(&mut tx, id).await?;
    let set = Set::new().fixed(
        "previous_secret_encrypted = w.secret_encrypted,
         previous_encryption_key_version = w.encryption_key_version,
         previous_secret_expires_at = now() + interval '24 hours'",
    );
    let after = queries::set(&mut tx, id, secret.kept(set)).await?;
    tx.record_change(&WEBHOOK, "webhook.secret_rotated", &before.row, &after);
    object::tell(&permit.call, &mut tx, id).await?;
    let reply = Data::text(json!({ "webhook": after, "secret": secret.text }).to_string());
    permit.commit_secret(tx, reply).await
}
