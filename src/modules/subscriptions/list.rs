//! `GET /api/subscriptions` and `GET /api/subscriptions/{id}`

use super::model::{Status, Subscription};
use super::queries::{COLUMNS, both, mine, sold};
use crate::db::{Listing, Raw};
use crate::error::{Code, Result};
use crate::http::params::{Id, Paged};
use crate::http::permit::{OrdersRead, Permit};
use crate::http::reply::Data;
use crate::modules::orders::list::Side;
use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;

/// Filters.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(rename = "SubscriptionFilters")]
pub struct Filters {
    /// What the organization pays (default), or sold.
    #[serde(default)]
    pub side: Side,
    /// Where it is in its life.
    pub status: Option<Status>,
}

/// Lists subscriptions, the newest first.
pub async fn list(
    permit: Permit<OrdersRead>,
    Paged(f, page): Paged<Filters>,
) -> Result<Listing<Subscription>> {
    let tx = permit.begin();
    let rows = match f.side {
        Side::Bought => mine(&tx),
        Side::Sold => sold(&tx),
    };
    let found = rows.when("s.status = {}", f.status.map(Status::as_str));
    tx.page(found, COLUMNS, "s.created_at {}, s.id {}", &page)
        .await
}

/// Reads one subscription.
pub async fn read(permit: Permit<OrdersRead>, Id(id): Id) -> Result<Data<Subscription>> {
    let tx = permit.begin();
    let query = both(&tx).id(id).read(COLUMNS);
    let one: Raw<Subscription> = tx.only_one(query, Code::SubscriptionNotFound).await?;
    Ok(Data::raw(&one))
}
