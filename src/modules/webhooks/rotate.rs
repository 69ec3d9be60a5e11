//! `POST /api/webhooks/{id}/rotate-secret`

use super::model::{Nothing, WebhookWithSecret};
use super::object;
use super::queries::{self, WEBHOOK, mine};
use super::rights;
use super::secrets::NewSecret;
use crate::db::Set;
use crate::error::Code;
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::idempotency::Once;
use crate::http::params::Id;
use crate::http::permit::{Permit, WebhooksWrite};
use crate::http::reply::Data;
use serde_json::json;

/// Secrets before the current one that sign at the same time.
const MOST: u32 = 4;

/// How many there are.
const SIGNING: &str = "to_json((SELECT count(*) FROM jsonb_array_elements(w.previous_secrets) AS s
    WHERE (s->>'expires_at')::timestamptz > now()))::text";

/// Those that are still promised to sign, and the current one for 24 hours.
const KEEP: &str = "previous_secrets = (SELECT coalesce(jsonb_agg(s), '[]') FROM jsonb_array_elements(w.previous_secrets) AS s
      WHERE (s->>'expires_at')::timestamptz > now())
    || jsonb_build_array(jsonb_build_object('sealed', translate(encode(w.secret_encrypted, 'base64'), E'\\n', ''),
      'key_version', w.encryption_key_version, 'expires_at', now() + interval '24 hours'))";

/// Gives a webhook a new secret and shows it, this once. Deliveries carry the signatures of both for 24
/// hours, so that the receiver can change over without missing any; of every secret that was promised so.
pub async fn rotate(
    permit: Permit<WebhooksWrite>,
    Id(id): Id,
    Once(key, Body(Nothing {})): Once<Body<Nothing>>,
) -> Outcome<Data<WebhookWithSecret>> {
    let secret = NewSecret::new(permit.call.config, id)?;
    let mut tx = permit.begin_once(key).await?;
    let before = queries::lock(&mut tx, id).await?;
    // Whoever knows the secret can speak for what the webhook is told.
    rights::subscribing(&permit, &before.events)?;
    let query = mine(&tx).id(id).read(SIGNING);
    let signing: u32 = tx.value(query).await?;
    if signing >= MOST {
        return Err(Code::WebhookSecretsFull.into());
    }
    let set = Set::new().fixed(KEEP);
    let after = queries::set(&mut tx, id, secret.kept(set)).await?;
    tx.record_change(&WEBHOOK, "webhook.secret_rotated", &before.row, &after);
    object::tell(&permit.call, &mut tx, id).await?;
    let reply = Data::text(json!({ "webhook": after, "secret": secret.text }).to_string());
    permit.commit_secret(tx, reply).await
}
