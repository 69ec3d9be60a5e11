//! When a receiver is tried, what its answers mean, and when it is given up.

use chrono::{DateTime, Datelike, NaiveDate};

/// Pauses before the attempts, in milliseconds: the first comes at once.
const PAUSES_MS: [i64; 10] = [
    0,
    5_000,
    5 * MINUTE_MS,
    30 * MINUTE_MS,
    2 * HOUR_MS,
    5 * HOUR_MS,
    10 * HOUR_MS,
    14 * HOUR_MS,
    20 * HOUR_MS,
    24 * HOUR_MS,
];
const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
/// The longest pause a receiver may ask for.
const MAX_RETRY_AFTER_MS: i64 = 24 * HOUR_MS;

/// When an event is tried again, in Unix milliseconds, after `tried` attempts
/// the last of which failed at `now_ms`. `None`: no more. The pause is up to a
/// tenth longer, by `random`, so that receivers are not hit by everything at
/// once; and never shorter than what the receiver asked for.
#[must_use]
pub fn next_attempt(
    tried: usize,
    now_ms: i64,
    retry_after_ms: Option<i64>,
    random: u32,
) -> Option<i64> {
    let pause = *PAUSES_MS.get(tried)?;
    let jitter = (pause / 10).saturating_mul(i64::from(random)) / i64::from(u32::MAX);
    let asked = retry_after_ms.unwrap_or(0).clamp(0, MAX_RETRY_AFTER_MS);
    Some(now_ms.saturating_add((pause + jitter).max(asked)))
}

/// The pause that a `Retry-After` header asks for, in milliseconds: seconds or
/// an HTTP date. `None` when it is neither.
#[must_use]
pub fn retry_after_ms(header: &str, now_ms: i64) -> Option<i64> {
    let text = header.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a number has are simply long.
        let seconds = text.parse::<i64>().unwrap_or(i64::MAX);
        return Some(seconds.saturating_mul(1_000).min(MAX_RETRY_AFTER_MS));
    }
    let until = http_date_ms(text, now_ms)?;
    Some(until.saturating_sub(now_ms).clamp(0, MAX_RETRY_AFTER_MS))
}

/// Reads a date in one of the three forms that RFC 9110 (5.6.7) has recipients accept: `Sun, 06 Nov 1994
/// 08:49:37 GMT`, `Sunday, 06-Nov-94 08:49:37 GMT` and `Sun Nov  6 08:49:37 1994`.
pub(crate) fn http_date_ms(text: &str, now_ms: i64) -> Option<i64> {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let (day, month, year, clock) = match words[..] {
        [_, day, month, year, clock, "GMT"] => (day, month, year.parse().ok()?, clock),
        [_, date, clock, "GMT"] => {
            let mut parts = date.split('-');
            let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
            (day, month, full_year(year.parse().ok()?, now_ms)?, clock)
        }
        [_, month, day, clock, year] => (day, month, year.parse().ok()?, clock),
        _ => return None,
    };
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let month = MONTHS.iter().position(|name| *name == month)? as u32 + 1;
    let mut clock = clock.split(':').map(str::parse::<u32>);
    let mut number = || clock.next()?.ok();
    let (hour, minute, second) = (number()?, number()?, number()?);
    // A leap second is the end of its minute.
    let time = NaiveDate::from_ymd_opt(year, month, day.parse().ok()?)?;
    let moment = time.and_hms_opt(hour, minute, second.min(59))?;
    (second <= 60 && clock.next().is_none()).then(|| moment.and_utc().timestamp_millis())
}

/// The year that two digits stand for: the latest one that is no more than 50 years ahead.
fn full_year(two: i32, now_ms: i64) -> Option<i32> {
    let latest = DateTime::from_timestamp_millis(now_ms)?.year() + 50;
    (0..100)
        .contains(&two)
        .then(|| latest - (latest - two).rem_euclid(100))
}

/// What an answer means. Nothing but 2xx is success, redirects included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The receiver has it.
    Delivered,
    /// The receiver wants nothing any more.
    Gone,
    /// To be tried again.
    Failed,
}

/// Judges an answer; no status means there was none.
#[must_use]
pub fn verdict(status: Option<u16>) -> Verdict {
    match status {
        Some(200..=299) => Verdict::Delivered,
        Some(410) => Verdict::Gone,
        _ => Verdict::Failed,
    }
}

/// What a status says that is not the receiver's own answer, for the log: one that is none, and those the
/// network in between gives when it could not reach the receiver.
#[must_use]
pub fn reason_of(status: u16) -> Option<String> {
    let words = match status {
        100..=519 | 531..=599 => return None,
        520 => "the receiver broke the connection off",
        521 => "the receiver refused the connection",
        522 => "no connection to the receiver in time",
        523 => "no way to the receiver",
        524 => "the receiver did not answer in time",
        525 => "the TLS handshake failed",
        526 => "the receiver's TLS certificate is not valid",
        527..=530 => "the receiver could not be reached",
        _ => return Some(format!("answered with the status {status}, which is none")),
    };
    Some(format!("{words} ({status})"))
}

