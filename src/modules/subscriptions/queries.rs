//! The SQL of subscriptions.

use super::model::{Status, Subscription};
use crate::db::facts::Subject;
use crate::db::{Raw, Rows, Scope, Set, Tx, sql};
use crate::error::{Code, Result};
use crate::modules::assets::queries as assets;
use crate::modules::licenses::model::BillingCycle;
use crate::modules::licenses::sold;
use crate::modules::orders::model::Kind;
use crate::modules::orders::pricing::Address;
use crate::modules::orders::queries::record_for_both;
use celaest_domain::billing::money::Currency;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

/// The columns of [`Subscription`], from alias `s`.
pub const COLUMNS: &str = "s.id, s.organization_id, s.user_id, s.seller_id, s.product_id, s.plan_id, s.name, s.quantity,
    s.unit_price, s.currency, s.billing_cycle, s.status, s.current_period_start, s.current_period_end,
    s.cancel_at_period_end, s.next_plan_id, s.next_unit_price, s.next_attempt_at, s.suspended_at, s.ended_at,
    s.created_at, s.updated_at";

/// The status of the order that pays for subscription `s` now: its last renewal that was paid, or the order `o` that it
/// began with. Of what is no subscription it is the status of `o`.
pub const PAID_BY: &str =
    "coalesce((SELECT r.status FROM orders r WHERE r.subscription_id = s.id AND r.kind = 'renewal'
    AND r.completed_at IS NOT NULL ORDER BY r.completed_at DESC LIMIT 1), o.status)";

/// What the log and the outside learn of a subscription.
pub const SUBSCRIPTION: Subject = Subject {
    kind: "subscription",
    tenant: "organization_id",
    secret: &[],
    told: Some(|subscription| json!({ "subscription": subscription })),
};

/// The subscriptions that the caller pays.
pub fn mine(tx: &Tx) -> Rows {
    Rows::of("subscriptions", "s")
        .when("s.organization_id = {}::uuid", tx.scope().organization())
        .when("s.user_id = {}::uuid", tx.scope().owner())
}

/// The subscriptions that the caller's organization sold.
pub fn sold(tx: &Tx) -> Rows {
    let rows =
        Rows::of("subscriptions", "s").when("s.seller_id = {}::uuid", tx.scope().organization());
    match tx.scope().owner() {
        None => rows,
        Some(_) => rows.only("false"),
    }
}

/// The subscriptions that the caller pays or sold.
pub fn both(tx: &Tx) -> Rows {
    match tx.scope() {
        Scope::System => Rows::of("subscriptions", "s"),
        Scope::Nobody => Rows::of("subscriptions", "s").only("false"),
        Scope::Tenant { owner: Some(_), .. } => mine(tx),
        Scope::Tenant { organization, .. } => Rows::of("subscriptions", "s").when(
            "(s.organization_id = {}::uuid OR s.seller_id = {}::uuid)",
            Some(organization),
        ),
    }
}

/// A subscription with what rules look at.
#[derive(Debug, Deserialize)]
pub struct Locked {
    /// The row.
    pub row: Raw<Subscription>,
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
    /// The organization that pays.
    pub organization_id: Uuid,
    /// Whose card is charged.
    pub user_id: Uuid,
    /// Who sells.
    pub seller_id: Uuid,
    /// The line that it began with.
    pub order_item_id: Uuid,
    /// The product.
    pub product_id: Option<Uuid>,
    /// The plan.
    pub plan_id: Option<Uuid>,
    /// What it is called.
    pub name: String,
    /// How many licenses.
    pub quantity: u32,
    price: String,
    next_price: Option<String>,
    /// The plan from the next period on.
    pub next_plan_id: Option<Uuid>,
    /// What that is called.
    pub next_name: Option<String>,
    /// Its currency.
    pub currency: Currency,
    /// How often it is paid.
    pub billing_cycle: BillingCycle,
    /// Where it is.
    pub status: Status,
    /// Start of the period that is paid.
    pub current_period_start: DateTime<Utc>,
    /// Its end.
    pub current_period_end: DateTime<Utc>,
    /// It is over then.
    pub cancel_at_period_end: bool,
    /// When something is done next.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// When a payment of the next period failed first.
    pub first_failed_at: Option<DateTime<Utc>>,
    /// When it was suspended.
    pub suspended_at: Option<DateTime<Utc>>,
    /// When it began.
    pub created_at: DateTime<Utc>,
    /// Who is on the invoices, as the first order has it.
    pub billing_name: Option<String>,
    /// Their tax number.
    pub billing_tax_id: Option<String>,
    /// Their address.
    pub billing_address: Option<Address>,
}

impl Parts {
    /// Price of one, in minor units.
    pub fn unit_price(&self) -> i64 {
        self.currency.minor(&self.price).unwrap_or(0)
    }

    /// Price of one in the next period, in minor units.
    pub fn next_unit_price(&self) -> i64 {
        let next = self.next_price.as_deref();
        next.and_then(|text| self.currency.minor(text))
            .unwrap_or_else(|| self.unit_price())
    }
}

