//! `POST /api/orders/{id}/cancel`

use super::model::{Cancellation, Kind, Order};
use super::pay::begin_at;
use super::queries::{self, Locked, mine, record};
use crate::db::{Raw, Rows, Set, sql};
use crate::error::{Code, Result};
use crate::http::body::Body;
use crate::http::params::Id;
use crate::http::permit::{OrdersWrite, Permit};
use crate::http::reply::Data;
use crate::modules::payments::facts::Fact;
use crate::modules::payments::gateway::{self, State};
use crate::modules::payments::ledger::Ledger;
use crate::modules::payments::reconcile::told;
use crate::modules::subscriptions::queries as subscriptions;
use celaest_domain::billing::order::{Event, Refusal, next};

/// Gives an order up before it is paid; its coupon can be used again. Doing so again changes nothing.
pub async fn cancel(
    permit: Permit<OrdersWrite>,
    Id(id): Id,
    Body(Cancellation {}): Body<Cancellation>,
) -> Result<Data<Order>> {
    let mut tx = permit.begin();
    let orders = mine(&tx);
    let order = queries::peek(&mut tx, orders, id).await?;
    permit.commit_aside(tx).await?;
    let ledger = Ledger::of_call(&permit.call, permit.principal.actor(&permit.call));
    let after = give_up(&ledger, &order).await?;
    Ok(Data::raw(&after))
}

/// Gives an order up, its payment at the gateway first: it may have been paid a moment ago.
///
/// # Errors
/// 409 for one that is paid, or whose payment is being decided on.
pub async fn give_up(ledger: &Ledger, order: &Locked) -> Result<Raw<Order>> {
    if order.status.is_paid() {
        return Err(Code::OrderPaid.into());
    }
    if order.status.is_open()
        && order.payments_begun > 0
        && order.gateway.as_deref() == Some("stripe")
    {
        end_payment(ledger, order).await?;
    }
    close(ledger, order).await
}

async fn end_payment(ledger: &Ledger, order: &Locked) -> Result<()> {
    let stripe = gateway::of(ledger.config, "stripe")?;
    let id = match (&order.transaction, &order.payment) {
        (Some(id), _) => id.clone(),
        // Given up before, and nothing was begun since.
        (None, None) => return Ok(()),
        (None, Some(_)) => match begin_at(ledger, &*stripe, order).await? {
            Ok((id, _)) => id,
            // It takes no such payment, so there is none to end.
            Err(_) => return Ok(()),
        },
    };
    let payment = stripe.cancel(&id).await?;
    match payment.state {
        State::Cancelled => Ok(()),
        State::Succeeded => {
            let fact = Fact::Paid {
                transaction: id,
                order: Some(order.id),
                received: payment.received,
                currency: payment.currency,
            };
            told(ledger, &fact).await?;
            Err(Code::OrderPaid.into())
        }
        _ => Err(Code::PaymentUnderWay.into()),
    }
}

async fn close(ledger: &Ledger, seen: &Locked) -> Result<Raw<Order>> {
    let mut tx = ledger.begin();
    let orders = queries::both(&tx);
    let order = queries::lock(&mut tx, orders, seen.id).await?;
    // A payment that was begun since it was looked at is not ended: its money would come for nothing.
    if order.status.is_open() && order.payments_begun != seen.payments_begun {
        return Err(Code::PaymentUnderWay.into());
    }
    let status = next(order.status, Event::GivenUp).map_err(|refusal| match refusal {
        Refusal::Paid => Code::OrderPaid,
        _ => Code::Conflict,
    })?;
    if status == order.status {
        ledger.commit(tx, &[]).await?;
        return Ok(order.row);
    }
    // The gateway may have told of the payment's end before: it stays known, so that it can be compared.
    let set = Set::new()
        .fixed("status = 'cancelled', cancelled_at = now()")
        .when("gateway_transaction_id = {}", seen.transaction.as_deref());
    let after = queries::set(&mut tx, &order, set).await?;
    record(&mut tx, &order, "order.cancelled", &after);
    tx.execute(sql("SELECT release_coupon($1::uuid)").bind(order.id))
        .await?;
    if let (Kind::PlanChange, Some(id)) = (order.kind, order.subscription_id) {
        // Nobody paid for the other plan: what was to come before it comes again.
        let rows = Rows::of("subscriptions", "s");
        let before = subscriptions::lock(&mut tx, rows, id).await?;
        let chosen = order.chosen_before.as_ref();
        let set = Set::new()
            .to("next_plan_id = {}::uuid", chosen.map(|one| one.plan))
            .to(
                "next_unit_price = {}::numeric",
                chosen.map(|one| one.unit_price.as_str()),
            );
        subscriptions::change(&mut tx, &before, "subscription.changed", set).await?;
    }
    ledger.commit(tx, &[]).await?;
    Ok(after)
}
