//! `POST /api/invoices/{id}/send`

use super::model::{Invoice, Sending};
use super::queries::{COLUMNS, INVOICE, mine};
use crate::db::{Raw, Set};
use crate::error::Code;
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::idempotency::Once;
use crate::http::params::Id;
use crate::http::permit::{InvoicesSend, Permit};
use crate::http::reply::Accepted;
use crate::modules::payments::mails;
use serde_json::json;

/// Sends an invoice by e-mail to whoever ordered.
pub async fn send(
    permit: Permit<InvoicesSend>,
    Id(id): Id,
    Once(key, Body(Sending {})): Once<Body<Sending>>,
) -> Outcome<Accepted<Invoice>> {
    let mut tx = permit.begin_once(key).await?;
    let rows = mine(&tx).only("v.invoice_number IS NOT NULL");
    let before: Raw<Invoice> = tx
        .one(rows.clone().id(id).lock(COLUMNS), Code::InvoiceNotFound)
        .await?;
    let set = Set::new().fixed("sent_at = now()");
    let after: Raw<Invoice> = tx
        .one(rows.id(id).set(set, COLUMNS), Code::InvoiceNotFound)
        .await?;
    tx.record_change(&INVOICE, "invoice.sent", &before, &after);
    let invoice = after.tree();
    let uuid = |name: &str| {
        invoice[name]
            .as_str()
            .and_then(|id| id.parse().ok())
            .unwrap_or_default()
    };
    let data = json!({
        "invoice_number": invoice["invoice_number"], "order_number": invoice["document"]["order_number"],
        "total": invoice["document"]["total"], "currency": invoice["currency"], "invoice_id": id,
    });
    mails::post(
        &mut tx,
        uuid("organization_id"),
        uuid("user_id"),
        "invoice",
        data,
    )
    .await?;
    permit.commit(tx, Accepted::raw(&after)).await
}
