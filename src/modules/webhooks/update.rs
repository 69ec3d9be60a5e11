//! `PATCH /api/webhooks/{id}`

use super::model::{Switch, Webhook, WebhookChanges};
use super::secrets::checked_url;
use super::{object, queries};
use crate::db::facts::Action;
use crate::error::{Error, Result};
use crate::http::body::Body;
use crate::http::params::Id;
use crate::http::permit::{Permit, WebhooksWrite};
use crate::http::reply::Data;
use crate::http::types::Patch;
use serde_json::json;

/// Longest description, in characters.
const MAX_DESCRIPTION: usize = 1_000;

/// Changes a webhook. Activating one that was disabled gives it a clean record.
pub async fn update(
    permit: Permit<WebhooksWrite>,
    Id(id): Id,
    Body(wanted): Body<WebhookChanges>,
) -> Result<Data<Webhook>> {
    let url = match &wanted.url {
        Some(url) => Some(checked_url(permit.call.config, url)?),
        None => None,
    };
    if let Patch::Value(text) = &wanted.description
        && text.chars().count() > MAX_DESCRIPTION
    {
        return Err(Error::field("description", "length is greater than 1000"));
    }
    let status = wanted.status.map(|status| match status {
        Switch::Active => "active",
        Switch::Paused => "paused",
    });
    let mut tx = permit.begin();
    let before = queries::lock(&mut tx, id).await?;
    let after = queries::set(
        &mut tx,
        id,
        "name = coalesce($4, w.name),
         description = CASE WHEN $5::boolean THEN $6 ELSE w.description END,
         url = coalesce($7, w.url),
         events = CASE WHEN $8 IS NULL THEN w.events
           ELSE ARRAY(SELECT DISTINCT jsonb_array_elements_text($8::jsonb) ORDER BY 1) END,
         status = coalesce($9::webhook_status, w.status),
         consecutive_failures = CASE WHEN $9 IS NOT NULL AND w.status = 'disabled' THEN 0 ELSE w.consecutive_failures END,
         failing_since = CASE WHEN $9 IS NULL OR w.status <> 'disabled' THEN w.failing_since END,
         disabled_at = CASE WHEN $9 IS NULL THEN w.disabled_at END,
         disabled_reason = CASE WHEN $9 IS NULL THEN w.disabled_reason END",
        |query| {
            query
                .bind(wanted.name.as_deref().map(str::trim))
                .bind(wanted.description.is_present())
                .bind(wanted.description.value())
                .bind(url)
                .bind(wanted.events.as_ref().map(|events| json!(events)))
                .bind(status)
        },
    )
    .await?;
    object::settle(
        &permit,
        tx,
        Action::Update,
        "webhook.updated",
        Some(&before.row),
        &after,
    )
    .await?;
    Ok(Data::raw(&after))
}
