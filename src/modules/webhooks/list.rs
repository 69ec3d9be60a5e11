//! `GET /api/webhooks` and `GET /api/webhooks/{id}`

use super::model::{Status, Webhook};
use super::queries::{COLUMNS, mine};
use crate::db::{Listing, Raw};
use crate::error::{Code, Result};
use crate::http::params::{Id, Paged};
use crate::http::permit::{Permit, WebhooksRead};
use crate::http::reply::Data;
use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;

/// Filters.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(rename = "WebhookFilters")]
pub struct Filters {
    /// Only this status.
    pub status: Option<Status>,
}

/// Lists the organization's webhooks by their creation.
pub async fn list(
    permit: Permit<WebhooksRead>,
    Paged(f, page): Paged<Filters>,
) -> Result<Listing<Webhook>> {
    let tx = permit.begin();
    let status = f.status.map(Status::as_str);
    let found = mine(&tx).when("w.status = {}::webhook_status", status);
    tx.page(found, COLUMNS, "w.created_at {}, w.id {}", &page)
        .await
}

/// Reads one webhook.
pub async fn read(permit: Permit<WebhooksRead>, Id(id): Id) -> Result<Data<Webhook>> {
    let tx = permit.begin();
    let query = mine(&tx).id(id).read(COLUMNS);
    let webhook: Raw<Webhook> = tx.only_one(query, Code::WebhookNotFound).await?;
    Ok(Data::raw(&webhook))
}
