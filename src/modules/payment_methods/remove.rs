//! `DELETE /api/payment-methods/{id}`

use super::queries;
use crate::error::Code;
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

/// Removes a saved card, at the gateway first. Where it was the default, the card that was saved last is from then on.
pub async fn remove(
    permit: Permit<PaymentMethodsWrite>,
    Id(id): Id,
    Once(key, NoBody): Once<NoBody>,
) -> Outcome<NoContent> {
    let mut looked = permit.begin_once(key.clone()).await?;
    let query = queries::mine(&looked).id(id).read("m.gateway_method_id");
    let there: AtGateway = looked.one(query, Code::PaymentMethodNotFound).await?;
    // Nobody who waits for the gateway keeps a connection meanwhile. Asked twice it is the same.
    drop(looked);
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
    let mut tx = permit.begin_once(key).await?;
    // The gateway's own word of it may have been here first.
    queries::remove(&mut tx, id).await?;
    permit.commit(tx, NoContent::done()).await
}
