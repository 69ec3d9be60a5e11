//! `GET /api/orders/{id}/licenses`, `POST /api/orders/{id}/licenses/{inner_id}/suspend` and `…/reactivate`: what
//! whoever sells sees and does of the licenses that they sold. Their rows are the buyer's, and nobody else's: that
//! the order is the caller's own sale is looked at in the caller's transaction, the rest is the system's.

use super::queries::{self, sold};
use crate::db::facts::{Fact, Subject};
use crate::db::{Query, Tx, sql};
use crate::error::{Code, Result};
use crate::http::body::Body;
use crate::http::change::{Outcome, Stop};
use crate::http::checks;
use crate::http::idempotency::{Claim, Once};
use crate::http::params::{Id, Ids};
use crate::http::permit::{Access, OrdersRefund, Permit};
use crate::http::reply::Data;
use crate::modules::licenses::model::Status;
use crate::modules::licenses::queries::LICENSE;
use crate::modules::licenses::sold as licenses;
use crate::modules::payments::ledger::Ledger;
use crate::modules::payments::{access, mails};
use crate::platform::clock;
use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

/// A license that was sold, as whoever sold it sees it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SoldLicense {
    /// Identifier.
    pub id: Uuid,
    /// The line of the order that gave it.
    pub order_item_id: Uuid,
    /// What was bought, as the order has it.
    pub name: String,
    /// The product it is for.
    pub product_id: Option<Uuid>,
    /// Its plan.
    pub plan_id: Uuid,
    /// The last four characters of its key, by which a buyer who asks can name it.
    pub key_ends_with: String,
    /// Where it is in its life.
    pub status: Status,
    /// From when on it is valid.
    pub starts_at: String,
    /// When it ends; null for never.
    pub expires_at: Option<String>,
    /// Why it is suspended: `seller: …` by whoever sold it, or what became of the payment. Null for the buyer's own
    /// reasons.
    pub suspension_reason: Option<String>,
    /// When it was suspended.
    pub suspended_at: Option<String>,
    /// When it was cancelled.
    pub cancelled_at: Option<String>,
    /// When it was made.
    pub created_at: String,
}

/// Body of `POST /api/orders/{id}/licenses/{inner_id}/suspend`.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct Suspension {
    /// Why, for the buyer to read.
    #[garde(custom(checks::line::<500>))]
    pub reason: String,
}

/// Body of `POST /api/orders/{id}/licenses/{inner_id}/reactivate`: nothing.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct Resumption {}

/// What the log of whoever sells learns; systems are told on the buyer's side.
const SOLD: Subject = Subject {
    told: None,
    ..LICENSE
};

/// The licenses that an order gave, for whoever sold it; at most a hundred.
pub async fn list(permit: Permit<OrdersRefund>, Id(id): Id) -> Result<Data<Vec<SoldLicense>>> {
    let mut tx = permit.begin();
    let orders = sold(&tx);
    queries::peek(&mut tx, orders, id).await?;
    let found: Vec<SoldLicense> = tx.only_value(given(id)).await?;
    Ok(Data::of(&found))
}

/// Suspends a license that was sold, and tells the buyer why. The next validation, from anywhere, is refused.
pub async fn suspend(
    permit: Permit<OrdersRefund>,
    ids: Ids,
    Once(key, Body(body)): Once<Body<Suspension>>,
) -> Outcome<Data<SoldLicense>> {
    change(&permit, ids, key, Some(&body.reason)).await
}

/// Lifts a suspension of a license that was sold. What its order is held for, as a refund, stays.
pub async fn reactivate(
    permit: Permit<OrdersRefund>,
    ids: Ids,
    Once(key, Body(Resumption {})): Once<Body<Resumption>>,
) -> Outcome<Data<SoldLicense>> {
    change(&permit, ids, key, None).await
}

/// Suspends with a reason, lifts without one.
async fn change(
    permit: &Access,
    Ids(id, license): Ids,
    key: Claim,
    reason: Option<&str>,
) -> Outcome<Data<SoldLicense>> {
    let mut looked = permit.begin();
    let orders = sold(&looked);
    queries::peek(&mut looked, orders, id).await?;
    // Nobody who waits for a second connection keeps one meanwhile.
    drop(looked);
    let ledger = Ledger::of_call(&permit.call, permit.principal.actor(&permit.call));
    let mut tx = ledger.begin();
    // The answer is kept with what it tells of: whoever asks again meanwhile waits for it.
    let caller = permit.caller();
    if let Some(answer) = key.take(&mut tx, caller).await? {
        return Err(Stop::Repeated(answer));
    }
    let orders = queries::both(&tx);
    let order = queries::lock(&mut tx, orders, id).await?;
    let mut before = one(&mut tx, id, license).await?;
    let now = clock::now();
    let (event, template, mut keys) = match reason {
        Some(reason) => {
            let key = licenses::suspend(&mut tx, license, reason).await?;
            ("license.revoked", "license_suspended", vec![key])
        }
        None => {
            access::hold(&mut tx, &order).await?;
            let mut keys = vec![licenses::lift(&mut tx, &permit.call, license, now).await?];
            // Its object alone may have known.
            before.status = Status::Suspended;
            // What became of the money since then.
            keys.extend(access::settle(&mut tx, &order, now).await?);
            ("license.reactivated", "license_reactivated", keys)
        }
    };
    keys.dedup();
    let after = one(&mut tx, id, license).await?;
    let (was, is) = (json!(before), json!(after));
    let seller = order
        .seller_id
        .filter(|seller| *seller != order.organization_id);
    if let (Some(seller), Some(fact)) = (seller, SOLD.fact(event, &was, &is)) {
        tx.record(Fact {
            organization_id: Some(seller),
            ..fact
        });
    }
    if reason.is_some() || after.status != Status::Suspended {
        let data = json!({
            "order_number": order.order_number, "product": after.name, "reason": reason,
        });
        let (buyer, user) = (order.organization_id, order.user_id);
        mails::post(&mut tx, buyer, user, template, data).await?;
    }
    let reply = Data::of(&after);
    key.settle(&mut tx, caller, 200, reply.data());
    ledger.commit(tx, &keys).await?;
    Ok(reply)
}

/// The licenses that an order gave, as [`SoldLicense`].
fn given(order: Uuid) -> Query {
    sql("SELECT sold_licenses($1::uuid)::text").bind(order)
}

async fn one(tx: &mut Tx, order: Uuid, license: Uuid) -> Result<SoldLicense> {
    let all: Vec<SoldLicense> = tx.value(given(order)).await?;
    let found = all.into_iter().find(|one| one.id == license);
    found.ok_or_else(|| Code::LicenseNotFound.into())
}
