//! The SQL of orders.

use super::model::{Kind, Order, Refund, RefundStatus, Status};
use crate::db::facts::{Fact, Subject, without};
use crate::db::{Raw, Rows, Scope, Tx, sql};
use crate::error::{Code, Error, Result};
use celaest_domain::billing::document::Tax;
use celaest_domain::billing::money::Currency;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

/// The columns of [`Order`], from alias `o`.
pub const COLUMNS: &str = "o.id, o.order_number, o.organization_id, o.seller_id, o.user_id, o.kind, o.status, o.currency,
    o.subtotal, o.discount_total, o.tax_total, o.total, o.refunded_total, o.tax_lines, o.coupon_code,
    (SELECT g.code FROM payment_gateways g WHERE g.id = o.gateway_id) AS gateway, o.payment_error, o.subscription_id,
    o.billing_name, o.billing_tax_id, o.billing_address, o.notes, o.expires_at, o.created_at, o.updated_at,
    o.completed_at, o.cancelled_at, o.refunded_at";

/// The columns of [`super::model::OrderItem`], from alias `i`.
pub const ITEM_COLUMNS: &str =
    "i.id, i.product_id, i.plan_id, i.name, i.quantity, i.unit_price, i.total, i.discount_total,
    i.net_total, i.tax_total, i.billing_cycle,
    (SELECT coalesce(json_agg(g.license_id ORDER BY g.position), '[]') FROM order_grants g
      WHERE g.order_item_id = i.id AND g.license_id IS NOT NULL) AS license_ids,
    (SELECT coalesce(json_agg(g.asset_id ORDER BY g.position), '[]') FROM order_grants g
      WHERE g.order_item_id = i.id AND g.asset_id IS NOT NULL) AS asset_ids";

/// The columns of [`Refund`], from alias `r`.
pub const REFUND_COLUMNS: &str =
    "r.id, r.order_id, r.amount, r.reason, r.status, r.failure, r.created_at, r.succeeded_at";

/// What the log and the outside learn of an order: the outside not what the buyer wrote to the seller.
pub const ORDER: Subject = Subject {
    kind: "order",
    tenant: "organization_id",
    secret: &[],
    told: Some(|order| json!({ "order": without(order, &["notes"]) })),
};

/// [`ORDER`] for what only the log learns: that somebody tries to pay.
const ATTEMPT: Subject = Subject {
    kind: "order",
    tenant: "organization_id",
    secret: &[],
    told: None,
};

/// What the log learns of a refund.
pub const REFUND: Subject = Subject {
    kind: "refund",
    tenant: "organization_id",
    secret: &[],
    told: None,
};

/// The orders that the caller made, or their organization.
pub fn mine(tx: &Tx) -> Rows {
    Rows::of("orders", "o")
        .when("o.organization_id = {}::uuid", tx.scope().organization())
        .when("o.user_id = {}::uuid", tx.scope().owner())
}

/// The orders that the caller's organization sold. Nobody with the role `client` sells.
pub fn sold(tx: &Tx) -> Rows {
    let rows = Rows::of("orders", "o").when("o.seller_id = {}::uuid", tx.scope().organization());
    match tx.scope().owner() {
        None => rows,
        Some(_) => rows.only("false"),
    }
}

/// The orders that the caller made or sold.
pub fn both(tx: &Tx) -> Rows {
    let rows = Rows::of("orders", "o");
    match tx.scope() {
        Scope::System => rows,
        Scope::Nobody => rows.only("false"),
        Scope::Tenant { owner: Some(_), .. } => mine(tx),
        Scope::Tenant { organization, .. } => rows.when(
            "(o.organization_id = {}::uuid OR o.seller_id = {}::uuid)",
            Some(organization),
        ),
    }
}

/// An order with what rules look at. Amounts are minor units.
#[derive(Debug)]
pub struct Locked {
    /// The row.
    pub row: Raw<Order>,
    /// What rules look at.
    pub parts: Parts,
}

impl std::ops::Deref for Locked {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.parts
    }
}

