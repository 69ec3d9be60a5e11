//! Calendar months, billing cycles and renewals.

use chrono::{DateTime, Datelike, Months, Utc};

/// The years the system stores: what RFC 3339 can write with four digits.
const YEARS: std::ops::RangeInclusive<i32> = 1970..=9999;

/// Whether a moment is one the system stores (years 1970 to 9999).
#[must_use]
pub fn is_supported(moment: DateTime<Utc>) -> bool {
    YEARS.contains(&moment.year())
}

/// Reads an RFC 3339 timestamp within the supported years.
#[must_use]
pub fn parse_timestamp(text: &str) -> Option<DateTime<Utc>> {
    if text.len() > 40 {
        return None;
    }
    let moment = DateTime::parse_from_rfc3339(text).ok()?.with_timezone(&Utc);
    is_supported(moment).then_some(moment)
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BillingCycle {
    /// Every month.
    Monthly,
    /// Every three months.
    Quarterly,
    /// Every twelve months.
    Yearly,
    /// Once; never expires.
    Lifetime,
    /// By consumption, settled monthly.
    UsageBased,
}

impl BillingCycle {
    /// Reads the database's spelling.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "monthly" => Self::Monthly,
            "quarterly" => Self::Quarterly,
            "yearly" => Self::Yearly,
            "lifetime" => Self::Lifetime,
            "usage_based" => Self::UsageBased,
            _ => return None,
        })
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

/// The expiry after a renewal by `months`: counted from the old expiry while it
/// is still ahead (nothing paid is lost), otherwise from now. `None` beyond the
/// supported years.
#[must_use]
pub fn renewed_expiry(
    old: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
    months: u32,
) -> Option<DateTime<Utc>> {
    add_months(old.filter(|old| *old > now).unwrap_or(now), months)
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
        let ahead = Some(at("2026-06-01T00:00:00Z"));
        let past = Some(at("2026-01-01T00:00:00Z"));
        assert_eq!(
            renewed_expiry(ahead, now, 1),
            Some(at("2026-07-01T00:00:00Z"))
        );
        assert_eq!(
            renewed_expiry(past, now, 1),
            Some(at("2026-06-10T00:00:00Z"))
        );
        assert_eq!(
            renewed_expiry(None, now, 12),
            Some(at("2027-05-10T00:00:00Z"))
        );
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
