//! `POST /api/orders/{id}/settle`

use super::model::{Order, Settlement};
use super::pay::refused;
use super::queries::{self, COLUMNS, sold};
use crate::db::{Raw, Rows, Set};
use crate::error::{Code, Error, Result};
use crate::http::body::Body;
use crate::http::params::Id;
use crate::http::permit::{OrdersRefund, Permit};
use crate::http::reply::Data;
use crate::modules::payments::fulfil::{Paid, complete};
use crate::modules::payments::ledger::Ledger;
use crate::platform::clock;
use celaest_domain::billing::order::{Event, Refusal, next};
use serde_json::json;

/// Confirms that the money of a bank transfer arrived. Doing so again changes nothing.
pub async fn settle(
    permit: Permit<OrdersRefund>,
    Id(id): Id,
    Body(body): Body<Settlement>,
) -> Result<Data<Order>> {
    let mut tx = permit.begin();
    let orders = sold(&tx);
    let seen = queries::peek(&mut tx, orders, id).await?;
    permit.commit_aside(tx).await?;
    if seen.gateway.as_deref() != Some("manual") {
        next(seen.status, Event::PaymentBegun).map_err(refused)?;
        let gateway = json!({ "gateway": seen.gateway });
        return Err(Error::new(Code::TransferNotBegun).with_details(gateway));
    }
    let ledger = Ledger::of_call(&permit.call, permit.principal.actor(&permit.call));
    let mut tx = ledger.begin();
    let orders = queries::both(&tx);
    let order = queries::lock(&mut tx, orders, id).await?;
    next(order.status, Event::Paid).map_err(|refusal| match refusal {
        Refusal::Cancelled => Code::OrderCancelled,
        _ => Code::OrderUnpaid,
    })?;
    if let Some(reference) = body.reference.filter(|_| order.status.is_open()) {
        let set = Set::new().to(
            "metadata = jsonb_set(o.metadata, ARRAY['transfer'], to_jsonb({}::text))",
            reference,
        );
        queries::set(&mut tx, &order, set).await?;
    }
    let how = Paid {
        gateway: Some("manual"),
        transaction: None,
    };
    let keys = complete(&mut tx, ledger.config, &order, &how, clock::now()).await?;
    let query = Rows::of("orders", "o").id(id).read(COLUMNS);
    let after: Raw<Order> = tx.one(query, Code::OrderNotFound).await?;
    ledger.commit(tx, &keys).await?;
    Ok(Data::raw(&after))
}
