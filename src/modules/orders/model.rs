//! An order, how it is made, and what comes of paying it.

use crate::http::checks;
use crate::http::types::Ident;
use crate::modules::licenses::model::BillingCycle;
use crate::modules::plans::model::Price;
use celaest_domain::billing::document::Tax;
pub use celaest_domain::billing::order::Status;
use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

/// Lines of one order.
const MAX_ITEMS: usize = 50;
/// Of one thing.
pub const MAX_QUANTITY: u32 = 100;

/// Why an order was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "OrderKind")]
pub enum Kind {
    /// Somebody bought something.
    Purchase,
    /// The next period of a subscription.
    Renewal,
    /// The rest of a period on another plan.
    PlanChange,
}

impl Kind {
    /// The database's spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Purchase => "purchase",
            Self::Renewal => "renewal",
            Self::PlanChange => "plan_change",
        }
    }
}

/// An order as the API shows it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Order {
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
    /// ISO 4217.
    pub currency: String,
    /// Net, before the discount.
    pub subtotal: f64,
    /// What came off.
    pub discount_total: f64,
    /// All taxes.
    pub tax_total: f64,
    /// What is paid: subtotal − discount + taxes.
    pub total: f64,
    /// What was paid back.
    pub refunded_total: f64,
    /// The taxes, one by one.
    pub tax_lines: Vec<Tax>,
    /// The coupon that was used.
    pub coupon_code: Option<String>,
    /// How it is paid: `stripe` or `manual`.
    pub gateway: Option<String>,
    /// Why the last attempt to pay failed, in the gateway's word.
    pub payment_error: Option<String>,
    /// The subscription whose period or change it pays.
    pub subscription_id: Option<Uuid>,
    /// The name on the invoice.
    pub billing_name: Option<String>,
    /// The tax number on the invoice.
    pub billing_tax_id: Option<String>,
    /// The address on the invoice.
    pub billing_address: Map<String, Value>,
    /// What the buyer wrote.
    pub notes: Option<String>,
    /// Until when it can be paid.
    pub expires_at: Option<String>,
    /// When it was made.
    pub created_at: String,
    /// When it last changed.
    pub updated_at: String,
    /// When it was paid.
    pub completed_at: Option<String>,
    /// When it was given up.
    pub cancelled_at: Option<String>,
    /// When the last of it was paid back.
    pub refunded_at: Option<String>,
}

/// A line of an order.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct OrderItem {
    /// Identifier.
    pub id: Uuid,
    /// The product.
    pub product_id: Option<Uuid>,
    /// The plan of the licenses that it gives.
    pub plan_id: Option<Uuid>,
    /// What it was called.
    pub name: String,
    /// How many.
    pub quantity: u32,
    /// Price of one, as it was told.
    pub unit_price: f64,
    /// Price of all, as it was told.
    pub total: f64,
    /// What came off, without taxes.
    pub discount_total: f64,
    /// What remains, without taxes.
    pub net_total: f64,
    /// The taxes on that.
    pub tax_total: f64,
    /// How often it is paid.
    pub billing_cycle: BillingCycle,
    /// The licenses that it gave.
    pub license_ids: Vec<Uuid>,
    /// The products in its buyer's hands.
    pub asset_ids: Vec<Uuid>,
}

/// Something that is ordered: a product, or a plan of the platform's.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct NewItem {
    /// A published product.
    #[serde(default)]
    pub product_id: Option<Ident>,
    /// A plan of the platform's.
    #[serde(default)]
    pub plan_id: Option<Ident>,
    /// Of a plan: `monthly` or `yearly`. A product has its own.
    #[serde(default)]
    pub billing_cycle: Option<BillingCycle>,
    /// How many. Default 1.
    #[serde(default = "one")]
    #[garde(range(min = 1, max = MAX_QUANTITY))]
    pub quantity: u32,
    /// The price of one that the buyer saw. If it is another one now the order is refused, and says so.
    #[serde(default)]
    pub unit_price: Option<Price>,
}

fn one() -> u32 {
    1
}

/// Who is on the invoice. What is left out is as the organization has it.
#[derive(Debug, Default, Clone, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
#[garde(allow_unvalidated)]
pub struct Billing {
    /// Name of the company or person.
    #[garde(custom(checks::line::<255>))]
    pub name: Option<String>,
    /// Tax number: 4 to 20 letters and digits. Its form is looked at, not whether it exists.
    #[garde(custom(is_tax_id))]
    pub tax_id: Option<String>,
    /// Street and number.
    #[garde(custom(checks::line::<255>))]
    pub address_line1: Option<String>,
    /// More of it.
    #[garde(custom(checks::line::<255>))]
    pub address_line2: Option<String>,
    /// City.
    #[garde(custom(checks::line::<100>))]
    pub city: Option<String>,
    /// State or province; taxes can depend on it.
    #[garde(custom(checks::line::<100>))]
    pub state: Option<String>,
    /// Postal code.
    #[garde(custom(checks::line::<20>))]
    pub postal_code: Option<String>,
    /// ISO 3166-1; taxes depend on it.
    #[garde(custom(checks::country))]
    pub country_code: Option<String>,
}