/// The parts of [`Locked`].
#[derive(Debug, Clone, Deserialize)]
pub struct Parts {
    /// Identifier.
    pub id: Uuid,
    /// `ORD-YYYY-XXXXXX`.
    pub order_number: String,
    /// The organization that buys.
    pub organization_id: Uuid,
    /// The organization that sells.
    pub seller_id: Option<Uuid>,
    /// Who ordered.
    pub user_id: Uuid,
    /// Why it was made.
    pub kind: Kind,
    /// Where it is in its life.
    pub status: Status,
    /// Its currency.
    pub currency: Currency,
    total_text: String,
    refunded_text: String,
    /// The gateway's code.
    pub gateway: Option<String>,
    /// What the gateway calls the payment.
    pub transaction: Option<String>,
    /// Payments that were begun.
    pub payments_begun: i64,
    /// The subscription that it pays.
    pub subscription_id: Option<Uuid>,
    /// Until when it can be paid.
    pub expires_at: Option<DateTime<Utc>>,
    /// The taxes.
    pub tax_lines: Vec<Tax>,
    /// What a payment that was begun was begun with.
    pub payment: Option<Value>,
    /// What its subscription was to become before a dearer plan was chosen.
    pub chosen_before: Option<Chosen>,
    /// Something in it is paid again and again.
    pub recurs: bool,
}

/// A plan that was chosen for the next period of a subscription.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Chosen {
    /// The plan.
    pub plan: Uuid,
    /// Price of one, in major units.
    pub unit_price: String,
}

/// The columns of [`Parts`], from alias `o`.
const PARTS: &str = "o.id, o.order_number, o.organization_id, o.seller_id, o.user_id, o.kind, o.status, o.currency,
    o.total::text AS total_text, o.refunded_total::text AS refunded_text,
    (SELECT g.code FROM payment_gateways g WHERE g.id = o.gateway_id) AS gateway,
    o.gateway_transaction_id AS transaction, o.payments_begun, o.subscription_id, o.expires_at, o.tax_lines,
    o.metadata->'payment' AS payment, o.metadata->'chosen_before' AS chosen_before,
    EXISTS (SELECT 1 FROM order_items i WHERE i.order_id = o.id AND i.billing_cycle <> 'lifetime') AS recurs";

impl Parts {
    /// What is paid, in minor units.
    pub fn total(&self) -> i64 {
        self.currency.minor(&self.total_text).unwrap_or(0)
    }

    /// What was paid back, in minor units.
    pub fn refunded(&self) -> i64 {
        self.currency.minor(&self.refunded_text).unwrap_or(0)
    }

    /// Who sells.
    ///
    /// # Errors
    /// A defect: nothing is sold by nobody.
    pub fn seller(&self) -> Result<Uuid> {
        self.seller_id
            .ok_or_else(|| Error::internal("an order without a seller"))
    }
}

#[derive(Deserialize)]
struct Both {
    row: Raw<Order>,
    parts: Parts,
}

/// What both halves of [`Locked`] are made of.
fn columns() -> String {
    format!(
        "(SELECT row_to_json(a) FROM (SELECT {COLUMNS}) AS a) AS row, (SELECT row_to_json(b) FROM (SELECT {PARTS}) AS b) AS parts"
    )
}

impl From<Both> for Locked {
    fn from(Both { row, parts }: Both) -> Self {
        Self { row, parts }
    }
}

/// One of these orders, held until the transaction ends.
///
/// # Errors
/// 404 when it is not among them.
pub async fn lock(tx: &mut Tx, among: Rows, id: Uuid) -> Result<Locked> {
    let query = among.id(id).lock(&columns());
    let both: Both = tx.one(query, Code::OrderNotFound).await?;
    Ok(both.into())
}

/// [`lock`] without holding it.
///
/// # Errors
/// As [`lock`].
pub async fn peek(tx: &mut Tx, among: Rows, id: Uuid) -> Result<Locked> {
    let query = among.id(id).read(&columns());
    let both: Both = tx.one(query, Code::OrderNotFound).await?;
    Ok(both.into())
}

/// The order whose payment the gateway calls so, held until the transaction ends; or the one that the
/// payment itself names.
///
/// # Errors
/// When the database fails.
pub async fn find(tx: &mut Tx, transaction: &str, named: Option<Uuid>) -> Result<Option<Locked>> {
    let by_transaction = Rows::of("orders", "o")
        .when("o.gateway_transaction_id = {}", Some(transaction))
        .lock(&columns());
    let mut found: Option<Both> = tx.row(by_transaction).await?;
    if found.is_none() && named.is_some() {
        let by_name = Rows::of("orders", "o")
            .when("o.id = {}::uuid", named)
            .lock(&columns());
        found = tx.row(by_name).await?;
    }
    Ok(found.map(Into::into))
}

