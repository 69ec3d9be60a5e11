//! What is paid again and again.

use crate::http::types::Ident;
use crate::modules::licenses::model::BillingCycle;
use crate::modules::orders::model::Order;
pub use celaest_domain::billing::subscription::Status;
use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A subscription as the API shows it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields, rename = "PaidSubscription")]
pub struct Subscription {
    /// Identifier.
    pub id: Uuid,
    /// The organization that pays.
    pub organization_id: Uuid,
    /// Who ordered it, and whose card is charged.
    pub user_id: Uuid,
    /// The organization that sells.
    pub seller_id: Uuid,
    /// The product.
    pub product_id: Option<Uuid>,
    /// The plan of its licenses.
    pub plan_id: Option<Uuid>,
    /// What it is called.
    pub name: String,
    /// How many licenses.
    pub quantity: u32,
    /// Price of one for a period.
    pub unit_price: f64,
    /// ISO 4217.
    pub currency: String,
    /// How often it is paid.
    pub billing_cycle: BillingCycle,
    /// Where it is in its life.
    pub status: Status,
    /// Start of the period that is paid.
    pub current_period_start: String,
    /// Its end.
    pub current_period_end: String,
    /// It is over at the end of the period.
    pub cancel_at_period_end: bool,
    /// The plan that it has from the end of the period on.
    pub next_plan_id: Option<Uuid>,
    /// The price from then on.
    pub next_unit_price: Option<f64>,
    /// When something is done next: it is charged, tried again, or ended.
    pub next_attempt_at: Option<String>,
    /// When it was suspended.
    pub suspended_at: Option<String>,
    /// When it ended.
    pub ended_at: Option<String>,
    /// When it began.
    pub created_at: String,
    /// When it last changed.
    pub updated_at: String,
}

/// Body of `POST /api/subscriptions/{id}/cancel` and `…/resume`.
#[derive(Debug, Default, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
pub struct Nothing {}

/// Body of `POST /api/subscriptions/{id}/change-plan`.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct PlanChange {
    /// The other plan, with the same billing cycle.
    pub plan_id: Ident,
}

/// What a change of plan leads to.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Changed {
    /// The subscription. A cheaper plan begins with the next period.
    pub subscription: Subscription,
    /// What is to be paid for the rest of the period; the other plan begins when it is.
    pub order: Option<Order>,
}
