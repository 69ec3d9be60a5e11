//! What a gateway tells, once it is known to be the gateway's: read from its events, or from what it answers, and
//! taken over in one transaction. Everything may come twice and in any order; what does not fit is not forced to.

use super::refunds::{self, status};
use super::{disputes, fulfil};
use crate::config::Config;
use crate::db::{Set, Tx, sql};
use crate::error::{Error, Result};
use crate::modules::orders::model::{RefundStatus, Status};
use crate::modules::orders::queries::{self, Locked, note, record};
use crate::modules::payment_methods;
use celaest_domain::billing::money::Currency;
use celaest_domain::billing::order::{Event, next};
use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

/// Something a gateway tells.
#[derive(Debug, Clone, PartialEq)]
pub enum Fact {
    /// Money arrived.
    Paid {
        /// What the gateway calls the payment.
        transaction: String,
        /// The order that the payment itself names.
        order: Option<Uuid>,
        /// Minor units.
        received: i64,
        /// Of the amount.
        currency: Option<Currency>,
    },
    /// An attempt to pay failed.
    Failed {
        /// What the gateway calls the payment.
        transaction: String,
        /// The order that the payment itself names.
        order: Option<Uuid>,
        /// Why, in the gateway's word.
        code: Option<String>,
    },
    /// A payment was given up.
    GivenUp {
        /// What the gateway calls the payment.
        transaction: String,
    },
    /// Money goes back.
    Refund {
        /// What the gateway calls the payment.
        transaction: String,
        /// What it calls the refund.
        id: String,
        /// Our own id, if we asked for it.
        ours: Option<Uuid>,
        /// Minor units.
        amount: i64,
        /// Where it is.
        status: RefundStatus,
        /// Why it failed.
        failure: Option<String>,
    },
    /// The buyer disputes the payment with their bank.
    Dispute {
        /// What the gateway calls the payment.
        transaction: String,
        /// What it calls the dispute.
        id: String,
        /// Minor units.
        amount: i64,
        /// Where it is.
        status: String,
        /// Why.
        reason: Option<String>,
    },
    /// A card was saved or changed.
    Card {
        /// Whose it is at the gateway.
        customer: Option<String>,
        /// The card, as the gateway has it.
        card: payment_methods::card::Card,
    },
    /// A card was removed at the gateway.
    CardRemoved {
        /// What the gateway calls it.
        id: String,
    },
}

