//! Where what a gateway says of an order and what we say differ. `GET /api/payment-differences`

use crate::db::{Key, Listing, Rows, sql};
use crate::error::Result;
use crate::http::params::Paged;
use crate::http::permit::{Permit, SystemRead};
use crate::http::types::Ident;
use crate::run::Run;
use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::fmt::Display;
use uuid::Uuid;

/// One that was found just now.
#[derive(Debug, Serialize)]
pub struct Difference {
    kind: &'static str,
    ours: String,
    theirs: String,
}

impl Difference {
    /// What differs, by name, and the two sides of it.
    pub fn new(kind: &'static str, ours: impl Display, theirs: impl Display) -> Self {
        Self {
            kind,
            ours: ours.to_string(),
            theirs: theirs.to_string(),
        }
    }
}

/// Writes down what an order differs in now, and that nothing else does any more. What is new is an event of the
/// system too.
///
/// # Errors
/// When the database fails.
pub async fn write(run: &Run, order: Uuid, found: &[Difference]) -> Result<()> {
    let query = sql(
        "WITH found AS (
           SELECT DISTINCT ON (f.kind) f.* FROM jsonb_to_recordset($2::jsonb) AS f(kind text, ours text, theirs text)
           ORDER BY f.kind, f.theirs
         ), compared AS (
           UPDATE orders SET compared_at = now() WHERE id = $1::uuid
         ), settled AS (
           UPDATE payment_differences SET resolved_at = now()
           WHERE order_id = $1::uuid AND resolved_at IS NULL AND kind NOT IN (SELECT kind FROM found)
         ), noted AS (
           INSERT INTO payment_differences AS d (order_id, kind, ours, theirs)
           SELECT $1::uuid, kind, left(ours, 255), left(theirs, 255) FROM found
           ON CONFLICT (order_id, kind) DO UPDATE SET ours = excluded.ours, theirs = excluded.theirs, resolved_at = NULL,
             found_at = now()
           WHERE d.resolved_at IS NOT NULL OR (d.ours, d.theirs) IS DISTINCT FROM (excluded.ours, excluded.theirs)
           RETURNING d.kind, d.ours, d.theirs)
         INSERT INTO system_events (event_type, severity, source, message, details)
         SELECT 'payment.difference', 'error', 'stripe', kind, json_build_object('order_id', $1, 'ours', ours, 'theirs', theirs)
         FROM noted",
    );
    let query = query.bind(order).bind(json!(found));
    run.begin().only_execute(query).await
}

/// Notes that an order was looked at, whatever could be said of it.
///
/// # Errors
/// When the database fails.
pub async fn looked_at(run: &Run, order: Uuid) -> Result<()> {
    let query = sql("UPDATE orders SET compared_at = now() WHERE id = $1::uuid");
    run.begin().only_execute(query.bind(order)).await
}

/// A difference between a gateway and us.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct PaymentDifference {
    /// Identifier.
    pub id: Uuid,
    /// The order.
    pub order_id: Uuid,
    /// What differs: `amount`, `completed_and_not_paid`, `cancelled_and_paid`, `paid_and_not_taken`, `payment_unknown`,
    /// `refunded`, `refund` or `dispute`.
    pub kind: String,
    /// What we say; amounts in minor units.
    pub ours: Option<String>,
    /// What the gateway says.
    pub theirs: Option<String>,
    /// When it was found, or changed.
    pub found_at: String,
    /// When it was gone.
    pub resolved_at: Option<String>,
}

const COLUMNS: &str = "d.id, d.order_id, d.kind, d.ours, d.theirs, d.found_at, d.resolved_at";
/// Differences are never deleted.
const KEY: Key = &[("found_at", "timestamptz"), ("id", "uuid")];

/// Filters.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(rename = "PaymentDifferenceFilters")]
pub struct Filters {
    /// Only those that are there still, or only the others.
    pub open: Option<bool>,
    /// Of one order.
    pub order_id: Option<Ident>,
}

/// Lists where a gateway and we differ, the newest first.
pub async fn list(
    permit: Permit<SystemRead>,
    Paged(f, page): Paged<Filters>,
) -> Result<Listing<PaymentDifference>> {
    let found = Rows::of("payment_differences", "d")
        .when("(d.resolved_at IS NULL) = {}::boolean", f.open)
        .when("d.order_id = {}::uuid", f.order_id)
        .growing(KEY);
    let tx = permit.begin();
    tx.page(found, COLUMNS, "d.found_at {}, d.id {}", &page)
        .await
}
