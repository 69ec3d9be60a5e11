//! Charges the next period of a subscription to its owner's default card, without them.

use super::model::Status;
use super::queries::{self, Locked};
use crate::db::{Rows, Set, sql};
use crate::error::{Error, Result};
use crate::modules::orders::pay::{due, forget, remember};
use crate::modules::orders::queries as orders;
use crate::modules::payments::facts::{Fact, note_failure};
use crate::modules::payments::gateway::{self, Due, Failed, Payment, State};
use crate::modules::payments::ledger::Ledger;
use crate::modules::payments::mails;
use crate::modules::payments::reconcile::told;
use crate::modules::payments::{access, fulfil};
use celaest_domain::billing::subscription::{Followed, GRACE, after_failure};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

/// So long a payment that the gateway is at is left alone.
const UNDER_WAY: TimeDelta = TimeDelta::hours(1);
/// So long after a gateway that did not answer, or anything else that failed, it is tried again.
pub(super) const AWAY: TimeDelta = TimeDelta::minutes(15);

#[derive(Deserialize)]
struct Method {
    customer: Option<String>,
    method: Option<String>,
}

impl Method {
    fn whole(self) -> Option<(String, String)> {
        Some((self.customer?, self.method?))
    }
}

/// What became of an attempt.
enum Attempt {
    /// It is paid, or was given up.
    Over,
    Failed {
        code: String,
        is_final: bool,
    },
    UnderWay,
    Away,
}

/// Charges an order of a subscription. Whatever comes of it is written down with when something is done next.
///
/// # Errors
/// When the database fails; the job comes again then.
pub async fn charge(
    ledger: &Ledger,
    subscription: Uuid,
    order: Uuid,
    now: DateTime<Utc>,
) -> Result<()> {
    let (code, is_final) = match attempt(ledger, order, now).await? {
        Attempt::Over => return Ok(()),
        Attempt::UnderWay => return later(ledger, subscription, now + UNDER_WAY).await,
        Attempt::Away => return later(ledger, subscription, now + AWAY).await,
        Attempt::Failed { code, is_final } => (code, is_final),
    };
    failed(ledger, subscription, order, (&code, is_final), now).await
}