/// Whether a webhook that has only failed since `failing_since_ms` is to be
/// disabled.
#[must_use]
pub fn has_failed_too_long(failing_since_ms: i64, now_ms: i64, disable_after_s: u32) -> bool {
    now_ms.saturating_sub(failing_since_ms) >= i64::from(disable_after_s) * 1_000
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_schedule() {
        let pauses: Vec<_> = (0..11)
            .map(|tried| next_attempt(tried, 0, None, 0))
            .collect();
        let expected = [
            0, 5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400,
        ];
        assert_eq!(pauses[..10], expected.map(|seconds| Some(seconds * 1_000)));
        assert_eq!(pauses[10], None);
        assert_eq!(next_attempt(1, 0, None, u32::MAX), Some(5_500));
        assert_eq!(next_attempt(1, 0, Some(20_000), 0), Some(20_000));
        assert_eq!(next_attempt(9, 0, Some(20_000), 0), Some(86_400_000));
        assert_eq!(next_attempt(10, 0, Some(20_000), 0), None);
    }

    #[test]
    fn retry_after_in_every_form() {
        let now = 784_111_777_000;
        for (header, expected) in [
            ("120", Some(120_000)),
            (" 0 ", Some(0)),
            ("99999999999999999999", Some(MAX_RETRY_AFTER_MS)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60_000)),
            ("Sun, 06 Nov 1994 08:49:36 GMT", Some(0)),
            ("Sun, 06 Nov 2094 08:49:37 GMT", Some(MAX_RETRY_AFTER_MS)),
            ("Sunday, 06-Nov-94 08:50:37 GMT", Some(60_000)),
            ("Sunday, 06-Nov-44 08:50:37 GMT", Some(MAX_RETRY_AFTER_MS)),
            ("Sunday, 06-Nov-45 08:50:37 GMT", Some(0)),
            ("Sun Nov  6 08:50:37 1994", Some(60_000)),
            ("Sun Nov 06 08:50:37 1994", Some(60_000)),
            ("Sun, 06 Nov 1994 08:49:60 GMT", Some(22_000)),
            ("Sunday, 06-Nov-1994 08:49:37 GMT", None),
            ("Sun Nov 31 08:50:37 1994", None),
            ("Sun, 31 Feb 1995 08:49:37 GMT", None),
            ("Sun, 06 Nov 1994 25:49:37 GMT", None),
            ("Sun, 06 Nov 1994 08:49:37 CET", None),
            ("-1", None),
            ("1.5", None),
            ("", None),
            ("soon", None),
        ] {
            assert_eq!(retry_after_ms(header, now), expected, "{header:?}");
        }
    }

    #[test]
    fn verdicts() {
        for (status, expected) in [
            (Some(200), Verdict::Delivered),
            (Some(204), Verdict::Delivered),
            (Some(299), Verdict::Delivered),
            (Some(410), Verdict::Gone),
            (Some(302), Verdict::Failed),
            (Some(304), Verdict::Failed),
            (Some(404), Verdict::Failed),
            (Some(429), Verdict::Failed),
            (Some(500), Verdict::Failed),
            (None, Verdict::Failed),
        ] {
            assert_eq!(verdict(status), expected, "{status:?}");
        }
        assert!(!has_failed_too_long(0, 431_999_999, 432_000));
        assert!(has_failed_too_long(0, 432_000_000, 432_000));
    }

    #[test]
    fn odd_statuses_have_a_reason() {
        assert_eq!(reason_of(200), None);
        assert_eq!(reason_of(503), None);
        assert!(reason_of(600).unwrap().contains("600"));
        assert!(reason_of(526).unwrap().contains("certificate"));
    }

    proptest! {
        #[test]
        fn never_earlier_than_asked_and_never_much_later(
            tried in 0..10_usize, now in 0..4_000_000_000_000_i64, asked in proptest::option::of(-5..i64::MAX), random: u32,
        ) {
            let at = next_attempt(tried, now, asked, random).unwrap();
            let pause = PAUSES_MS[tried];
            prop_assert!(at - now >= pause && at - now <= (pause + pause / 10).max(MAX_RETRY_AFTER_MS));
            prop_assert!(at - now >= asked.unwrap_or(0).min(MAX_RETRY_AFTER_MS));
        }

        #[test]
        fn no_input_panics(text in ".*", now: i64, tried: usize, random: u32) {
            let _ = (retry_after_ms(&text, now), http_date_ms(&format!("Sun, {text}"), now));
            let _ = next_attempt(tried, now, Some(now), random);
        }
    }
}
