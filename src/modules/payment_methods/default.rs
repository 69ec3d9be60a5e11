//! `POST /api/payment-methods/{id}/default`

use super::model::{PaymentMethod, Preference};
use super::queries::{COLUMNS, METHOD, mine};
use crate::db::{Raw, Set, sql};
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
    // Everybody has one: whoever else prefers or saves a card of the same person comes before or after.
    let scope = tx.scope();
    let turn = sql("SELECT 1 FROM gateway_customers c
         JOIN payment_methods m ON m.user_id = c.user_id AND m.organization_id = c.organization_id
         WHERE m.id = $1::uuid AND ($2::uuid IS NULL OR c.organization_id = $2::uuid)
           AND ($3::uuid IS NULL OR c.user_id = $3::uuid)
         FOR NO KEY UPDATE OF c");
    let turn = turn.bind(id).bind(scope.organization());
    tx.execute(turn.bind(scope.owner())).await?;
    let one = mine(&tx).id(id);
    let before: Raw<PaymentMethod> = tx
        .one(one.clone().lock(COLUMNS), Code::PaymentMethodNotFound)
        .await?;
    // Of the same person.
    let others = mine(&tx).only("m.is_default").when(
        "m.id <> {}::uuid AND m.user_id = (SELECT u.user_id FROM payment_methods u WHERE u.id = {}::uuid)",
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