async fn attempt(ledger: &Ledger, id: Uuid, now: DateTime<Utc>) -> Result<Attempt> {
    let mut tx = ledger.begin();
    let rows = orders::both(&tx);
    let order = orders::lock(&mut tx, rows, id).await?;
    if !order.status.is_open() {
        ledger.commit(tx, &[]).await?;
        return Ok(Attempt::Over);
    }
    // Whoever said that they transfer the money is not charged for it as well.
    if order.gateway.as_deref() == Some("manual") && order.payment.is_some() {
        ledger.commit(tx, &[]).await?;
        return Ok(Attempt::Failed {
            code: "transfer_awaited".into(),
            is_final: true,
        });
    }
    if order.total() == 0 {
        let free = fulfil::Paid {
            gateway: None,
            transaction: None,
        };
        let keys = fulfil::complete(&mut tx, ledger.config, &order, &free, now).await?;
        ledger.commit(tx, &keys).await?;
        return Ok(Attempt::Over);
    }
    // Of whoever left the organization nothing is taken any more.
    let card: Option<Method> = tx
        .row(
            sql("SELECT m.gateway_customer_id AS customer, m.gateway_method_id AS method FROM payment_methods m
                 JOIN users_profile u ON u.id = m.user_id AND u.deleted_at IS NULL
                   AND (u.role = 'super_admin' OR u.organization_id = m.organization_id)
                 WHERE m.user_id = $1::uuid AND m.organization_id = $2::uuid AND m.is_default AND m.deleted_at IS NULL")
            .bind(order.user_id)
            .bind(order.organization_id),
        )
        .await?;
    let begun_before = order.payment.is_some() && order.transaction.is_none();
    // Of what may be under way at the gateway the words are those that it was begun with, whichever card came since.
    let words = order.payment.as_ref().filter(|_| begun_before);
    let words = words.and_then(|words| serde_json::from_value(words.clone()).ok());
    let words = words.and_then(Method::whole);
    let card = card.and_then(Method::whole);
    let card = card.map(|card| words.unwrap_or(card));
    let Some((customer, method)) = card else {
        ledger.commit(tx, &[]).await?;
        return Ok(Attempt::Failed {
            code: "no_payment_method".into(),
            is_final: true,
        });
    };
    // Written down before the gateway hears of it. The first attempt of an order is its payment; what comes after
    // is another try of the same one.
    let set = Set::new()
        .fixed("status = 'processing', payments_begun = o.payments_begun + 1")
        .fixed("gateway_id = (SELECT g.id FROM payment_gateways g WHERE g.code = 'stripe')")
        .to(
            "metadata = jsonb_set(o.metadata, ARRAY['payment'], {}::jsonb)",
            json!({ "customer": customer, "method": method, "save_card": false }),
        );
    if !begun_before {
        orders::set(&mut tx, &order, set).await?;
    }
    let rows = orders::both(&tx);
    let order = orders::peek(&mut tx, rows, id).await?;
    ledger.commit(tx, &[]).await?;
    let stripe = gateway::of(ledger.config, "stripe")?;
    let due = Due {
        customer: Some(customer),
        off_session: Some(method),
        ..due(&order)
    };
    let asked = match &order.transaction {
        None => stripe.begin(&due).await,
        Some(transaction) => match stripe.look(transaction).await {
            Ok(payment) if matches!(payment.state, State::Open | State::Failed { .. }) => {
                stripe.retry(transaction, &due).await
            }
            known => known,
        },
    };
    outcome(ledger, &order, asked).await
}

async fn outcome(
    ledger: &Ledger,
    order: &orders::Locked,
    asked: std::result::Result<Payment, Failed>,
) -> Result<Attempt> {
    let payment = match asked {
        Ok(payment) => payment,
        Err(Failed::Away(_)) => return Ok(Attempt::Away),
        Err(Failed::Refused {
            code,
            is_final,
            payment,
        }) => {
            match payment {
                Some(id) => remember(ledger, order.id, &id).await?,
                // It knows one in other words, which may have been paid.
                None if code == "idempotency_error" => {}
                None => forget(ledger, order).await?,
            }
            return Ok(Attempt::Failed { code, is_final });
        }
    };
    let id = payment
        .id
        .clone()
        .ok_or_else(|| Error::unavailable("a payment without an id"))?;
    remember(ledger, order.id, &id).await?;
    Ok(match payment.state {
        State::Succeeded => {
            let fact = Fact::Paid {
                transaction: id,
                order: Some(order.id),
                received: payment.received,
                currency: payment.currency,
            };
            match told(ledger, &fact).await? {
                None => Attempt::Over,
                Some(_) => Attempt::UnderWay,
            }
        }
        State::UnderWay => Attempt::UnderWay,
        State::Failed { code, is_final } => Attempt::Failed { code, is_final },
        // The buyer has to do something, which they are not here for.
        State::Open => Attempt::Failed {
            code: "authentication_required".into(),
            is_final: true,
        },
        State::Cancelled => {
            told(ledger, &Fact::GivenUp { transaction: id }).await?;
            Attempt::Away
        }
    })
}

/// Looks at a subscription again then, if it is due still.
///
/// # Errors
/// When the database fails.
pub(super) async fn later(ledger: &Ledger, id: Uuid, at: DateTime<Utc>) -> Result<()> {
    let mut tx = ledger.begin();
    tx.execute(
        // Its event may have been here meanwhile, and have said when it is due again.
        sql("UPDATE subscriptions SET next_attempt_at = $2::timestamptz
             WHERE id = $1::uuid AND status <> 'ended' AND next_attempt_at <= now()")
        .bind(id)
        .bind(at),
    )
    .await?;
    ledger.commit(tx, &[]).await
}

async fn failed(
    ledger: &Ledger,
    id: Uuid,
    order: Uuid,
    (code, is_final): (&str, bool),
    now: DateTime<Utc>,
) -> Result<()> {
    let mut tx = ledger.begin();
    let rows = orders::both(&tx);
    let order = orders::lock(&mut tx, rows, order).await?;
    let subscription = queries::lock(&mut tx, Rows::of("subscriptions", "s"), id).await?;
    // Its event may have been here first, or the money itself; or somebody gave it up.
    if !order.status.is_open() || subscription.status == Status::Ended {
        return ledger.commit(tx, &[]).await;
    }
    note_failure(&mut tx, &order, Some(code)).await?;
    let first = subscription.first_failed_at.unwrap_or(now);
    let data = json!({
        "subscription": subscription.name, "order_number": order.order_number, "order_id": order.id,
        "total": order.currency.major(order.total()), "currency": order.currency.as_str(), "reason": code, "last": is_final,
    });
    let next = match after_failure(first, now, is_final) {
        Followed::Again(at) | Followed::Customer(at) => at,
        Followed::Suspend => {
            let keys = suspend(&mut tx, &subscription, now).await?;
            mails::post(
                &mut tx,
                subscription.organization_id,
                subscription.user_id,
                "subscription_suspended",
                data,
            )
            .await?;
            return ledger.commit(tx, &keys).await;
        }
    };
    let set = Set::new()
        .fixed("status = 'past_due'")
        .to("first_failed_at = {}::timestamptz", first)
        .to("next_attempt_at = {}::timestamptz", next);
    queries::change(&mut tx, &subscription, "subscription.past_due", set).await?;
    let until = subscription.current_period_end.max(first + GRACE);
    let keys = queries::redate(&mut tx, &subscription, until, None, true).await?;
    mails::post(
        &mut tx,
        subscription.organization_id,
        subscription.user_id,
        "payment_failed",
        data,
    )
    .await?;
    ledger.commit(tx, &keys).await
}

/// Nobody pays: the software stops, until somebody does.
async fn suspend(
    tx: &mut crate::db::Tx,
    subscription: &Locked,
    now: DateTime<Utc>,
) -> Result<Vec<String>> {
    let until = now + celaest_domain::billing::subscription::SUSPENDED_FOR;
    let set = Set::new()
        .fixed("status = 'suspended', suspended_at = now()")
        .to("next_attempt_at = {}::timestamptz", until);
    queries::change(tx, subscription, "subscription.suspended", set).await?;
    access::settle_subscription(tx, subscription, now).await
}
