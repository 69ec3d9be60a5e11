//! `POST /api/webhooks/{id}/rotate-secret`

use super::model::{Nothing, WebhookWithSecret};
use super::secrets::NewSecret;
use super::{object, queries};
use crate::db::facts::Action;
use crate::error::Result;
use crate::http::body::Body;
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
    Once(idempotency, Body(Nothing {})): Once<Body<Nothing>>,
) -> Result<Data<WebhookWithSecret>> {
    let secret = NewSecret::new(permit.call.config, id)?;
    let caller = permit.caller();
    let mut tx = permit.begin();
    if let Some(stored) = idempotency.claim(&mut tx, caller).await? {
        return Ok(stored);
    }
    let before = queries::lock(&mut tx, id).await?;
    let after = queries::set(
        &mut tx,
        id,
        "previous_secret_encrypted = w.secret_encrypted,
         previous_encryption_key_version = w.encryption_key_version,
         previous_secret_expires_at = now() + interval '24 hours',
         secret_hash = $4, secret_encrypted = decode($5, 'hex'), encryption_key_version = $6::int",
        |query| {
            query
                .bind(&secret.hash)
                .bind(&secret.sealed)
                .bind(secret.key_version)
        },
    )
    .await?;
    let reply = Data::text(json!({ "webhook": after, "secret": secret.text }).to_string());
    idempotency.settle_sealed(&mut tx, caller, &reply)?;
    object::settle(
        &permit,
        tx,
        Action::Update,
        "webhook.secret_rotated",
        Some(&before.row),
        &after,
    )
    .await?;
    Ok(reply)
}
