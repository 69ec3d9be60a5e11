//! Calendar months, billing cycles and renewals.

use chrono::{DateTime, Datelike, Months, TimeDelta, Timelike, Utc};
use serde::{Deserialize, Serialize};

/// The years the system stores: what RFC 3339 can write with four digits.
const YEARS: std::ops::RangeInclusive<i32> = 1970..=9999;

/// Whether a moment is one the system stores (years 1970 to 9999).
#[must_use]
pub fn is_supported(moment: DateTime<Utc>) -> bool {
    YEARS.contains(&moment.year())
}

/// Reads an RFC 3339 timestamp within the supported years. A 60th second is one only at the end of a month
/// in UTC, where leap seconds are (RFC 3339, appendix D), and stands for the beginning of the next minute,
/// as everybody after us reads it.
#[must_use]
pub fn parse_timestamp(text: &str) -> Option<DateTime<Utc>> {
    if text.len() > 40 {
        return None;
    }
    let moment = DateTime::parse_from_rfc3339(text).ok()?.to_utc();
    let nanos = moment.timestamp_subsec_nanos();
    let whole = match nanos.checked_sub(1_000_000_000) {
        None => moment,
        Some(rest) => {
            let next = DateTime::from_timestamp(moment.timestamp() + 1, rest)?;
            let begins_month = next.day() == 1 && next.num_seconds_from_midnight() == 0;
            begins_month.then_some(next)?
        }
    };
    is_supported(whole).then_some(whole)
}

/// The same day and time `months` later, or the month's last day where that
/// day does not exist. `None` beyond the supported years.
#[must_use]
pub fn add_months(moment: DateTime<Utc>, months: u32) -> Option<DateTime<Utc>> {
    moment
        .checked_add_months(Months::new(months))
        .filter(|later| is_supported(*later))
}

/// How often a plan is billed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum BillingCycle {
    /// Every month.
    #[default]
    Monthly,
    /// Every three months.
    Quarterly,
    /// Every year.
    Yearly,
    /// Once; never expires.
    Lifetime,
    /// By what is consumed, counted monthly.
    UsageBased,
}

impl BillingCycle {
    /// The value of the database's `billing_cycle`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Monthly => "monthly",
            Self::Quarterly => "quarterly",
            Self::Yearly => "yearly",
            Self::Lifetime => "lifetime",
            Self::UsageBased => "usage_based",
        }
    }

    /// Length of one cycle in calendar months; `None` for a lifetime.
    #[must_use]
    pub fn months(self) -> Option<u32> {
        match self {
            Self::Monthly | Self::UsageBased => Some(1),
            Self::Quarterly => Some(3),
            Self::Yearly => Some(12),
            Self::Lifetime => None,
        }
    }
}

/// The day of the month on which something ends that began at `start` and ends at `expiry`: the one that the
/// end lost to a shorter month, or else its own.
#[must_use]
pub fn renewal_day(start: DateTime<Utc>, expiry: DateTime<Utc>) -> u32 {
    match is_cut(expiry, start.day()) {
        true => start.day(),
        false => expiry.day(),
    }
}

/// Whether a moment is on the last day of a month that has no such `day`.
fn is_cut(moment: DateTime<Utc>, day: u32) -> bool {
    moment.day() < day && (moment + TimeDelta::days(1)).day() == 1
}

/// The expiry after a renewal by `months`, and the day of the month that it is meant to be on: counted from
/// the `old` expiry while that is still ahead (nothing paid is lost), otherwise from now. What was meant to
/// be on a `day` that a shorter month does not have gets it back. `None` beyond the supported years.
#[must_use]
pub fn renewed_expiry(
    day: u32,
    old: DateTime<Utc>,
    now: DateTime<Utc>,
    months: u32,
) -> Option<(DateTime<Utc>, u32)> {
    if old <= now {
        return Some((add_months(now, months)?, now.day()));
    }
    let later = add_months(old, months)?;
    if !is_cut(old, day) {
        return Some((later, day));
    }
    let mut days = (later.day()..=day).rev();
    Some((days.find_map(|day| later.with_day(day))?, day))
}

