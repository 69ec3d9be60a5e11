//! The SQL of saved cards.

use super::model::PaymentMethod;
use crate::db::facts::Subject;
use crate::db::{Raw, Rows, Set, Tx, sql};
use crate::error::{Code, Error, Result};
use celaest_domain::json;
use serde::Deserialize;
use uuid::Uuid;

/// The columns of [`super::model::PaymentMethod`], from alias `m`.
pub const COLUMNS: &str =
    "m.id, m.organization_id, m.user_id, m.type, m.card_brand, m.card_last4, m.card_exp_month,
    m.card_exp_year, m.is_default, m.created_at";

/// What the log learns of a saved card.
pub const METHOD: Subject = Subject {
    kind: "payment_method",
    tenant: "organization_id",
    secret: &[],
    told: None,
};

/// The cards of the caller's organization; a client's own.
pub fn mine(tx: &Tx) -> Rows {
    Rows::of("payment_methods", "m")
        .when("m.organization_id = {}::uuid", tx.scope().organization())
        .when("m.user_id = {}::uuid", tx.scope().owner())
        .only("m.deleted_at IS NULL")
}

/// Holds whoever a card is of until the transaction ends: everybody has one default in each organization, so whoever
/// saves, prefers or removes a card of the same person comes before or after.
///
/// # Errors
/// When the database fails.
pub async fn hold_owner(tx: &mut Tx, card: Uuid) -> Result<()> {
    let scope = tx.scope();
    let query = sql("SELECT 1 FROM gateway_customers c
         JOIN payment_methods m ON m.user_id = c.user_id AND m.organization_id = c.organization_id
         WHERE m.id = $1::uuid AND ($2::uuid IS NULL OR c.organization_id = $2::uuid)
           AND ($3::uuid IS NULL OR c.user_id = $3::uuid)
         FOR NO KEY UPDATE OF c");
    let query = query.bind(card).bind(scope.organization());
    tx.execute(query.bind(scope.owner())).await
}

#[derive(Deserialize)]
struct Owned {
    id: Uuid,
    organization_id: Uuid,
    user_id: Uuid,
    is_default: bool,
}

/// Removes a card, whose owner is held from then on, unless it is gone already. In the place of the default comes
/// the one that its owner saved last, of those that have not expired if there are any: subscriptions go on.
///
/// # Errors
/// When the database fails.
pub async fn remove(tx: &mut Tx, id: Uuid) -> Result<()> {
    hold_owner(tx, id).await?;
    let one = mine(tx).id(id);
    let before: Option<Raw<PaymentMethod>> = tx.row(one.clone().lock(COLUMNS)).await?;
    let Some(before) = before else { return Ok(()) };
    let gone: Owned = json::read(before.text()).map_err(Error::internal)?;
    let set = Set::new().fixed("deleted_at = now(), is_default = false");
    let _: Raw<PaymentMethod> = tx
        .one(one.set(set, COLUMNS), Code::PaymentMethodNotFound)
        .await?;
    tx.record_end(&METHOD, "payment_method.deleted", &before);
    if !gone.is_default {
        return Ok(());
    }
    let others = mine(tx)
        .when("m.organization_id = {}::uuid", Some(gone.organization_id))
        .when("m.user_id = {}::uuid", Some(gone.user_id));
    let last = others.clone().read(COLUMNS).wrapped(|rows| {
        format!(
            "{rows} ORDER BY make_date(m.card_exp_year, m.card_exp_month, 1) < date_trunc('month', now()),
               m.created_at DESC, m.id LIMIT 1"
        )
    });
    let last: Option<Raw<PaymentMethod>> = tx.row(last).await?;
    let Some(last) = last else { return Ok(()) };
    let next: Owned = json::read(last.text()).map_err(Error::internal)?;
    let set = Set::new().fixed("is_default = true");
    let after: Raw<PaymentMethod> = tx
        .one(
            others.id(next.id).set(set, COLUMNS),
            Code::PaymentMethodNotFound,
        )
        .await?;
    tx.record_change(&METHOD, "payment_method.preferred", &last, &after);
    Ok(())
}
