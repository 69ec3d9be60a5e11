//! `DELETE /api/payment-methods/{id}`

use super::model::PaymentMethod;
use super::queries::{COLUMNS, METHOD, mine};
use crate::db::{Raw, Set};
use crate::error::{Code, Result};
use crate::http::change::Outcome;
use crate::http::endpoint::NoBody;
use crate::http::idempotency::Once;
use crate::http::params::Id;
use crate::http::permit::{PaymentMethodsWrite, Permit};
use crate::http::reply::NoContent;
use crate::modules::payments::gateway::Failed;
use crate::modules::payments::stripe::Stripe;
use serde::Deserialize;
use worker::Method;

#[derive(Deserialize)]
struct AtGateway {
    gateway_method_id: Option<String>,
}

/// Removes a saved card, at the gateway first.
pub async fn remove(
    permit: Permit<PaymentMethodsWrite>,
    Id(id): Id,
    Once(key, NoBody): Once<NoBody>,
) -> Outcome<NoContent> {
    let mut tx = permit.begin_once(key).await?;
    let one = mine(&tx).id(id);
    let before: Raw<PaymentMethod> = tx
        .one(one.clone().lock(COLUMNS), Code::PaymentMethodNotFound)
        .await?;
    let there: AtGateway = tx
        .one(
            one.clone().read("m.gateway_method_id"),
            Code::PaymentMethodNotFound,
        )
        .await?;
    if let Some(method) = there.gateway_method_id {
        let path = format!("payment_methods/{method}/detach");
        let once = format!("detach-{method}");
        let asked = Stripe::of(permit.call.config)?
            .ask(Method::Post, &path, &[], Some(&once))
            .await;
        match asked {
            // Refused is what is gone already.
            Ok(_) | Err(Failed::Refused { .. }) => {}
            Err(away) => return Err(crate::error::Error::from(away).into()),
        }
    }
    let set = Set::new().fixed("deleted_at = now(), is_default = false");
    let gone: Result<Option<Raw<PaymentMethod>>> = tx.row(one.set(set, COLUMNS)).await;
    gone?;
    tx.record_end(&METHOD, "payment_method.deleted", &before);
    permit.commit(tx, NoContent::done()).await
}
