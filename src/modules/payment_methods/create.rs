//! `POST /api/payment-methods`

use super::card::{Card, keep};
use super::customer;
use super::model::{CardSetup, NewPaymentMethod, PaymentMethod};
use crate::db::facts::{Action, Fact};
use crate::error::{Code, Error, Result};
use crate::http::body::Body;
use crate::http::permit::{PaymentMethodsWrite, Permit};
use crate::http::reply::Created;
use crate::modules::payments::ledger::Ledger;
use crate::modules::payments::stripe::Stripe;
use celaest_domain::json;
use serde_json::json;
use uuid::Uuid;
use worker::Method;

/// Begins to save a card, and keeps it once the buyer has confirmed it with the gateway. Both may be asked for
/// again; the client secret is kept nowhere.
pub async fn create(
    permit: Permit<PaymentMethodsWrite>,
    Body(new): Body<NewPaymentMethod>,
) -> Result<Created<CardSetup>> {
    let organization = permit.organization(None)?;
    let user = permit.principal.user_id;
    let stripe = Stripe::of(permit.call.config)?;
    let customer = customer::of(&permit, organization, user).await?;
    let customer = customer.ok_or_else(|| Error::new(Code::UserNotFound))?;
    let setup = match &new.setup_id {
        None => {
            let form = [
                ("customer", customer.clone()),
                ("usage", "off_session".to_owned()),
                ("automatic_payment_methods[enabled]", "true".to_owned()),
            ];
            let once = format!("setup-{}", Uuid::new_v4());
            stripe
                .ask(Method::Post, "setup_intents", &form, Some(&once))
                .await?
        }
        Some(id) => {
            let form = [("expand[]", "payment_method".to_owned())];
            let path = format!("setup_intents/{id}");
            stripe.ask(Method::Get, &path, &form, None).await?
        }
    };
    if setup["customer"].as_str() != Some(&customer) {
        // Somebody else's is as one that does not exist.
        return Err(Code::PaymentMethodNotFound.into());
    }
    let setup_id = setup["id"].as_str().unwrap_or_default().to_owned();
    let mut tx = permit.begin();
    tx.record(Fact {
        organization_id: Some(organization),
        action: Action::Create,
        event: "payment_method.set_up",
        resource_type: "payment_method",
        resource_id: user,
        changes: json!({ "before": {}, "after": { "setup_id": setup_id, "status": setup["status"] } }),
        payload: None,
    });
    permit.commit_aside(tx).await?;
    let saved = setup["status"].as_str() == Some("succeeded");
    let card = Card::read(&setup["payment_method"]).filter(|_| saved);
    let payment_method = match card {
        None if new.setup_id.is_some() => return Err(Code::PaymentMethodConflict.into()),
        None => None,
        Some(card) => {
            let ledger = Ledger::of_call(&permit.call, permit.principal.actor(&permit.call));
            let mut tx = ledger.begin();
            let kept = keep(&mut tx, Some(&customer), &card).await?;
            ledger.commit(tx, &[]).await?;
            // It was removed since.
            let kept = kept.ok_or(Code::PaymentMethodConflict)?;
            Some(json::read::<PaymentMethod>(kept.text()).map_err(Error::internal)?)
        }
    };
    let client_secret = setup["client_secret"].as_str().map(str::to_owned);
    Ok(Created::of(&CardSetup {
        setup_id,
        client_secret: client_secret.filter(|_| payment_method.is_none()),
        payment_method,
    }))
}
