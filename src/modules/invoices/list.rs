//! `GET /api/invoices` and `GET /api/invoices/{id}`

use super::model::{Invoice, Kind, Status};
use super::queries::{COLUMNS, both, issued, mine};
use crate::db::{Key, Listing, Raw};
use crate::error::{Code, Result};
use crate::http::params::{Id, Paged};
use crate::http::permit::{InvoicesRead, Permit};
use crate::http::reply::Data;
use crate::http::types::Ident;
use crate::modules::orders::list::Side;
use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;

/// Invoices grow without end.
const KEY: Key = &[("created_at", "timestamptz"), ("id", "uuid")];

/// Filters.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(rename = "InvoiceFilters")]
pub struct Filters {
    /// For what the organization bought (default), or sold.
    #[serde(default)]
    pub side: Side,
    /// Invoices, or credit notes.
    pub kind: Option<Kind>,
    /// Where it is in its life.
    pub status: Option<Status>,
    /// Of one order.
    pub order_id: Option<Ident>,
}

/// Lists invoices and credit notes, the newest first.
pub async fn list(
    permit: Permit<InvoicesRead>,
    Paged(f, page): Paged<Filters>,
) -> Result<Listing<Invoice>> {
    let tx = permit.begin();
    let rows = match f.side {
        Side::Bought => mine(&tx),
        Side::Sold => issued(&tx),
    };
    let found = rows
        .when("v.kind = {}", f.kind.map(Kind::as_str))
        .when(
            "v.status = {}::text::invoice_status",
            f.status.map(Status::as_str),
        )
        .when("v.order_id = {}::uuid", f.order_id)
        .growing(KEY);
    tx.page(found, COLUMNS, "v.created_at {}, v.id {}", &page)
        .await
}

/// Reads one invoice.
pub async fn read(permit: Permit<InvoicesRead>, Id(id): Id) -> Result<Data<Invoice>> {
    let tx = permit.begin();
    let query = both(&tx).id(id).read(COLUMNS);
    let invoice: Raw<Invoice> = tx.only_one(query, Code::InvoiceNotFound).await?;
    Ok(Data::raw(&invoice))
}
