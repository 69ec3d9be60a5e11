//! `GET /api/webhooks/{id}/deliveries`

use super::model::{Delivery, Outcome};
use super::queries::{MINE, mine};
use crate::error::{Code, Error, Result};
use crate::http::params::{Id, Query, first_page, offset, page_size};
use crate::http::permit::{Permit, WebhooksRead};
use crate::http::reply::Listing;
use crate::http::types::Moment;
use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;
use uuid::Uuid;

/// Filters and the page.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(rename = "WebhookDeliveryFilters")]
pub struct Filters {
    /// Only events with this name.
    #[garde(length(chars, max = 100))]
    pub event_type: Option<String>,
    /// Only attempts at this event.
    pub event_id: Option<Uuid>,
    /// Only what succeeded, or only what failed.
    pub status: Option<Outcome>,
    /// Attempted at or after.
    pub created_after: Option<Moment>,
    /// Attempted before.
    pub created_before: Option<Moment>,
    /// Counted from 1.
    #[serde(default = "first_page")]
    #[garde(range(min = 1, max = 1_000_000))]
    pub page: u32,
    /// Rows on a page.
    #[serde(default = "page_size")]
    #[garde(range(min = 1, max = 100))]
    pub per_page: u32,
}

/// Lists the attempts to deliver events to a webhook, latest first.
pub async fn list(
    permit: Permit<WebhooksRead>,
    Id(id): Id,
    Query(filters): Query<Filters>,
) -> Result<Listing<Delivery>> {
    let tx = permit.begin();
    let query = mine(
        &tx,
        format!(
            "WITH webhook AS (SELECT w.id FROM webhooks w WHERE {MINE} AND w.id = $3::uuid),
             found AS (
               SELECT d.id, d.created_at FROM webhook_deliveries d JOIN webhook ON webhook.id = d.webhook_id
               WHERE ($4 IS NULL OR d.event_type = $4)
                 AND ($5 IS NULL OR d.event_id = $5::uuid)
                 AND ($6 IS NULL OR (d.delivered_at IS NOT NULL) = ($6 = 'delivered'))
                 AND ($7 IS NULL OR d.created_at >= $7::timestamptz)
                 AND ($8 IS NULL OR d.created_at < $8::timestamptz)
             ), page AS (
               SELECT d.id, d.webhook_id, d.event_id, d.event_type, d.payload, d.attempt_number,
                 CASE WHEN d.delivered_at IS NULL THEN 'failed' ELSE 'delivered' END AS status,
                 d.response_status, d.response_body, d.error_message, d.duration_ms, d.next_attempt_at,
                 d.delivered_at, d.created_at
               FROM found f JOIN webhook_deliveries d USING (id)
               ORDER BY f.created_at DESC, d.id DESC LIMIT $9::bigint OFFSET $10::bigint)
             SELECT CASE WHEN EXISTS (SELECT 1 FROM webhook) THEN
               json_build_object('total', (SELECT count(*) FROM found),
                 'rows', (SELECT coalesce(json_agg(page), '[]') FROM page)) END::text"
        ),
    )
    .bind(id)
    .bind(filters.event_type.as_deref())
    .bind(filters.event_id)
    .bind(filters.status.map(Outcome::as_str))
    .bind(filters.created_after.map(|at| at.0))
    .bind(filters.created_before.map(|at| at.0))
    .bind(filters.per_page)
    .bind(offset(filters.page, filters.per_page));
    let found = tx
        .only_value::<Option<_>>(query)
        .await?
        .ok_or_else(|| Error::new(Code::WebhookNotFound))?;
    Ok(Listing::new(found, filters.page, filters.per_page))
}
