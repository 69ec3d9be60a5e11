//! `POST /api/payment-methods/{id}/default`

use super::model::{PaymentMethod, Preference};
use super::queries::{COLUMNS, METHOD, hold_owner, mine};
use crate::db::{Raw, Set};
use crate::error::Code;
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::idempotency::Once;
use crate::http::params::Id;
use crate::http::permit::{PaymentMethodsWrite, Permit};
use crate::http::reply::Data;

/// Makes a saved card the one that subscriptions are charged to.
pub async fn prefer(
    permit: Permit<PaymentMethodsWrite>,
    Id(id): Id,
    Once(key, Body(Preference {})): Once<Body<Preference>>,
) -> Outcome<Data<PaymentMethod>> {
    let mut tx = permit.begin_once(key).await?;
    hold_owner(&mut tx, id).await?;
    let one = mine(&tx).id(id);
    let before: Raw<PaymentMethod> = tx
        .one(one.clone().lock(COLUMNS), Code::PaymentMethodNotFound)
        .await?;
    // Of the same person.
    let others = mine(&tx).only("m.is_default").when(
        "m.id <> {}::uuid AND (m.user_id, m.organization_id)
           = (SELECT u.user_id, u.organization_id FROM payment_methods u WHERE u.id = {}::uuid)",
        Some(id),
    );
    let _: Vec<Raw<PaymentMethod>> = tx
        .rows(others.set(Set::new().fixed("is_default = false"), COLUMNS))
        .await?;
    let set = Set::new().fixed("is_default = true");
    let after: Raw<PaymentMethod> = tx
        .one(one.set(set, COLUMNS), Code::PaymentMethodNotFound)
        .await?;
    tx.record_change(&METHOD, "payment_method.preferred", &before, &after);
    permit.commit(tx, Data::raw(&after)).await
}