/// The running period, of `months` months each counted from `start`: the one
/// that contains `now`, or the first while `start` is ahead. Counting from the
/// start keeps the 31st from drifting to the 28th. `None` beyond the supported
/// years.
#[must_use]
pub fn running_period(
    start: DateTime<Utc>,
    months: u32,
    now: DateTime<Utc>,
) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    let months = months.max(1);
    let between = (now.year() - start.year()) * 12 + now.month() as i32 - start.month() as i32;
    // Never past the period that is running, at most one before it.
    let mut passed = u32::try_from(between).unwrap_or(0).saturating_sub(1) / months;
    loop {
        let first = add_months(start, passed * months)?;
        let last = add_months(start, (passed + 1) * months)?;
        if now < last {
            return Some((first, last));
        }
        passed += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_running_period_is_counted_from_the_start() {
        let period = |start, months, now| running_period(at(start), months, at(now)).unwrap();
        assert_eq!(
            period("2020-01-31T00:00:00Z", 1, "2026-03-15T00:00:00Z"),
            (at("2026-02-28T00:00:00Z"), at("2026-03-31T00:00:00Z"))
        );
        assert_eq!(
            period("2020-05-10T00:00:00Z", 12, "2026-03-15T00:00:00Z"),
            (at("2025-05-10T00:00:00Z"), at("2026-05-10T00:00:00Z"))
        );
        assert_eq!(
            period("2027-01-01T00:00:00Z", 3, "2026-03-15T00:00:00Z"),
            (at("2027-01-01T00:00:00Z"), at("2027-04-01T00:00:00Z"))
        );
    }

    proptest! {
        #[test]
        fn the_running_period_contains_now(
            start in 0i64..4_000_000_000,
            ahead in 0i64..4_000_000_000,
            months in 1u32..=24,
        ) {
            let start = DateTime::from_timestamp(start, 0).unwrap();
            let now = start + chrono::Duration::seconds(ahead);
            let (first, last) = running_period(start, months, now).unwrap();
            prop_assert!(first <= now && now < last);
        }
    }

    fn at(text: &str) -> DateTime<Utc> {
        parse_timestamp(text).unwrap()
    }

    #[test]
    fn the_end_of_a_month_is_kept_in_bounds() {
        assert_eq!(
            add_months(at("2026-01-31T10:00:00Z"), 1),
            Some(at("2026-02-28T10:00:00Z"))
        );
        assert_eq!(
            add_months(at("2028-01-31T10:00:00Z"), 1),
            Some(at("2028-02-29T10:00:00Z"))
        );
        assert_eq!(
            add_months(at("2026-12-15T00:00:00Z"), 3),
            Some(at("2027-03-15T00:00:00Z"))
        );
    }

    #[test]
    fn a_renewal_keeps_what_was_paid() {
        let now = at("2026-05-10T00:00:00Z");
        let renewed = |old, months| renewed_expiry(1, at(old), now, months);
        assert_eq!(
            renewed("2026-06-01T00:00:00Z", 1),
            Some((at("2026-07-01T00:00:00Z"), 1))
        );
        assert_eq!(
            renewed("2026-01-01T00:00:00Z", 1),
            Some((at("2026-06-10T00:00:00Z"), 10))
        );
    }

    #[test]
    fn renewals_do_not_drift_to_shorter_months() {
        let now = at("2026-01-31T12:00:00Z");
        // Whether it is ahead still, or has lapsed.
        for mut expiry in [now + TimeDelta::seconds(1), now - TimeDelta::days(40)] {
            let mut day = renewal_day(now, expiry);
            let mut ends = Vec::new();
            for months in [1, 1, 2, 1, 8] {
                (expiry, day) = renewed_expiry(day, expiry, now, months).unwrap();
                ends.push((expiry.month(), expiry.day()));
            }
            assert_eq!(ends, [(2, 28), (3, 31), (5, 31), (6, 30), (2, 28)]);
        }
        // What was never longer stays as it is.
        let february = at("2026-02-28T00:00:00Z");
        let day = renewal_day(at("2026-01-28T00:00:00Z"), february);
        let march = at("2026-03-28T00:00:00Z");
        assert_eq!(renewed_expiry(day, february, now, 1), Some((march, 28)));
    }

    #[test]
    fn an_end_has_the_day_it_says_or_lost() {
        let day = |start, expiry| renewal_day(at(start), at(expiry));
        let (fifteenth, last) = ("2026-01-15T00:00:00Z", "2026-01-31T00:00:00Z");
        assert_eq!(day(fifteenth, last), 31);
        assert_eq!(day(last, "2026-02-28T00:00:00Z"), 31);
        assert_eq!(day(last, "2028-02-28T00:00:00Z"), 28);
        assert_eq!(day(fifteenth, "2026-02-28T00:00:00Z"), 28);
    }

    #[test]
    fn a_leap_second_is_the_next_minute() {
        assert_eq!(
            parse_timestamp("2016-12-31T23:59:60Z"),
            Some(at("2017-01-01T00:00:00Z"))
        );
        assert_eq!(
            parse_timestamp("2015-07-01T05:29:60.5+05:30"),
            Some(at("2015-07-01T00:00:00.5Z"))
        );
        for wrong in [
            "9999-12-31T23:59:60Z",
            "2016-12-31T23:58:60Z",
            "2016-12-31T12:59:60Z",
            "2016-12-30T23:59:60Z",
            "2016-12-31T23:59:60-06:00",
            "2016-12-31T23:59:61Z",
        ] {
            assert_eq!(parse_timestamp(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn impossible_times_are_refused() {
        for text in [
            "300000-01-01T00:00:00Z",
            "+12000-01-01T00:00:00Z",
            "1969-12-31T00:00:00Z",
            "2026-02-30T00:00:00Z",
            "2026-01-01",
            "infinity",
            "",
        ] {
            assert_eq!(parse_timestamp(text), None, "{text}");
        }
        assert_eq!(add_months(at("9999-12-01T00:00:00Z"), 1), None);
        assert_eq!(add_months(DateTime::<Utc>::MAX_UTC, u32::MAX), None);
    }

    proptest! {
        /// However often it is renewed, it ends on its day, or on the last of a month that has none.
        #[test]
        fn renewals_keep_their_day(
            first in 0i64..2_000_000_000,
            renewals in proptest::collection::vec(1u32..=24, 1..12),
        ) {
            let first = DateTime::from_timestamp(first, 0).unwrap();
            let (mut expiry, mut day) = (first, renewal_day(first - TimeDelta::days(14), first));
            for months in renewals {
                (expiry, day) = renewed_expiry(day, expiry, first - TimeDelta::days(1), months).unwrap();
                prop_assert!(expiry.day() == day || is_cut(expiry, day));
            }
            prop_assert_eq!(expiry.time(), first.time());
        }

        #[test]
        fn months_never_panic_and_never_go_back(seconds: i64, months: u32) {
            let moment = DateTime::from_timestamp(seconds, 0).unwrap_or_default();
            if let Some(later) = add_months(moment, months) {
                prop_assert!(later >= moment);
                prop_assert!(later.day() <= moment.day());
            }
        }
    }
}