/// What came of taking something over.
pub enum Outcome {
    /// It is done; the licenses with these keys changed, for this order.
    Done(Option<Uuid>, Vec<String>),
    /// It does not fit: somebody has to look at it, or something else has to come first.
    Parked(Option<Uuid>, &'static str),
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn id(value: &Value) -> Option<Uuid> {
    value.as_str().and_then(|text| Uuid::try_parse(text).ok())
}

/// Reads an event of Stripe's. None for a kind that is of no interest.
///
/// # Errors
/// What is missing in one that is.
pub fn read(kind: &str, object: &Value) -> std::result::Result<Option<Fact>, &'static str> {
    let own = || text(&object["id"]).ok_or("it has no id");
    let intent = || text(&object["payment_intent"]).ok_or("it names no payment");
    let order = id(&object["metadata"]["order_id"]);
    let fact = match kind {
        "payment_intent.succeeded" => Fact::Paid {
            transaction: own()?,
            order,
            received: object["amount_received"]
                .as_i64()
                .ok_or("it has no amount")?,
            currency: object["currency"]
                .as_str()
                .and_then(|code| Currency::parse(&code.to_ascii_uppercase())),
        },
        "payment_intent.payment_failed" => Fact::Failed {
            transaction: own()?,
            order,
            code: text(&object["last_payment_error"]["decline_code"])
                .or(text(&object["last_payment_error"]["code"])),
        },
        "payment_intent.canceled" => Fact::GivenUp {
            transaction: own()?,
        },
        "refund.created" | "refund.updated" | "refund.failed" | "charge.refund.updated" => {
            Fact::Refund {
                transaction: intent()?,
                id: own()?,
                ours: id(&object["metadata"]["refund_id"]),
                amount: object["amount"].as_i64().ok_or("it has no amount")?,
                status: status(object["status"].as_str().unwrap_or_default()),
                failure: text(&object["failure_reason"]),
            }
        }
        "charge.dispute.created"
        | "charge.dispute.updated"
        | "charge.dispute.closed"
        | "charge.dispute.funds_withdrawn"
        | "charge.dispute.funds_reinstated" => Fact::Dispute {
            transaction: intent()?,
            id: own()?,
            amount: object["amount"].as_i64().ok_or("it has no amount")?,
            status: text(&object["status"]).ok_or("it has no status")?,
            reason: text(&object["reason"]),
        },
        "payment_method.attached"
        | "payment_method.updated"
        | "payment_method.automatically_updated" => {
            let card = payment_methods::card::Card::read(object);
            match card {
                Some(card) => Fact::Card {
                    customer: text(&object["customer"]),
                    card,
                },
                None => return Ok(None),
            }
        }
        "payment_method.detached" => Fact::CardRemoved { id: own()? },
        _ => return Ok(None),
    };
    Ok(Some(fact))
}

/// Takes something over.
///
/// # Errors
/// When the database fails; nothing remains then.
pub async fn apply(
    tx: &mut Tx,
    config: &Config,
    fact: &Fact,
    now: DateTime<Utc>,
) -> Result<Outcome> {
    match fact {
        Fact::Paid {
            transaction,
            order,
            received,
            currency,
        } => {
            paid(
                tx,
                config,
                (transaction, *order),
                (*received, *currency),
                now,
            )
            .await
        }
        Fact::Failed {
            transaction,
            order,
            code,
        } => failed(tx, transaction, *order, code.as_deref()).await,
        Fact::GivenUp { transaction } => given_up(tx, transaction).await,
        Fact::Refund { transaction, .. } => match queries::find(tx, transaction, None).await? {
            Some(order) => refund(tx, &order, fact, now).await,
            None => Ok(Outcome::Parked(None, "no order is known of this payment")),
        },
        Fact::Dispute { transaction, .. } => match queries::find(tx, transaction, None).await? {
            Some(order) => disputes::apply(tx, &order, fact, now).await,
            None => Ok(Outcome::Parked(None, "no order is known of this payment")),
        },
        Fact::Card { customer, card } => {
            payment_methods::card::keep(tx, customer.as_deref(), card).await?;
            Ok(Outcome::Done(None, Vec::new()))
        }
        Fact::CardRemoved { id } => {
            payment_methods::card::removed(tx, id).await?;
            Ok(Outcome::Done(None, Vec::new()))
        }
    }
}

async fn paid(
    tx: &mut Tx,
    config: &Config,
    (transaction, named): (&str, Option<Uuid>),
    (received, currency): (i64, Option<Currency>),
    now: DateTime<Utc>,
) -> Result<Outcome> {
    let Some(order) = queries::find(tx, transaction, named).await? else {
        return Ok(Outcome::Parked(None, "no order is known of this payment"));
    };
    let parked = |why| Ok(Outcome::Parked(Some(order.id), why));
    match order.transaction.as_deref() {
        Some(known) if known != transaction => return parked("the order has another payment"),
        Some(_) => {}
        // Our own commit is still to come, and will find it done.
        None if order.payments_begun > 0 => {}
        None => return parked("no payment of this order was begun"),
    }
    if order.gateway.as_deref() != Some("stripe") {
        return parked("the order is paid in another way");
    }
    if currency != Some(order.currency) {
        return parked("the currency is not the order's");
    }
    if received != order.total() {
        return parked("the amount is not the order's");
    }
    match next(order.status, Event::Paid) {
        Err(_) => parked("the order was given up before it was paid"),
        Ok(after) if after == order.status => Ok(Outcome::Done(Some(order.id), Vec::new())),
        Ok(_) => {
            let how = fulfil::Paid {
                gateway: Some("stripe"),
                transaction: Some(transaction),
            };
            let keys = fulfil::complete(tx, config, &order, &how, now).await?;
            Ok(Outcome::Done(Some(order.id), keys))
        }
    }
}

async fn failed(
    tx: &mut Tx,
    transaction: &str,
    named: Option<Uuid>,
    code: Option<&str>,
) -> Result<Outcome> {
    let Some(order) = queries::find(tx, transaction, named).await? else {
        return Ok(Outcome::Parked(None, "no order is known of this payment"));
    };
    if order
        .transaction
        .as_deref()
        .is_some_and(|known| known != transaction)
    {
        return Ok(Outcome::Done(Some(order.id), Vec::new()));
    }
    if matches!(next(order.status, Event::PaymentFailed), Ok(Status::Failed)) {
        note_failure(tx, &order, code).await?;
    }
    Ok(Outcome::Done(Some(order.id), Vec::new()))
}

/// Notes that an attempt failed; the order can be paid still.
///
/// # Errors
/// When the database fails.
pub async fn note_failure(tx: &mut Tx, order: &Locked, code: Option<&str>) -> Result<()> {
    let set = Set::new()
        .fixed("status = 'failed'")
        .to("payment_error = left({}, 100)", code);
    let after = queries::set(tx, order, set).await?;
    record(tx, order, "order.payment_failed", &after);
    Ok(())
}

/// The next attempt is another payment.
async fn given_up(tx: &mut Tx, transaction: &str) -> Result<Outcome> {
    let Some(order) = queries::find(tx, transaction, None).await? else {
        return Ok(Outcome::Done(None, Vec::new()));
    };
    if order.status.is_open() {
        let set = Set::new().fixed(
            "status = 'pending', gateway_transaction_id = NULL, metadata = o.metadata - 'payment'",
        );
        let after = queries::set(tx, &order, set).await?;
        note(tx, &order, "order.payment_given_up", &after);
    }
    Ok(Outcome::Done(Some(order.id), Vec::new()))
}

async fn refund(tx: &mut Tx, order: &Locked, fact: &Fact, now: DateTime<Utc>) -> Result<Outcome> {
    let Fact::Refund {
        id,
        ours,
        amount,
        status,
        failure,
        ..
    } = fact
    else {
        return Err(Error::internal("no refund"));
    };
    let parked = |why| Ok(Outcome::Parked(Some(order.id), why));
    if !order.status.is_paid() {
        return parked("the order is not paid");
    }
    let known = match queries::lock_refund(tx, order, *ours, Some(id)).await? {
        Some(known) => known,
        None => {
            // Somebody paid it back at the gateway itself.
            if order.refunded() + amount > order.total() {
                return parked("more is paid back than was paid");
            }
            tx.execute(
                sql("INSERT INTO refunds (order_id, organization_id, seller_id, amount, gateway_refund_id, status)
                     VALUES ($1::uuid, $2::uuid, $3::uuid, $4::numeric, $5, 'requested')
                     ON CONFLICT (gateway_refund_id) DO NOTHING")
                .bind(order.id)
                .bind(order.organization_id)
                .bind(order.seller_id)
                .bind(order.currency.major(*amount))
                .bind(id),
            )
            .await?;
            match queries::lock_refund(tx, order, None, Some(id)).await? {
                Some(made) => made,
                None => return parked("the refund is of another order"),
            }
        }
    };
    if known.amount(order.currency) != *amount {
        return parked("the amount is not the refund's");
    }
    let told = refunds::Told {
        id: Some(id),
        status: *status,
        failure: failure.as_deref(),
    };
    let keys = refunds::apply(tx, order, &known, &told, now).await?;
    Ok(Outcome::Done(Some(order.id), keys))
}
