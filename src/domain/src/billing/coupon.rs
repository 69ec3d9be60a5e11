//! When a coupon counts.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::money::Currency;
use super::totals::Discount;

/// How a coupon takes something off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum DiscountType {
    /// A percentage.
    Percentage,
    /// An amount in the coupon's currency.
    FixedAmount,
}

impl DiscountType {
    /// The value of the database's `discount_type`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Percentage => "percentage",
            Self::FixedAmount => "fixed_amount",
        }
    }
}

/// A coupon, as far as rules look at it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Coupon {
    /// How it takes something off.
    pub discount_type: DiscountType,
    /// Percent or major units, a decimal number.
    pub discount_value: String,
    /// Of fixed amounts and of the minimum.
    pub currency: Currency,
    /// The least that the products it is for must come to, in major units.
    pub min_order_amount: String,
    /// How often it can be used.
    pub max_redemptions: Option<i64>,
    /// How often by one person.
    pub max_per_user: Option<i64>,
    /// How often it was.
    pub redemption_count: i64,
    /// How often by this person.
    pub redeemed_by_user: i64,
    /// From when.
    pub valid_from: DateTime<Utc>,
    /// Until when.
    pub valid_until: Option<DateTime<Utc>>,
    /// It was not switched off.
    pub is_active: bool,
    /// For these products only; empty: for all of the seller.
    pub product_ids: Vec<Uuid>,
}

/// Why a coupon does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "CouponRefusal"))]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// It was switched off.
    Inactive,
    /// Its time has not come.
    NotYetValid,
    /// Its time is over.
    Expired,
    /// It was used as often as it can be.
    UsedUp,
    /// This person used it as often as one can.
    UsedByCustomer,
    /// It is for other products.
    OtherProducts,
    /// It is for less than that.
    BelowMinimum,
    /// It is in another currency.
    OtherCurrency,
}

impl Coupon {
    /// Whether it is for a product; plans are of no product.
    #[must_use]
    pub fn is_for(&self, product: Option<Uuid>) -> bool {
        self.product_ids.is_empty() || product.is_some_and(|id| self.product_ids.contains(&id))
    }

    /// Whether it can be used now at all.
    ///
    /// # Errors
    /// Why not.
    pub fn usable(&self, now: DateTime<Utc>) -> Result<(), Refusal> {
        let reached = |count: i64, most: Option<i64>| most.is_some_and(|most| count >= most);
        if !self.is_active {
            return Err(Refusal::Inactive);
        }
        if now < self.valid_from {
            return Err(Refusal::NotYetValid);
        }
        if self.valid_until.is_some_and(|until| now >= until) {
            return Err(Refusal::Expired);
        }
        if reached(self.redemption_count, self.max_redemptions) {
            return Err(Refusal::UsedUp);
        }
        if reached(self.redeemed_by_user, self.max_per_user) {
            return Err(Refusal::UsedByCustomer);
        }
        Ok(())
    }

    /// What it takes off an order whose products it is for come to `eligible` minor units of `currency`.
    ///
    /// # Errors
    /// Why nothing.
    pub fn discount(&self, currency: Currency, eligible: Option<i64>) -> Result<Discount, Refusal> {
        let Some(eligible) = eligible else {
            return Err(Refusal::OtherProducts);
        };
        let minimum = self.currency.minor(&self.min_order_amount).unwrap_or(0);
        let needs_currency = minimum > 0 || self.discount_type == DiscountType::FixedAmount;
        if needs_currency && self.currency != currency {
            return Err(Refusal::OtherCurrency);
        }
        if eligible < minimum {
            return Err(Refusal::BelowMinimum);
        }
        Ok(match self.discount_type {
            DiscountType::Percentage => Discount::Percent(hundredths(&self.discount_value)),
            DiscountType::FixedAmount => {
                Discount::Fixed(currency.minor(&self.discount_value).unwrap_or(0))
            }
        })
    }
}

/// A decimal number with two decimals at most, in hundredths.
fn hundredths(text: &str) -> i64 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let fraction = fraction.get(..2).unwrap_or(fraction);
    format!("{whole}{fraction:0<2}").parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::parse_timestamp;

    fn coupon() -> Coupon {
        Coupon {
            discount_type: DiscountType::Percentage,
            discount_value: "12.50".into(),
            currency: Currency::parse("USD").unwrap(),
            min_order_amount: "0.00".into(),
            max_redemptions: Some(3),
            max_per_user: Some(1),
            redemption_count: 0,
            redeemed_by_user: 0,
            valid_from: parse_timestamp("2026-01-01T00:00:00Z").unwrap(),
            valid_until: parse_timestamp("2026-02-01T00:00:00Z"),
            is_active: true,
            product_ids: vec![],
        }
    }

    #[test]
    fn when_it_can_be_used() {
        let at = |text| parse_timestamp(text).unwrap();
        let (early, good, late) = (
            at("2025-12-31T23:59:59Z"),
            at("2026-01-01T00:00:00Z"),
            at("2026-02-01T00:00:00Z"),
        );
        assert_eq!(coupon().usable(good), Ok(()));
        assert_eq!(coupon().usable(early), Err(Refusal::NotYetValid));
        assert_eq!(coupon().usable(late), Err(Refusal::Expired));
        let with = |change: fn(&mut Coupon)| {
            let mut coupon = coupon();
            change(&mut coupon);
            coupon.usable(good)
        };
        assert_eq!(with(|c| c.redemption_count = 3), Err(Refusal::UsedUp));
        assert_eq!(
            with(|c| c.redeemed_by_user = 1),
            Err(Refusal::UsedByCustomer)
        );
        assert_eq!(with(|c| c.is_active = false), Err(Refusal::Inactive));
        assert_eq!(with(|c| c.max_redemptions = None), Ok(()));
    }

    #[test]
    fn what_it_takes_off() {
        let usd = Currency::parse("USD").unwrap();
        let yen = Currency::parse("JPY").unwrap();
        assert_eq!(
            coupon().discount(usd, Some(100)),
            Ok(Discount::Percent(1_250))
        );
        assert_eq!(
            coupon().discount(yen, Some(100)),
            Ok(Discount::Percent(1_250))
        );
        assert_eq!(coupon().discount(usd, None), Err(Refusal::OtherProducts));
        let fixed = Coupon {
            discount_type: DiscountType::FixedAmount,
            discount_value: "20.00".into(),
            min_order_amount: "50.00".into(),
            ..coupon()
        };
        assert_eq!(fixed.discount(usd, Some(5_000)), Ok(Discount::Fixed(2_000)));
        assert_eq!(fixed.discount(usd, Some(4_999)), Err(Refusal::BelowMinimum));
        assert_eq!(
            fixed.discount(yen, Some(5_000)),
            Err(Refusal::OtherCurrency)
        );
    }

    #[test]
    fn percentages_are_read_in_hundredths() {
        for (text, is) in [
            ("10", 1_000),
            ("12.5", 1_250),
            ("0.01", 1),
            ("100.00", 10_000),
        ] {
            assert_eq!(hundredths(text), is);
        }
    }
}
