//! `GET /api/webhooks` and `GET /api/webhooks/{id}`

use super::model::{Status, Webhook};
use super::queries::{self, COLUMNS, MINE, mine};
use crate::error::Result;
use crate::http::params::{Id, NoQuery, Query, first_page, offset, page_size};
use crate::http::permit::{Permit, WebhooksRead};
use crate::http::reply::{Data, Listing};
use crate::http::types::Order;
use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;

/// Filters and the page.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(rename = "WebhookFilters")]
pub struct Filters {
    /// Only this status.
    pub status: Option<Status>,
    /// By creation.
    #[serde(default)]
    pub order: Order,
    /// Counted from 1.
    #[serde(default = "first_page")]
    #[garde(range(min = 1, max = 1_000_000))]
    pub page: u32,
    /// Rows on a page.
    #[serde(default = "page_size")]
    #[garde(range(min = 1, max = 100))]
    pub per_page: u32,
}

/// Lists the organization's webhooks.
pub async fn list(
    permit: Permit<WebhooksRead>,
    Query(filters): Query<Filters>,
) -> Result<Listing<Webhook>> {
    let tx = permit.begin();
    let order = filters.order.sql();
    let status = filters.status.map(|status| match status {
        Status::Active => "active",
        Status::Paused => "paused",
        Status::Disabled => "disabled",
    });
    let query = mine(
        &tx,
        format!(
            "WITH found AS (
               SELECT w.id FROM webhooks w WHERE {MINE} AND ($3 IS NULL OR w.status = $3::webhook_status)
             ), page AS (
               SELECT {COLUMNS} FROM found JOIN webhooks w USING (id)
               ORDER BY w.created_at {order}, w.id {order} LIMIT $4::bigint OFFSET $5::bigint)
             SELECT json_build_object('total', (SELECT count(*) FROM found),
               'rows', (SELECT coalesce(json_agg(page), '[]') FROM page))::text"
        ),
    )
    .bind(status)
    .bind(filters.per_page)
    .bind(offset(filters.page, filters.per_page));
    Ok(Listing::new(
        tx.only_value(query).await?,
        filters.page,
        filters.per_page,
    ))
}

/// Reads one webhook.
pub async fn read(permit: Permit<WebhooksRead>, Id(id): Id, _: NoQuery) -> Result<Data<Webhook>> {
    queries::read(permit.begin(), id)
        .await
        .map(|webhook| Data::raw(&webhook))
}
