//! `POST /api/orders`

use super::model::{Kind, NewItem, NewOrder, Order};
use super::offers::{self, Offer};
use super::pricing::{Buyer, Draft, company, write};
use super::queries::ORDER;
use crate::config::Config;
use crate::db::{Tx, sql};
use crate::error::{Code, Error, Result};
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::idempotency::Once;
use crate::http::permit::{OrdersWrite, Permit};
use crate::http::reply::Created;
use crate::modules::coupons::queries::by_code;
use crate::modules::licenses::model::BillingCycle;
use crate::platform::clock;
use celaest_domain::billing::coupon::Refusal;
use celaest_domain::billing::totals::{Discount, Line};
use chrono::TimeDelta;
use serde_json::json;
use uuid::Uuid;

/// So long an order can be paid.
const OPEN_FOR: TimeDelta = TimeDelta::hours(24);
/// Things that one order gives, over all its lines: they come to be in one transaction.
const MAX_GIVEN: u32 = 100;

/// Orders something. Its prices are frozen from then on, and its coupon is used.
pub async fn create(
    permit: Permit<OrdersWrite>,
    Once(key, Body(new)): Once<Body<NewOrder>>,
) -> Outcome<Created<Order>> {
    let organization = permit.organization(None)?;
    let user = permit.principal.user_id;
    let given: u32 = new.items.iter().map(|item| item.quantity).sum();
    if given > MAX_GIVEN {
        return Err(Error::field("items", "asks for more than 100 things").into());
    }
    let now = clock::now();
    let mut tx = permit.begin_once(key).await?;
    let lines = offered(&mut tx, permit.call.config, &new.items).await?;
    let Some((first, _)) = lines.first() else {
        return Err(Error::field("items", "is required").into());
    };
    let (seller, currency) = (first.seller_id, first.currency);
    unchanged(&new.items, &lines)?;
    let own = company(&mut tx, organization).await?.unwrap_or_default();
    let mut draft = Draft {
        organization,
        user,
        seller,
        buyer: Buyer::of(&new.billing, own),
        kind: Kind::Purchase,
        currency,
        lines,
        discount: Discount::None,
        coupon: None,
        subscription: None,
        notes: new.notes,
        expires_at: now + OPEN_FOR,
    };
    if let Some(code) = &new.coupon_code {
        let found = by_code(&mut tx, seller, code, user).await;
        let found = found.map_err(|error| match error.code {
            Code::CouponNotFound => Error::field("coupon_code", "does not exist"),
            _ => error,
        })?;
        let mut eligible = None;
        for (offer, line) in &mut draft.lines {
            line.discounted = found.coupon.is_for(offer.product_id);
            if line.discounted {
                let amount = line.unit.saturating_mul(i64::from(line.quantity));
                eligible = Some(eligible.unwrap_or(0_i64).saturating_add(amount));
            }
        }
        let worth = found.coupon.usable(now);
        let worth = worth.and_then(|()| found.coupon.discount(currency, eligible));
        draft.discount = worth.map_err(not_applicable)?;
        draft.coupon = Some((found.id, found.code));
    }
    let order = write(&mut tx, &draft).await?;
    if let Some((coupon, _)) = &draft.coupon {
        // Last, because others wait for the coupon from here on.
        let id = order.tree()["id"].as_str().map(str::to_owned);
        let redeemed: Option<bool> = tx
            .value(
                sql("SELECT to_json(redeem_coupon($1::uuid, $2::uuid))::text")
                    .bind(*coupon)
                    .bind(id),
            )
            .await?;
        if redeemed != Some(true) {
            return Err(not_applicable(Refusal::UsedUp).into());
        }
    }
    tx.record_new(&ORDER, "order.created", &order);
    permit.commit(tx, Created::raw(&order)).await
}

fn not_applicable(reason: Refusal) -> Error {
    Error::new(Code::CouponNotApplicable).with_details(json!({ "reason": reason }))
}

/// What is offered of what is wanted, in its order; all of one seller and one currency.
async fn offered(tx: &mut Tx, config: &Config, items: &[NewItem]) -> Result<Vec<(Offer, Line)>> {
    let ids: Vec<Uuid> = items
        .iter()
        .flat_map(|item| item.product_id)
        .map(|id| id.0)
        .collect();
    let products = match ids.is_empty() {
        true => Vec::new(),
        false => offers::products(tx, &ids).await?,
    };
    let mut lines: Vec<(Offer, Line)> = Vec::with_capacity(items.len());
    for (place, item) in items.iter().enumerate() {
        let field = |name: &str, problem| Error::field(&format!("items[{place}].{name}"), problem);
        let offer = match (item.product_id, item.plan_id) {
            (Some(id), None) => {
                let found = products.iter().find(|offer| offer.product_id == Some(id.0));
                found
                    .cloned()
                    .ok_or_else(|| field("product_id", "is not for sale"))?
            }
            (None, Some(id)) => {
                let cycle = item.billing_cycle.unwrap_or(BillingCycle::Monthly);
                let found = match config.platform_organization {
                    Some(seller) => offers::plan(tx, seller, id.0, cycle).await?,
                    None => None,
                };
                found.ok_or_else(|| field("plan_id", "is not for sale"))?
            }
            _ => return Err(field("product_id", "must be there, or else plan_id")),
        };
        if let Some((first, _)) = lines.first() {
            if offer.seller_id != first.seller_id {
                return Err(field(
                    "product_id",
                    "is sold by somebody else than the first",
                ));
            }
            if offer.currency != first.currency {
                return Err(field("product_id", "has another currency than the first"));
            }
        }
        let line = Line {
            unit: offer.unit_price(offer.currency)?,
            quantity: item.quantity,
            discounted: true,
        };
        lines.push((offer, line));
    }
    Ok(lines)
}

/// The prices are those that the buyer saw.
fn unchanged(items: &[NewItem], lines: &[(Offer, Line)]) -> Result<()> {
    let changed: Vec<_> = items
        .iter()
        .zip(lines)
        .enumerate()
        .filter_map(|(place, (item, (offer, line)))| {
            let seen = crate::db::Bind::text(&item.unit_price)?;
            let same = offer.currency.minor(&seen) == Some(line.unit);
            (!same).then(|| json!({ "item": place, "unit_price": offer.price.parse::<f64>().ok() }))
        })
        .collect();
    match changed.is_empty() {
        true => Ok(()),
        false => Err(Error::new(Code::PriceChanged).with_details(json!({ "items": changed }))),
    }
}
