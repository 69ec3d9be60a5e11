//! `POST /api/webhooks`

use super::model::{NewWebhook, Webhook, WebhookWithSecret};
use super::queries::{CARRIES, COLUMNS, EVENTS, WEBHOOK};
use super::secrets::{NewSecret, checked_url};
use super::{object, rights};
use crate::db::{Raw, Rows, Set, Tx};
use crate::error::{Code, Error, Result};
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::idempotency::Once;
use crate::http::permit::{Permit, WebhooksWrite};
use crate::http::reply::Created;
use crate::settings::settings;
use serde_json::{Value, json};
use uuid::Uuid;

/// Makes a webhook and shows its secret, this once.
pub async fn create(
    permit: Permit<WebhooksWrite>,
    Once(key, Body(new)): Once<Body<NewWebhook>>,
) -> Outcome<Created<WebhookWithSecret>> {
    let organization = permit.organization(new.organization_id)?;
    let carries = rights::subscribing(&permit, &new.events)?;
    let config = permit.call.config;
    let url = checked_url(config, &new.url)?;
    let id = Uuid::new_v4();
    let secret = NewSecret::new(config, id)?;
    let mut tx = permit.begin_once(key).await?;
    make_room(&mut tx, organization).await?;
    let set = Set::new()
        .to("id = {}::uuid", id)
        .to("organization_id = {}::uuid", organization)
        .to("user_id = {}::uuid", permit.principal.user_id)
        .to("name = {}", new.name.trim())
        .to("description = {}", new.description)
        .to("url = {}", url)
        .to(EVENTS, json!(new.events))
        .to(CARRIES, carries);
    let query = secret.kept(set).insert("webhooks", "w", COLUMNS);
    let webhook: Raw<Webhook> = tx.one(query, Code::Internal).await?;
    tx.record_new(&WEBHOOK, "webhook.created", &webhook);
    object::tell(&permit.call, &mut tx, id).await?;
    let reply = Created::text(json!({ "webhook": webhook, "secret": secret.text }).to_string());
    permit.commit_secret(tx, reply).await
}

/// Holds the organization's row, so that two who come together do not both take the last place.
async fn make_room(tx: &mut Tx, organization: Uuid) -> Result<()> {
    let home = Rows::of("organizations", "o")
        .id(organization)
        .only("o.deleted_at IS NULL");
    let alive: Option<Value> = tx.row(home.lock("o.id")).await?;
    alive.ok_or_else(|| Error::field("organization_id", "does not exist"))?;
    let there = Rows::of("webhooks", "w")
        .when("w.organization_id = {}::uuid", Some(organization))
        .only("w.deleted_at IS NULL");
    let count: u32 = tx.value(there.count()).await?;
    match count < settings().webhooks_per_organization() {
        true => Ok(()),
        false => Err(Code::WebhookLimitReached.into()),
    }
}