/// Changes an order in the state that was looked at, and reads it.
///
/// # Errors
/// 404 when it is gone.
pub async fn set(tx: &mut Tx, order: &Parts, set: crate::db::Set) -> Result<Raw<Order>> {
    let query = Rows::of("orders", "o")
        .when("o.organization_id = {}::uuid", Some(order.organization_id))
        .id(order.id)
        .set(set, COLUMNS);
    tx.one(query, Code::OrderNotFound).await
}

/// Reads one order of the caller's, bought or sold.
///
/// # Errors
/// 404 when there is none.
pub async fn read(tx: Tx, id: Uuid) -> Result<Raw<Order>> {
    let query = both(&tx).id(id).read(COLUMNS);
    tx.only_one(query, Code::OrderNotFound).await
}

/// Writes down what came of an attempt to pay.
pub fn note(tx: &mut Tx, order: &Locked, event: &'static str, after: &Raw<Order>) {
    tx.record_change(&ATTEMPT, event, &order.row, after);
}

/// Writes down what happened to an order, for whoever bought and for whoever sold; in a transaction of the system.
pub fn record(tx: &mut Tx, order: &Locked, event: &'static str, after: &Raw<Order>) {
    let sides = (order.organization_id, order.seller_id);
    record_for_both(tx, &ORDER, event, sides, (&order.row.tree(), &after.tree()));
}

/// Writes down what happened to a thing, from `before` to `after`, for whoever bought it and for whoever sold it; in
/// a transaction of the system.
pub fn record_for_both(
    tx: &mut Tx,
    subject: &Subject,
    event: &'static str,
    (buyer, seller): (Uuid, Option<Uuid>),
    (before, after): (&Value, &Value),
) {
    let Some(fact) = subject.fact(event, before, after) else {
        return;
    };
    let seller = seller.filter(|seller| *seller != buyer);
    if let Some(seller) = seller {
        tx.record(Fact {
            organization_id: Some(seller),
            ..fact.clone()
        });
    }
    tx.record(fact);
}

/// A refund with what rules look at.
#[derive(Debug, Clone, Deserialize)]
pub struct LockedRefund {
    /// Identifier.
    pub id: Uuid,
    /// Of which order.
    pub order_id: Uuid,
    amount_text: String,
    /// Where it is in its life.
    pub status: RefundStatus,
    /// What the gateway calls it.
    pub gateway_refund_id: Option<String>,
    /// Why it failed.
    pub failure: Option<String>,
}

impl LockedRefund {
    /// How much, in minor units of the order's currency.
    pub fn amount(&self, currency: Currency) -> i64 {
        currency.minor(&self.amount_text).unwrap_or(0)
    }
}

/// A refund of an order, by our id or by the gateway's, held until the transaction ends.
///
/// # Errors
/// When the database fails.
pub async fn lock_refund(
    tx: &mut Tx,
    order: &Parts,
    id: Option<Uuid>,
    theirs: Option<&str>,
) -> Result<Option<LockedRefund>> {
    tx.row(
        sql("SELECT r.id, r.order_id, r.amount::text AS amount_text, r.status, r.gateway_refund_id, r.failure
             FROM refunds r WHERE r.order_id = $1::uuid AND r.organization_id = $2::uuid
               AND (r.gateway_refund_id = $3 OR (r.id = $4::uuid AND ($3 IS NULL OR r.gateway_refund_id IS NULL)))
             FOR NO KEY UPDATE")
        .bind(order.id)
        .bind(order.organization_id)
        .bind(theirs)
        .bind(id),
    )
    .await
}

/// The refunds of an order that the caller bought or sold, as the API shows them.
pub fn refunds(tx: &Tx, id: Uuid) -> Rows {
    let rows = Rows::of("refunds", "r");
    let rows = match tx.scope() {
        Scope::System => rows,
        Scope::Nobody => rows.only("false"),
        Scope::Tenant { organization, .. } => rows.when(
            "(r.organization_id = {}::uuid OR r.seller_id = {}::uuid)",
            Some(organization),
        ),
    };
    rows.within(both(tx).id(id), "r.order_id", Code::OrderNotFound)
}

/// A refund as the API shows it.
///
/// # Errors
/// When it is gone.
pub async fn read_refund(tx: &mut Tx, id: Uuid) -> Result<Raw<Refund>> {
    let query = Rows::of("refunds", "r").id(id).read(REFUND_COLUMNS);
    tx.one(query, Code::NotFound).await
}