fn is_tax_id(value: &Option<String>, (): &()) -> garde::Result {
    let good = |text: &String| {
        let plain = text.chars().filter(|c| !matches!(c, ' ' | '-' | '.'));
        let count = plain.clone().count();
        (4..=20).contains(&count) && plain.clone().all(|c| c.is_ascii_alphanumeric())
    };
    match value.as_ref().is_none_or(good) {
        true => Ok(()),
        false => Err(garde::Error::new(
            "must be 4 to 20 letters and digits, with spaces, hyphens and dots between them",
        )),
    }
}

/// Body of `POST /api/orders`. Everything in it is of one seller and one currency.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct NewOrder {
    /// What is ordered.
    #[garde(length(min = 1, max = MAX_ITEMS), dive)]
    pub items: Vec<NewItem>,
    /// A coupon of the seller's.
    #[serde(default)]
    #[garde(custom(checks::code))]
    pub coupon_code: Option<String>,
    /// Who is on the invoice.
    #[serde(default)]
    #[garde(dive)]
    pub billing: Billing,
    /// Anything the seller should know.
    #[serde(default)]
    #[garde(length(chars, max = 2_000))]
    pub notes: Option<String>,
}

/// How something is paid.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Gateway")]
pub enum GatewayCode {
    /// By card, at Stripe.
    #[default]
    Stripe,
    /// By bank transfer, which the seller confirms.
    Manual,
}

impl GatewayCode {
    /// `payment_gateways.code`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stripe => "stripe",
            Self::Manual => "manual",
        }
    }
}

/// Body of `POST /api/orders/{id}/pay`.
#[derive(Debug, Default, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
#[garde(allow_unvalidated)]
pub struct Paying {
    /// How. Default `stripe`.
    pub gateway: GatewayCode,
    /// Keep the card for later. Always so for what is paid again and again.
    pub save_card: bool,
}

/// What the buyer does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "PaymentNext")]
pub enum Next {
    /// Confirm the payment with the client secret.
    Confirm,
    /// Transfer the money, with the reference.
    Transfer,
    /// Wait: the gateway is at work.
    Wait,
    /// Nothing: it is paid.
    Nothing,
}

/// A payment that was begun.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Payment {
    /// The order.
    pub order_id: Uuid,
    /// Where the order is in its life.
    pub status: Status,
    /// How it is paid.
    pub gateway: Option<GatewayCode>,
    /// What the buyer does next.
    pub next: Next,
    /// For the gateway's own script in the browser; stored nowhere.
    pub client_secret: Option<String>,
    /// What the gateway calls the payment.
    pub transaction_id: Option<String>,
    /// What to write on a bank transfer.
    pub reference: Option<String>,
    /// What is to be paid.
    pub amount: f64,
    /// ISO 4217.
    pub currency: String,
}

/// Body of `POST /api/orders/{id}/cancel`.
#[derive(Debug, Default, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
pub struct Cancellation {}

/// Body of `POST /api/orders/{id}/settle`.
#[derive(Debug, Default, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
#[garde(allow_unvalidated)]
pub struct Settlement {
    /// What the bank calls the transfer.
    #[garde(custom(checks::line::<200>))]
    pub reference: Option<String>,
}

/// Body of `POST /api/orders/{id}/refund`.
#[derive(Debug, Default, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
#[garde(allow_unvalidated)]
pub struct NewRefund {
    /// How much. Left out, or `null`: all that is left.
    pub amount: Option<Price>,
    /// Why, for the buyer to read.
    #[garde(custom(checks::line::<500>))]
    pub reason: Option<String>,
}

/// Where a refund is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "RefundStatus")]
pub enum RefundStatus {
    /// Asked for; the gateway has not answered.
    Requested,
    /// The gateway is at it.
    Pending,
    /// The money is on its way back. Access ends with this.
    Succeeded,
    /// It did not work.
    Failed,
    /// It was taken back.
    Canceled,
}

impl RefundStatus {
    /// The database's spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Pending => "pending",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        }
    }

    /// Later ones are told of after earlier ones, whatever order they arrive in.
    pub fn rank(self) -> u8 {
        match self {
            Self::Requested => 0,
            Self::Pending => 1,
            Self::Succeeded => 2,
            Self::Failed | Self::Canceled => 3,
        }
    }
}

/// Money that is paid back.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Refund {
    /// Identifier.
    pub id: Uuid,
    /// Of which order.
    pub order_id: Uuid,
    /// How much, in the order's currency.
    pub amount: f64,
    /// Why, in the seller's words. Null where they said nothing, as of what they paid back at the gateway itself.
    pub reason: Option<String>,
    /// Where it is in its life.
    pub status: RefundStatus,
    /// Why it failed, in the gateway's word.
    pub failure: Option<String>,
    /// When it was asked for.
    pub created_at: String,
    /// When it succeeded.
    pub succeeded_at: Option<String>,
}