const PARTS: &str = "s.id, s.organization_id, s.user_id, s.seller_id, s.order_item_id, s.product_id, s.plan_id, s.name,
    s.quantity, s.unit_price::text AS price, s.next_unit_price::text AS next_price, s.next_plan_id,
    (SELECT p.name FROM subscription_plans p WHERE p.id = s.next_plan_id) AS next_name, s.currency,
    s.billing_cycle, s.status, s.current_period_start, s.current_period_end, s.cancel_at_period_end, s.next_attempt_at,
    s.first_failed_at, s.suspended_at, s.created_at, b.billing_name, b.billing_tax_id, b.billing_address";

fn columns() -> String {
    format!(
        "(SELECT row_to_json(a) FROM (SELECT {COLUMNS}) AS a) AS row,
         (SELECT row_to_json(p) FROM (SELECT {PARTS} FROM order_items i JOIN orders b ON b.id = i.order_id
           WHERE i.id = s.order_item_id) AS p) AS parts"
    )
}

/// One of these subscriptions, held until the transaction ends.
///
/// # Errors
/// 404 when it is not among them.
pub async fn lock(tx: &mut Tx, among: Rows, id: Uuid) -> Result<Locked> {
    let query = among.id(id).lock(&columns());
    tx.one(query, Code::SubscriptionNotFound).await
}

/// Changes a subscription, and writes down what happened: for whoever pays, and where it is the system that does it
/// for whoever sells.
///
/// # Errors
/// 404 when it is gone.
pub async fn change(
    tx: &mut Tx,
    before: &Locked,
    event: &'static str,
    set: Set,
) -> Result<Raw<Subscription>> {
    let query = Rows::of("subscriptions", "s")
        .when("s.organization_id = {}::uuid", Some(before.organization_id))
        .id(before.id)
        .set(set, COLUMNS);
    let after: Raw<Subscription> = tx.one(query, Code::SubscriptionNotFound).await?;
    let seller = Some(before.seller_id).filter(|_| matches!(tx.scope(), Scope::System));
    let sides = (before.organization_id, seller);
    record_for_both(
        tx,
        &SUBSCRIPTION,
        event,
        sides,
        (&before.row.tree(), &after.tree()),
    );
    Ok(after)
}

#[derive(Deserialize)]
struct License {
    license_id: Uuid,
}

/// The licenses of a subscription.
///
/// # Errors
/// When the database fails.
pub async fn licenses(tx: &mut Tx, subscription: &Parts) -> Result<Vec<Uuid>> {
    let query = Rows::of("order_grants", "g")
        .when(
            "g.organization_id = {}::uuid",
            Some(subscription.organization_id),
        )
        .when(
            "g.order_item_id = {}::uuid",
            Some(subscription.order_item_id),
        )
        .only("g.license_id IS NOT NULL")
        .read("g.license_id");
    let found: Vec<License> = tx.rows(query).await?;
    let mut ids: Vec<_> = found.into_iter().map(|one| one.license_id).collect();
    ids.sort_unstable();
    Ok(ids)
}

/// The order that is to be paid for a subscription: for its next period, or for another plan.
#[derive(Debug, Deserialize)]
pub struct Open {
    /// Of the order.
    pub id: Uuid,
    /// Which of them.
    pub kind: Kind,
}

/// The oldest order that is still to be paid for a subscription.
///
/// # Errors
/// When the database fails.
pub async fn open_order(tx: &mut Tx, subscription: &Parts) -> Result<Option<Open>> {
    tx.row(
        sql("SELECT o.id, o.kind FROM orders o WHERE o.subscription_id = $1::uuid AND o.organization_id = $2::uuid
               AND o.status IN ('pending', 'processing', 'failed') ORDER BY o.created_at LIMIT 1")
        .bind(subscription.id)
        .bind(subscription.organization_id),
    )
    .await
}

/// What a subscription gave ends at `until`, on another plan if one is given; `billed_again` says whether it is charged
/// after that. Returns the keys of its licenses.
///
/// # Errors
/// When the database fails.
pub async fn redate(
    tx: &mut Tx,
    subscription: &Parts,
    until: DateTime<Utc>,
    plan: Option<Uuid>,
    billed_again: bool,
) -> Result<Vec<String>> {
    let mut keys = Vec::new();
    for license in licenses(tx, subscription).await? {
        keys.extend(sold::redate(tx, license, until, plan, billed_again).await?);
    }
    redate_assets(tx, subscription, until).await?;
    Ok(keys)
}

/// What a subscription gave without a license ends at `until`: the rest ends with its license.
///
/// # Errors
/// When the database fails.
pub async fn redate_assets(tx: &mut Tx, subscription: &Parts, until: DateTime<Utc>) -> Result<()> {
    let (organization, item) = (subscription.organization_id, subscription.order_item_id);
    assets::redate(tx, organization, item, until).await
}
