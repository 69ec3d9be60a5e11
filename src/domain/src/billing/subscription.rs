//! What is paid again and again: when it is due, what happens when it is not paid, and what a change of plan
//! in the middle costs.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::money::share;

/// The next period is charged this long before the running one ends, so that nobody is without a license
/// while a payment is under way.
pub const LEAD: TimeDelta = TimeDelta::days(1);

/// When a payment that failed is tried again, counted from its first attempt.
pub const RETRIES: [TimeDelta; 4] = [
    TimeDelta::days(1),
    TimeDelta::days(3),
    TimeDelta::days(5),
    TimeDelta::days(7),
];

/// So long after the first failure the software goes on working: until the last attempt, and the day in which
/// it is made.
pub const GRACE: TimeDelta = TimeDelta::days(8);

/// So long a suspended subscription can be paid and goes on; then it is over.
pub const SUSPENDED_FOR: TimeDelta = TimeDelta::days(30);

/// Stored status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "SubscriptionStatus"))]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Paid up to the end of its period.
    Active,
    /// A payment failed; it is tried again, and the software works meanwhile.
    PastDue,
    /// Every attempt failed; the software does not work until it is paid.
    Suspended,
    /// Over.
    Ended,
}

impl Status {
    /// The database's spelling.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::PastDue => "past_due",
            Self::Suspended => "suspended",
            Self::Ended => "ended",
        }
    }
}

/// What follows an attempt that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Followed {
    /// It is tried again then.
    Again(DateTime<Utc>),
    /// Nobody tries again by itself: the customer has to act, for instance to authenticate; the software
    /// works until then.
    Customer(DateTime<Utc>),
    /// That was the last one.
    Suspend,
}

/// What follows a failed attempt at `now`, the `failures`th since `first`. `final_answer` is the bank's: no
/// attempt with the same card can succeed.
#[must_use]
pub fn after_failure(first: DateTime<Utc>, now: DateTime<Utc>, final_answer: bool) -> Followed {
    let end = first + GRACE;
    match RETRIES
        .iter()
        .map(|pause| first + *pause)
        .find(|at| *at > now)
    {
        _ if now >= end => Followed::Suspend,
        None => Followed::Suspend,
        Some(_) if final_answer => Followed::Customer(end),
        Some(at) => Followed::Again(at),
    }
}

/// What the rest of a period costs with another price: the new price for the time that is left, less what was
/// paid for it already. Each is rounded half up. Negative when the new price is lower.
#[must_use]
pub fn proration(
    old: i64,
    new: i64,
    (start, end): (DateTime<Utc>, DateTime<Utc>),
    now: DateTime<Utc>,
    step: i64,
) -> i64 {
    let whole = (end - start).num_seconds().max(1);
    let left = (end - now).num_seconds().clamp(0, whole);
    share(new, left, whole, step) - share(old, left, whole, step)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::parse_timestamp;
    use proptest::prelude::*;

    fn at(text: &str) -> DateTime<Utc> {
        parse_timestamp(text).unwrap()
    }

    #[test]
    fn four_more_attempts_in_a_week() {
        let first = at("2026-03-01T06:00:00Z");
        let mut now = first;
        let mut days = Vec::new();
        while let Followed::Again(next) = after_failure(first, now, false) {
            days.push((next - first).num_days());
            now = next;
        }
        assert_eq!(days, [1, 3, 5, 7]);
        assert_eq!(after_failure(first, now, false), Followed::Suspend);
        // A job that ran late does not try twice in a row.
        let late = first + TimeDelta::days(4);
        assert_eq!(
            after_failure(first, late, false),
            Followed::Again(first + TimeDelta::days(5))
        );
        assert_eq!(
            after_failure(first, first, true),
            Followed::Customer(first + GRACE)
        );
        assert_eq!(after_failure(first, first + GRACE, true), Followed::Suspend);
    }

    #[test]
    fn a_change_in_the_middle_costs_half_the_difference() {
        let period = (at("2026-04-01T00:00:00Z"), at("2026-05-01T00:00:00Z"));
        let price = |old, new, now| proration(old, new, period, at(now), 1);
        assert_eq!(price(1_000, 3_000, "2026-04-16T00:00:00Z"), 1_000);
        assert_eq!(price(3_000, 1_000, "2026-04-16T00:00:00Z"), -1_000);
        assert_eq!(price(1_000, 3_000, "2026-04-01T00:00:00Z"), 2_000);
        assert_eq!(price(1_000, 3_000, "2026-05-01T00:00:00Z"), 0);
        assert_eq!(price(1_000, 3_000, "2027-05-01T00:00:00Z"), 0);
    }

    proptest! {
        #[test]
        fn nobody_pays_more_than_the_difference(old in 0_i64..1_000_000, new in 0_i64..1_000_000, left in 0_i64..100) {
            let start = at("2026-04-01T00:00:00Z");
            let end = start + TimeDelta::days(100);
            let price = proration(old, new, (start, end), end - TimeDelta::days(left), 1);
            let (low, high) = ((new - old).min(0), (new - old).max(0));
            prop_assert!((low - 1..=high + 1).contains(&price));
        }
    }
}
