//! A saved card: only what is shown of it is kept here.

use crate::http::checks;
use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A saved card.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct PaymentMethod {
    /// Identifier.
    pub id: Uuid,
    /// The organization that it pays for.
    pub organization_id: Uuid,
    /// Whose it is.
    pub user_id: Uuid,
    /// `card`, or another kind.
    #[serde(rename = "type")]
    pub kind: String,
    /// Visa, Mastercard, ….
    pub card_brand: Option<String>,
    /// The last four digits.
    pub card_last4: Option<String>,
    /// The month in which it expires.
    pub card_exp_month: Option<i64>,
    /// The year in which it expires.
    pub card_exp_year: Option<i64>,
    /// Subscriptions are charged to it.
    pub is_default: bool,
    /// When it was saved.
    pub created_at: String,
}

/// Body of `POST /api/payment-methods`: nothing to begin with, and what was set up to end with.
#[derive(Debug, Default, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
#[garde(allow_unvalidated)]
pub struct NewPaymentMethod {
    /// What the gateway calls the set-up that the buyer confirmed. Left out: a new one is begun.
    #[garde(custom(checks::code))]
    pub setup_id: Option<String>,
}

/// A card that is being saved.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct CardSetup {
    /// What the gateway calls it.
    pub setup_id: String,
    /// For the gateway's own script in the browser; stored nowhere. None once the card is saved.
    pub client_secret: Option<String>,
    /// The card, once it is saved.
    pub payment_method: Option<PaymentMethod>,
}

/// Body of `POST /api/payment-methods/{id}/default`.
#[derive(Debug, Default, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
pub struct Preference {}
