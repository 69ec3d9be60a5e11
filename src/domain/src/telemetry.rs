//! What programs report of themselves.

use chrono::{DateTime, TimeDelta, Utc};

/// How old an event may be, and how far the clock of a program may be ahead.
const MAX_AGE: TimeDelta = TimeDelta::days(7);
const MAX_AHEAD: TimeDelta = TimeDelta::minutes(5);

/// When an event happened that is told `now`, by the program's own clock if it says; `None` when that
/// cannot be. What a fast clock dates to the next minutes happened now.
#[must_use]
pub fn happened(said: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let at = said.unwrap_or(now);
    (now - MAX_AGE..=now + MAX_AHEAD)
        .contains(&at)
        .then_some(at.min(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_recent() {
        let now = crate::calendar::parse_timestamp("2026-03-01T12:00:00Z").unwrap();
        let second = TimeDelta::seconds(1);
        assert_eq!(happened(None, now), Some(now));
        assert_eq!(happened(Some(now - MAX_AGE), now), Some(now - MAX_AGE));
        assert_eq!(happened(Some(now - MAX_AGE - second), now), None);
        assert_eq!(happened(Some(now + MAX_AHEAD), now), Some(now));
        assert_eq!(happened(Some(now + MAX_AHEAD + second), now), None);
    }
}
