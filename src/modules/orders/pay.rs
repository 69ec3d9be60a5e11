//! `POST /api/orders/{id}/pay`
//!
//! A second call is the same payment, whatever became of the first: so it needs no `Idempotency-Key`, and the
//! client secret is kept nowhere. What a payment is begun with is written down first; asked again with the same
//! words, the gateway knows it again.

use super::model::{GatewayCode, Next, Paying, Payment, Status};
use super::queries::{self, Locked, mine, note};
use crate::db::Set;
use crate::error::{Code, Error, Result};
use crate::http::body::Body;
use crate::http::params::Id;
use crate::http::permit::{Access, OrdersWrite, Permit};
use crate::http::reply::Data;
use crate::modules::payment_methods::customer;
use crate::modules::payments::facts::Fact;
use crate::modules::payments::fulfil;
use crate::modules::payments::gateway::{self, Due, Failed, Gateway, Payment as AtGateway, State};
use crate::modules::payments::ledger::Ledger;
use crate::modules::payments::reconcile::told;
use crate::platform::clock;
use celaest_domain::billing::order::{Event, Refusal, next};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

/// What a payment is begun with: kept with the order, so that asking again asks the same.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct Begun {
    customer: Option<String>,
    save_card: bool,
}

/// Why an order is not paid as wanted.
pub(super) fn refused(refusal: Refusal) -> Error {
    match refusal {
        Refusal::Paid => Code::OrderPaid.into(),
        Refusal::Cancelled => Code::OrderCancelled.into(),
        Refusal::Unpaid => Code::OrderUnpaid.into(),
    }
}

/// Begins to pay an order, or goes on with it.
pub async fn pay(
    permit: Permit<OrdersWrite>,
    Id(id): Id,
    Body(wanted): Body<Paying>,
) -> Result<Data<Payment>> {
    let order = begin(&permit, id, &wanted).await?;
    let ledger = Ledger::of_call(&permit.call, permit.principal.actor(&permit.call));
    if order.status == Status::Completed {
        return Ok(Data::of(&answer(&order, Next::Nothing)));
    }
    if order.total() == 0 {
        return complete_free(&ledger, id).await;
    }
    match wanted.gateway {
        GatewayCode::Manual => Ok(Data::of(&Payment {
            reference: Some(order.order_number.clone()),
            ..answer(&order, Next::Transfer)
        })),
        GatewayCode::Stripe => by_card(&ledger, &order).await,
    }
}

/// Notes that somebody begins to pay, with what; an order that is paid already is returned as it is.
async fn begin(access: &Access, id: Uuid, wanted: &Paying) -> Result<Locked> {
    // Before anything is held: another system is asked.
    let customer = customer(access, id, wanted).await?;
    let mut tx = access.begin();
    let orders = mine(&tx);
    let mut order = queries::lock(&mut tx, orders, id).await?;
    if order.status == Status::Completed {
        access.commit_aside(tx).await?;
        return Ok(order);
    }
    next(order.status, Event::PaymentBegun).map_err(refused)?;
    if order.expires_at.is_some_and(|at| at <= clock::now()) {
        return Err(Code::OrderCancelled.into());
    }
    if order.total() == 0 {
        access.commit_aside(tx).await?;
        return Ok(order);
    }
    let other = order
        .gateway
        .as_deref()
        .is_some_and(|code| code != wanted.gateway.as_str());
    if other && order.payment.is_some() {
        return Err(Code::PaymentUnderWay.into());
    }
    let fresh =
        order.payments_begun == 0 || (order.transaction.is_none() && order.payment.is_none());
    if fresh {
        if wanted.gateway == GatewayCode::Stripe {
            // Before the order is bound to it.
            gateway::of(access.call.config, "stripe")?;
        }
        let save_card = wanted.save_card || order.recurs;
        let begun = json!(Begun {
            customer,
            save_card
        });
        let mut set = Set::new()
            .fixed("status = 'processing', payments_begun = o.payments_begun + 1")
            .to(
                "gateway_id = (SELECT g.id FROM payment_gateways g WHERE g.code = {})",
                wanted.gateway.as_str(),
            )
            .to(
                "metadata = jsonb_set(o.metadata, ARRAY['payment'], {}::jsonb)",
                begun,
            );
        if wanted.gateway == GatewayCode::Manual {
            // A transfer takes days; the rest of a period on another plan is paid while there is one.
            set = set.fixed(
                "expires_at = least(greatest(o.expires_at, now() + interval '14 days'), CASE o.kind WHEN 'plan_change' THEN
                   (SELECT s.current_period_end - interval '1 hour' FROM subscriptions s WHERE s.id = o.subscription_id) END)",
            );
        }
        let after = queries::set(&mut tx, &order, set).await?;
        note(&mut tx, &order, "order.payment_begun", &after);
        let orders = mine(&tx);
        order = queries::peek(&mut tx, orders, id).await?;
    }
    access.commit_aside(tx).await?;
    Ok(order)
}

/// Who the buyer is at the gateway, where their card is to be kept.
async fn customer(access: &Access, id: Uuid, wanted: &Paying) -> Result<Option<String>> {
    let mut tx = access.begin();
    let orders = mine(&tx);
    let order = queries::peek(&mut tx, orders, id).await?;
    let is_new = order.status.is_open()
        && order.total() > 0
        && order.transaction.is_none()
        && order.payment.is_none();
    let is_kept = wanted.gateway == GatewayCode::Stripe && (wanted.save_card || order.recurs);
    access.commit_aside(tx).await?;
    match is_new && is_kept {
        true => customer::of(access, order.organization_id, order.user_id).await,
        false => Ok(None),
    }
}

