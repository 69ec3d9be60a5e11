//! `GET /api/coupons/{key}/validate`

use super::model::Worth;
use super::queries;
use crate::error::{Code, Error, Result};
use crate::http::params::{Key, Query};
use crate::http::permit::{CouponsRead, Permit};
use crate::http::reply::Data;
use crate::http::types::Ident;
use crate::modules::orders::model::MAX_QUANTITY;
use crate::modules::orders::offers;
use crate::platform::clock;
use celaest_domain::billing::totals::{Discount, Line, price};
use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;

/// What the coupon is to be used for.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(rename = "CouponUse")]
pub struct Use {
    /// The product that is bought.
    pub product_id: Ident,
    /// How many of it. Default 1.
    #[garde(inner(range(min = 1, max = MAX_QUANTITY)))]
    pub quantity: Option<u32>,
}

/// What a coupon takes off a product for the caller. Nothing is used up by asking.
pub async fn validate(
    permit: Permit<CouponsRead>,
    Key(code): Key,
    Query(wanted): Query<Use>,
) -> Result<Data<Worth>> {
    let now = clock::now();
    let mut tx = permit.begin();
    let product = wanted.product_id.0;
    let offer = offers::product(&mut tx, product).await?;
    let offer = offer.ok_or_else(|| Error::field("product_id", "does not exist"))?;
    let found = queries::by_code(&mut tx, offer.seller_id, &code, permit.principal.user_id).await;
    // A name of the path, as any other.
    let found = found.map_err(|error| match error.code {
        Code::CouponNotFound => Code::NotFound.into(),
        _ => error,
    })?;
    let currency = offer.currency;
    let unit = offer.unit_price(currency)?;
    let line = Line {
        unit,
        quantity: wanted.quantity.unwrap_or(1),
        discounted: true,
    };
    let coupon = &found.coupon;
    let eligible = coupon
        .is_for(Some(product))
        .then(|| unit.saturating_mul(i64::from(line.quantity)));
    let outcome = coupon
        .usable(now)
        .and_then(|()| coupon.discount(currency, eligible));
    let amount = match outcome {
        Ok(discount) => price(currency, &[line], discount, &[]).ok(),
        Err(_) => None,
    };
    permit.commit_aside(tx).await?;
    let number = |text: &str| text.parse::<f64>().unwrap_or_default();
    Ok(Data::of(&Worth {
        code: found.code,
        is_valid: outcome.is_ok(),
        reason: outcome.err(),
        discount_type: coupon.discount_type,
        discount_value: number(&coupon.discount_value),
        currency: coupon.currency.to_string(),
        discount_amount: amount
            .filter(|_| !matches!(outcome, Ok(Discount::None)))
            .map(|totals| number(&currency.major(totals.discount))),
    }))
}
