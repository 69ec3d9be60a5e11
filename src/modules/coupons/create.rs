//! `POST /api/coupons`

use super::model::{Coupon, DiscountType, NewCoupon};
use super::queries::{COLUMNS, COUPON};
use crate::db::{Bind, Raw, Set, sql};
use crate::error::{Code, Error};
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::idempotency::Once;
use crate::http::permit::{CouponsWrite, Permit};
use crate::http::reply::Created;
use celaest_domain::billing::money::Currency;
use serde_json::json;

/// Makes a coupon.
pub async fn create(
    permit: Permit<CouponsWrite>,
    Once(key, Body(new)): Once<Body<NewCoupon>>,
) -> Outcome<Created<Coupon>> {
    let organization = permit.organization(new.organization_id.map(|id| id.0))?;
    let code = new.currency.as_deref().unwrap_or("USD");
    let currency =
        Currency::parse(code).ok_or_else(|| Error::field("currency", "does not exist"))?;
    let value = new.discount_value.text().unwrap_or_default();
    let right = match new.discount_type {
        DiscountType::Percentage => (1..=10_000).contains(&new.discount_value.hundredths()),
        DiscountType::FixedAmount => currency.minor(&value).is_some_and(|amount| amount > 0),
    };
    if !right {
        let problem =
            "must be a percentage up to 100, or an amount of the currency, and more than 0";
        return Err(Error::field("discount_value", problem).into());
    }
    let minimum = new.min_order_amount.and_then(|price| price.text());
    if minimum.is_some_and(|text| currency.minor(&text).is_none()) {
        return Err(Error::field("min_order_amount", "is no amount of the currency").into());
    }
    if let (Some(from), Some(until)) = (new.valid_from, new.valid_until)
        && until.0 <= from.0
    {
        return Err(Error::field("valid_until", "must be after valid_from").into());
    }
    let mut tx = permit.begin_once(key).await?;
    let ids: Vec<_> = new.product_ids.iter().map(|id| id.0).collect();
    if !ids.is_empty() {
        let all: bool = tx
            .value(
                sql("SELECT to_json(NOT EXISTS (
                       SELECT 1 FROM jsonb_array_elements_text($1::jsonb) AS w(id) WHERE NOT EXISTS (
                         SELECT 1 FROM products p WHERE p.id = w.id::uuid AND p.organization_id = $2::uuid
                           AND p.deleted_at IS NULL)))::text")
                .bind(json!(ids))
                .bind(organization),
            )
            .await?;
        if !all {
            return Err(Error::field("product_ids", "does not exist").into());
        }
    }
    let query = Set::new()
        .to("organization_id = {}::uuid", organization)
        .to("code = {}", &new.code)
        .to("description = {}", new.description.as_deref())
        .to(
            "discount_type = {}::discount_type",
            new.discount_type.as_str(),
        )
        .to("discount_value = {}::numeric", new.discount_value)
        .to("currency = {}", code)
        .when("min_order_amount = {}::numeric", new.min_order_amount)
        .to("max_redemptions = {}::integer", new.max_redemptions)
        .to("max_per_user = {}::integer", new.max_per_user)
        .to(
            "product_ids = ARRAY(SELECT jsonb_array_elements_text({}::jsonb)::uuid)",
            json!(ids),
        )
        .when("valid_from = {}::timestamptz", new.valid_from)
        .to("valid_until = {}::timestamptz", new.valid_until)
        .insert("coupons", "c", COLUMNS)
        .on("coupons_code_key", Code::CouponCodeTaken)
        .on(
            "coupons_validity_check",
            Error::field("valid_until", "must be after valid_from"),
        );
    let coupon: Raw<Coupon> = tx.one(query, Code::Internal).await?;
    tx.record_new(&COUPON, "coupon.created", &coupon);
    permit.commit(tx, Created::raw(&coupon)).await
}
