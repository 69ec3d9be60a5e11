//! `PATCH /api/webhooks/{id}`

use super::model::{Status, Switch, Webhook, WebhookChanges};
use super::queries::{self, CARRIES, EVENTS, WEBHOOK};
use super::secrets::checked_url;
use super::{object, rights};
use crate::db::Set;
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::idempotency::Once;
use crate::http::params::Id;
use crate::http::permit::{Permit, WebhooksWrite};
use crate::http::reply::Data;
use serde_json::json;

/// Changes a webhook. Activating one that was disabled gives it a clean record, and so does another address.
pub async fn update(
    permit: Permit<WebhooksWrite>,
    Id(id): Id,
    Once(key, Body(wanted)): Once<Body<WebhookChanges>>,
) -> Outcome<Data<Webhook>> {
    let url = match &wanted.url {
        Some(url) => Some(checked_url(permit.call.config, url)?),
        None => None,
    };
    let mut tx = permit.begin_once(key).await?;
    let before = queries::lock(&mut tx, id).await?;
    let moves = url.as_ref().is_some_and(|url| *url != before.url);
    let resumes = matches!(wanted.status, Some(Switch::Active));
    let mut set = Set::new()
        .when("name = {}", wanted.name.as_deref().map(str::trim))
        .patch("description = {}", &wanted.description)
        .when("url = {}", url);
    // Whose rights it had is gone: now it has those of whoever takes it over.
    let taken_over = resumes && rights::of(&mut tx, &before).await?.is_orphaned();
    if taken_over {
        set = set.to("user_id = {}::uuid", permit.principal.user_id);
    }
    // Where it goes and what it is told are whoever's business can read that.
    if moves || taken_over || wanted.events.is_some() {
        let events = wanted.events.as_ref().unwrap_or(&before.events);
        set = set.to(CARRIES, rights::subscribing(&permit, events)?);
    }
    set = set.when(EVENTS, wanted.events.map(|events| json!(events)));
    let brought_back = wanted.status.is_some() && before.status == Status::Disabled;
    if let Some(status) = wanted.status.map(Status::from) {
        set = set
            .to("status = {}::webhook_status", status.as_str())
            .fixed("disabled_at = NULL, disabled_reason = NULL");
    }
    if moves || brought_back {
        // What happened until now says nothing of what comes.
        set = set.fixed("consecutive_failures = 0, failing_since = NULL");
    }
    if moves || resumes || brought_back {
        set = set.fixed("generation = w.generation + 1");
    }
    let after = queries::set(&mut tx, id, set).await?;
    tx.record_change(&WEBHOOK, "webhook.updated", &before.row, &after);
    object::tell(&permit.call, &mut tx, id).await?;
    permit.commit(tx, Data::raw(&after)).await
}
