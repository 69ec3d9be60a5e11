//! `POST /api/webhooks`

use super::model::{NewWebhook, Webhook, WebhookWithSecret};
use super::object;
use super::queries::COLUMNS;
use super::secrets::{NewSecret, checked_url};
use crate::db::facts::Action;
use crate::db::{Tx, sql};
use crate::error::{Code, Error, Result};
use crate::http::body::Body;
use crate::http::idempotency::Once;
use crate::http::permit::{Permit, WebhooksWrite};
use crate::http::reply::{Created, Raw};
use crate::modules::settings::current;
use serde_json::json;
use uuid::Uuid;

/// Makes a webhook and shows its secret, this once.
pub async fn create(
    permit: Permit<WebhooksWrite>,
    Once(idempotency, Body(new)): Once<Body<NewWebhook>>,
) -> Result<Created<WebhookWithSecret>> {
    let organization = permit.organization(new.organization_id)?;
    let config = permit.call.config;
    let url = checked_url(config, &new.url)?;
    let id = Uuid::new_v4();
    let secret = NewSecret::new(config, id)?;
    let caller = permit.caller();

    let mut tx = permit.begin();
    if let Some(stored) = idempotency.claim(&mut tx, caller).await? {
        return Ok(stored);
    }
    make_room(&mut tx, organization).await?;
    let made: Option<Raw<Webhook>> = tx
        .row(
            sql(format!(
                "INSERT INTO webhooks AS w (id, organization_id, user_id, name, description, url, events,
                   secret_hash, secret_encrypted, encryption_key_version)
                 VALUES ($1::uuid, $2::uuid, $3::uuid, $4, $5, $6,
                   ARRAY(SELECT DISTINCT jsonb_array_elements_text($7::jsonb) ORDER BY 1),
                   $8, decode($9, 'hex'), $10::int)
                 RETURNING {COLUMNS}"
            ))
            .bind(id)
            .bind(organization)
            .bind(permit.principal.user_id)
            .bind(new.name.trim())
            .bind(new.description.as_deref())
            .bind(&url)
            .bind(json!(new.events))
            .bind(&secret.hash)
            .bind(&secret.sealed)
            .bind(secret.key_version),
        )
        .await?;
    let made = made.ok_or_else(|| Error::internal("nothing was inserted"))?;
    let reply = Created::text(json!({ "webhook": made, "secret": secret.text }).to_string());
    idempotency.settle_sealed(&mut tx, caller, &reply)?;
    object::settle(&permit, tx, Action::Create, "webhook.created", None, &made).await?;
    Ok(reply)
}

/// Holds the organization's row, so that two who come together do not both take the last place.
async fn make_room(tx: &mut Tx, organization: Uuid) -> Result<()> {
    let alive: Option<bool> = tx
        .value(
            sql("SELECT to_json(true)::text FROM organizations
                 WHERE id = $1::uuid AND deleted_at IS NULL FOR NO KEY UPDATE")
            .bind(organization),
        )
        .await?;
    alive.ok_or_else(|| Error::field("organization_id", "does not exist"))?;
    let room: bool = tx
        .value(
            sql("SELECT to_json(count(*) < $2::bigint)::text FROM webhooks
                 WHERE organization_id = $1::uuid AND deleted_at IS NULL")
            .bind(organization)
            .bind(current::settings().webhooks_per_organization()),
        )
        .await?;
    if room {
        Ok(())
    } else {
        Err(Code::WebhookLimitReached.into())
    }
}
