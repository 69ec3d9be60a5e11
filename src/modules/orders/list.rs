//! `GET /api/orders`

use super::model::{Order, Status};
use super::queries::{COLUMNS, mine, sold};
use crate::db::{Key, Listing};
use crate::error::Result;
use crate::http::params::Paged;
use crate::http::permit::{OrdersRead, Permit};
use crate::http::types::Moment;
use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;

/// Orders grow without end.
const KEY: Key = &[("created_at", "timestamptz"), ("id", "uuid")];

/// Which side of the counter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "OrderSide")]
pub enum Side {
    /// What the organization bought.
    #[default]
    Bought,
    /// What it sold.
    Sold,
}

/// Filters.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(rename = "OrderFilters")]
pub struct Filters {
    /// What the organization bought (default), or what it sold.
    #[serde(default)]
    pub side: Side,
    /// Where it is in its life.
    pub status: Option<Status>,
    /// Made then or later.
    pub created_after: Option<Moment>,
    /// Made before.
    pub created_before: Option<Moment>,
}

/// Lists orders, the newest first.
pub async fn list(
    permit: Permit<OrdersRead>,
    Paged(f, page): Paged<Filters>,
) -> Result<Listing<Order>> {
    let tx = permit.begin();
    let rows = match f.side {
        Side::Bought => mine(&tx),
        Side::Sold => sold(&tx),
    };
    let found = rows
        .when(
            "o.status = {}::text::order_status",
            f.status.map(Status::as_str),
        )
        .when("o.created_at >= {}::timestamptz", f.created_after)
        .when("o.created_at < {}::timestamptz", f.created_before)
        .growing(KEY);
    tx.page(found, COLUMNS, "o.created_at {}, o.id {}", &page)
        .await
}
