//! What every gateway can do. A new one is a row of `payment_gateways`, a file with this trait, and a line in
//! [`of`].

use super::facts::Fact;
use super::manual::Manual;
use super::stripe::Stripe;
use crate::config::Config;
use crate::error::{Code, Error, Result};
use celaest_domain::billing::money::Currency;
use futures_util::future::LocalBoxFuture;
use serde_json::json;
use uuid::Uuid;

/// What is to be paid.
#[derive(Debug, Clone)]
pub struct Due {
    /// The order.
    pub order_id: Uuid,
    /// What people call it.
    pub order_number: String,
    /// Minor units.
    pub amount: i64,
    /// Of the amount.
    pub currency: Currency,
    /// The payment is the order's so-and-so-manieth: each has an idempotency key of its own.
    pub attempt: i64,
    /// Who the buyer is at the gateway.
    pub customer: Option<String>,
    /// Keep the card for payments without the buyer.
    pub save_card: bool,
    /// Charge this saved card now, without the buyer.
    pub off_session: Option<String>,
}

/// Where a payment is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Somebody has to do something: the buyer, or whoever waits for a transfer.
    Open,
    /// The gateway is at it.
    UnderWay,
    /// The money is there.
    Succeeded,
    /// This attempt failed.
    Failed {
        /// Why, in the gateway's word.
        code: String,
        /// No further attempt with the same card can succeed.
        is_final: bool,
    },
    /// It was given up.
    Cancelled,
}

/// A payment at the gateway.
#[derive(Debug, Clone)]
pub struct Payment {
    /// What the gateway calls it.
    pub id: Option<String>,
    /// For the buyer's browser; stored nowhere.
    pub client_secret: Option<String>,
    /// Where it is.
    pub state: State,
    /// Minor units that arrived.
    pub received: i64,
    /// Of the amounts.
    pub currency: Option<Currency>,
}

/// Money on its way back.
#[derive(Debug, Clone)]
pub struct PaidBack {
    /// What the gateway calls it.
    pub id: Option<String>,
    /// The gateway's own word: `pending`, `succeeded`, `failed`, ….
    pub status: String,
    /// Why it failed.
    pub failure: Option<String>,
}

/// Why a gateway does not do what it is asked.
#[derive(Debug, Clone)]
pub enum Failed {
    /// It refused.
    Refused {
        /// Why, in its word.
        code: String,
        /// No further attempt with the same card can succeed.
        is_final: bool,
        /// The payment that it was about, if there is one now.
        payment: Option<String>,
    },
    /// Nobody knows whether it was done: ask again with the same words.
    Away(String),
}

impl From<Failed> for Error {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Refused { code, .. } => {
                Error::new(Code::PaymentRefused).with_details(json!({ "code": code }))
            }
            Failed::Away(cause) => Error::unavailable(cause),
        }
    }
}

/// What comes of asking.
pub type Answered<'a, T> = LocalBoxFuture<'a, std::result::Result<T, Failed>>;

/// A way to pay.
pub trait Gateway {
    /// Begins a payment. Asked again with the same words it is the same payment.
    fn begin<'a>(&'a self, due: &'a Due) -> Answered<'a, Payment>;
    /// Where a payment is.
    fn look<'a>(&'a self, id: &'a str) -> Answered<'a, Payment>;
    /// Charges the saved card again for a payment that failed.
    fn retry<'a>(&'a self, id: &'a str, due: &'a Due) -> Answered<'a, Payment>;
    /// Gives a payment up. If it cannot be given up any more its state says why.
    fn cancel<'a>(&'a self, id: &'a str) -> Answered<'a, Payment>;
    /// Pays back. Asked again for the same refund it is the same one.
    fn refund<'a>(
        &'a self,
        id: Option<&'a str>,
        refund: Uuid,
        amount: i64,
    ) -> Answered<'a, PaidBack>;
    /// What became of a payment after it succeeded: its refunds and disputes, as events tell of them.
    fn since<'a>(&'a self, id: &'a str) -> Answered<'a, Vec<Fact>>;
}

/// The gateway with this code.
///
/// # Errors
/// 409 for one that is not configured.
pub fn of(config: &'static Config, code: &str) -> Result<Box<dyn Gateway>> {
    match code {
        "stripe" => Ok(Box::new(Stripe::of(config)?)),
        "manual" => Ok(Box::new(Manual)),
        other => Err(Error::internal(format!("no gateway {other}"))),
    }
}
