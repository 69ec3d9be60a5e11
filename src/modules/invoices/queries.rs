//! The SQL of invoices.

use crate::db::facts::Subject;
use crate::db::{Rows, Scope, Tx};
use serde_json::json;

/// The columns of [`super::model::Invoice`], from alias `v`.
pub const COLUMNS: &str = "v.id, v.invoice_number, v.kind, v.status, v.organization_id, v.seller_id, v.user_id, v.order_id,
    v.corrects_id, v.currency, v.subtotal, v.discount_total, v.tax_total, v.total, v.document, v.issued_at, v.paid_at,
    v.sent_at, v.created_at";

/// What the log and the outside learn of an invoice.
pub const INVOICE: Subject = Subject {
    kind: "invoice",
    tenant: "organization_id",
    secret: &[],
    told: Some(|invoice| json!({ "invoice": invoice })),
};

/// The invoices that the caller got.
pub fn mine(tx: &Tx) -> Rows {
    Rows::of("invoices", "v")
        .when("v.organization_id = {}::uuid", tx.scope().organization())
        .when("v.user_id = {}::uuid", tx.scope().owner())
}

/// The invoices that the caller's organization issued.
pub fn issued(tx: &Tx) -> Rows {
    let rows = Rows::of("invoices", "v").when("v.seller_id = {}::uuid", tx.scope().organization());
    match tx.scope().owner() {
        None => rows,
        Some(_) => rows.only("false"),
    }
}

/// The invoices that the caller got or issued.
pub fn both(tx: &Tx) -> Rows {
    let rows = Rows::of("invoices", "v");
    match tx.scope() {
        Scope::System => rows,
        Scope::Nobody => rows.only("false"),
        Scope::Tenant { owner: Some(_), .. } => mine(tx),
        Scope::Tenant { organization, .. } => rows.when(
            "(v.organization_id = {}::uuid OR v.seller_id = {}::uuid)",
            Some(organization),
        ),
    }
}
