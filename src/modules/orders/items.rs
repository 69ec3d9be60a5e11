//! `GET /api/orders/{id}/items` and `GET /api/orders/{id}/refunds`

use super::model::{OrderItem, Refund};
use super::queries::{self, ITEM_COLUMNS, REFUND_COLUMNS, both};
use crate::db::{Listing, Rows};
use crate::error::{Code, Result};
use crate::http::params::{Id, Paged};
use crate::http::permit::{OrdersRead, Permit};
use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;

/// Nothing to filter by.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "OrderPartFilters")]
pub struct Filters {}

/// The lines of an order, with what they gave.
pub async fn items(
    permit: Permit<OrdersRead>,
    Id(id): Id,
    Paged(Filters {}, page): Paged<Filters>,
) -> Result<Listing<OrderItem>> {
    let tx = permit.begin();
    let found =
        Rows::of("order_items", "i").within(both(&tx).id(id), "i.order_id", Code::OrderNotFound);
    tx.page(
        found,
        ITEM_COLUMNS,
        "i.position {}, i.id {}",
        &page.rising(),
    )
    .await
}

/// What was paid back of an order.
pub async fn refunds(
    permit: Permit<OrdersRead>,
    Id(id): Id,
    Paged(Filters {}, page): Paged<Filters>,
) -> Result<Listing<Refund>> {
    let tx = permit.begin();
    let found = queries::refunds(&tx, id);
    tx.page(found, REFUND_COLUMNS, "r.created_at {}, r.id {}", &page)
        .await
}