/// Nothing is to be paid.
async fn complete_free(ledger: &Ledger, id: Uuid) -> Result<Data<Payment>> {
    let mut tx = ledger.begin();
    let orders = queries::both(&tx);
    let order = queries::lock(&mut tx, orders, id).await?;
    let free = fulfil::Paid {
        gateway: None,
        transaction: None,
    };
    if order.total() != 0 {
        return Err(Code::OrderUnpaid.into());
    }
    next(order.status, Event::Paid).map_err(refused)?;
    let keys = fulfil::complete(&mut tx, ledger.config, &order, &free, clock::now()).await?;
    ledger.commit(tx, &keys).await?;
    Ok(Data::of(&Payment {
        status: Status::Completed,
        ..answer(&order, Next::Nothing)
    }))
}

/// The payment that is to be made, in the words that it was begun with.
pub fn due(order: &Locked) -> Due {
    let begun: Begun = order
        .payment
        .clone()
        .and_then(|payment| serde_json::from_value(payment).ok())
        .unwrap_or_default();
    Due {
        order_id: order.id,
        order_number: order.order_number.clone(),
        amount: order.total(),
        currency: order.currency,
        attempt: order.payments_begun,
        customer: begun.customer,
        save_card: begun.save_card,
        off_session: None,
    }
}

async fn by_card(ledger: &Ledger, order: &Locked) -> Result<Data<Payment>> {
    let stripe = gateway::of(ledger.config, "stripe")?;
    let (id, payment) = match &order.transaction {
        Some(id) => (id.clone(), stripe.look(id).await?),
        None => begin_at(ledger, &*stripe, order).await??,
    };
    let next = match payment.state {
        State::Succeeded => {
            let fact = Fact::Paid {
                transaction: id.clone(),
                order: Some(order.id),
                received: payment.received,
                currency: payment.currency,
            };
            match told(ledger, &fact).await? {
                None => Next::Nothing,
                Some(_) => Next::Wait,
            }
        }
        State::UnderWay => Next::Wait,
        State::Open | State::Failed { .. } => Next::Confirm,
        State::Cancelled => {
            told(ledger, &Fact::GivenUp { transaction: id }).await?;
            return Err(Code::PaymentUnderWay.into());
        }
    };
    let status = if next == Next::Nothing {
        Status::Completed
    } else {
        Status::Processing
    };
    Ok(Data::of(&Payment {
        status,
        client_secret: payment.client_secret.filter(|_| next == Next::Confirm),
        transaction_id: Some(id),
        ..answer(order, next)
    }))
}

/// Begins the payment of an order at the gateway, and notes what it is called there. Whoever asked before may have died
/// before it was noted: asked again, it is the same one.
///
/// # Errors
/// The inner one is the gateway's, of what it refuses outright: nothing was begun then. 409 where it knows a payment in
/// other words: the saved card is being charged.
pub(super) async fn begin_at(
    ledger: &Ledger,
    stripe: &dyn Gateway,
    order: &Locked,
) -> Result<std::result::Result<(String, AtGateway), Failed>> {
    let payment = match stripe.begin(&due(order)).await {
        Ok(payment) => payment,
        Err(Failed::Refused { code, .. }) if code == "idempotency_error" => {
            return Err(Code::PaymentUnderWay.into());
        }
        Err(refused @ Failed::Refused { .. }) => {
            forget(ledger, order).await?;
            return Ok(Err(refused));
        }
        Err(away) => return Err(away.into()),
    };
    let id = payment.id.clone();
    let id = id.ok_or_else(|| Error::unavailable("a payment without an id"))?;
    remember(ledger, order.id, &id).await?;
    Ok(Ok((id, payment)))
}

/// Notes that nothing was begun at the gateway: the order can be paid in another way, or with other words.
pub async fn forget(ledger: &Ledger, seen: &Locked) -> Result<()> {
    let mut tx = ledger.begin();
    let orders = queries::both(&tx);
    let order = queries::lock(&mut tx, orders, seen.id).await?;
    let same = order.payments_begun == seen.payments_begun && order.transaction.is_none();
    if order.status.is_open() && order.payment.is_some() && same {
        let set = Set::new().fixed("status = 'pending', metadata = o.metadata - 'payment'");
        let after = queries::set(&mut tx, &order, set).await?;
        note(&mut tx, &order, "order.payment_given_up", &after);
    }
    ledger.commit(tx, &[]).await
}

/// Notes what the gateway calls the payment. Its event may have been here before.
pub async fn remember(ledger: &Ledger, id: Uuid, transaction: &str) -> Result<()> {
    let mut tx = ledger.begin();
    let orders = queries::both(&tx);
    let order = queries::lock(&mut tx, orders, id).await?;
    if order.transaction.is_none() {
        let set = Set::new().to("gateway_transaction_id = {}", transaction);
        queries::set(&mut tx, &order, set).await?;
    }
    ledger.commit(tx, &[]).await
}

fn answer(order: &Locked, next: Next) -> Payment {
    Payment {
        order_id: order.id,
        status: order.status,
        gateway: match order.gateway.as_deref() {
            Some("stripe") => Some(GatewayCode::Stripe),
            Some("manual") => Some(GatewayCode::Manual),
            _ => None,
        },
        next,
        client_secret: None,
        transaction_id: order.transaction.clone(),
        reference: None,
        amount: order
            .currency
            .major(order.total())
            .parse()
            .unwrap_or_default(),
        currency: order.currency.to_string(),
    }
}
