//! Until when a provider wants to be left alone, and what it says of its limits.

use chrono::{DateTime, Datelike, NaiveDate, Weekday};
use serde_json::Value;

use super::Head;
use crate::ai::provider::Provider;
use crate::webhook::http_date_ms;

const SECOND_MS: i64 = 1_000;
const HOUR_MS: i64 = 3_600 * SECOND_MS;
/// The longest pause that is believed: a day, where one of them may have 25 hours.
const MAX_PAUSE_MS: i64 = 25 * HOUR_MS;

/// What a provider said of one of a key's limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Window {
    /// How much is left.
    remaining: Option<u64>,
    /// When all of it is there again, in Unix milliseconds.
    reset_ms: Option<i64>,
}

/// What a provider said of a key's limits. Groq's requests are those of a day, all others those of a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Limits {
    /// Requests.
    requests: Window,
    /// Tokens; where there are several limits, the one of which least is left.
    tokens: Window,
}

/// Reads the limits from an answer's headers. Where none is named, all is `None`.
fn limits(provider: Provider, head: &Head, now_ms: i64) -> Limits {
    let read = |what: &str| {
        let get = |which: &str| match provider {
            Provider::Anthropic => head.get(&format!("anthropic-ratelimit-{what}-{which}")),
            _ => head.get(&format!("x-ratelimit-{which}-{what}")),
        };
        let number = |which: &str| get(which)?.parse().ok();
        Window {
            remaining: number("remaining"),
            reset_ms: get("reset").and_then(|text| moment(text, now_ms)),
        }
    };
    match provider {
        Provider::OpenAi | Provider::Groq => Limits {
            requests: read("requests"),
            tokens: read("tokens"),
        },
        Provider::Anthropic => Limits {
            requests: read("requests"),
            tokens: ["tokens", "input-tokens", "output-tokens"]
                .into_iter()
                .map(read)
                .min_by_key(|it| it.remaining.unwrap_or(u64::MAX))
                .unwrap_or_default(),
        },
        _ => Limits::default(),
    }
}

/// Until when the key rests after this answer, in Unix milliseconds: what `Retry-After` says, else what the body
/// says, else when what is used up is there again. `None`: nothing is said.
pub(super) fn until(provider: Provider, head: &Head, body: &Value, now_ms: i64) -> Option<i64> {
    let told = retry_after(head, now_ms).or_else(|| retry_info(body, now_ms));
    let day =
        (provider == Provider::Gemini && is_of_the_day(body)).then(|| next_pacific_day(now_ms));
    let limits = limits(provider, head, now_ms);
    let used_up = [limits.requests, limits.tokens]
        .into_iter()
        .filter(|it| it.remaining == Some(0))
        .filter_map(|it| it.reset_ms)
        .max();
    let until = told.max(day).or(used_up)?;
    Some(until.clamp(now_ms, now_ms.saturating_add(MAX_PAUSE_MS)))
}

fn retry_after(head: &Head, now_ms: i64) -> Option<i64> {
    let after = |ms: f64| {
        // More than is believed, and then more than a number holds, is cut.
        (ms.is_finite() && ms >= 0.0).then(|| now_ms.saturating_add(ms.ceil() as i64))
    };
    let number = |name: &str| head.get(name)?.parse::<f64>().ok();
    number("retry-after-ms")
        .and_then(after)
        .or_else(|| number("retry-after").and_then(|seconds| after(seconds * 1_000.0)))
        .or_else(|| http_date_ms(head.get("retry-after")?, now_ms))
}

/// Gemini's details of an error.
fn details(body: &Value) -> &[Value] {
    body["error"]["details"]
        .as_array()
        .map_or(&[], Vec::as_slice)
}

fn retry_info(body: &Value, now_ms: i64) -> Option<i64> {
    let delay = details(body)
        .iter()
        .find_map(|it| it["retryDelay"].as_str())?;
    Some(now_ms.saturating_add(duration_ms(delay)?))
}

/// Whether what is used up is a quota of a day.
pub(super) fn is_of_the_day(body: &Value) -> bool {
    let violations = |it: &Value| it["violations"].as_array().cloned().unwrap_or_default();
    let ids = details(body).iter().flat_map(violations);
    ids.into_iter().any(|it| {
        it["quotaId"]
            .as_str()
            .is_some_and(|id| id.contains("PerDay"))
    })
}

/// `6m0s`, `7.66s`, `120ms` from now, or a date.
fn moment(text: &str, now_ms: i64) -> Option<i64> {
    let dated = || Some(DateTime::parse_from_rfc3339(text).ok()?.timestamp_millis());
    duration_ms(text)
        .map(|ms| now_ms.saturating_add(ms))
        .or_else(dated)
}

/// `1h2m3.5s`, `120ms`.
fn duration_ms(text: &str) -> Option<i64> {
    let mut rest = text.trim();
    let mut sum = 0.0;
    while !rest.is_empty() {
        let end = rest.find(|char: char| !char.is_ascii_digit() && char != '.')?;
        let number: f64 = rest[..end].parse().ok()?;
        let unit = rest[end..]
            .find(|char: char| char.is_ascii_digit())
            .unwrap_or(rest.len() - end);
        sum += number
            * match &rest[end..end + unit] {
                "ms" => 1.0,
                "s" => 1_000.0,
                "m" => 60_000.0,
                "h" => 3_600_000.0,
                "d" => 86_400_000.0,
                _ => return None,
            };
        rest = &rest[end + unit..];
    }
    (!text.trim().is_empty()).then(|| f64::ceil(sum) as i64)
}

/// The next midnight in California, where the days of Gemini's quotas begin.
fn next_pacific_day(now_ms: i64) -> i64 {
    let day_ms = 24 * HOUR_MS;
    let local = now_ms.saturating_add(pacific_offset_ms(now_ms));
    let midnight = local
        .div_euclid(day_ms)
        .saturating_add(1)
        .saturating_mul(day_ms);
    // The clocks may be changed before it.
    midnight - pacific_offset_ms(midnight - pacific_offset_ms(now_ms))
}

/// Summer time is from the second Sunday of March to the first of November, at two o'clock.
fn pacific_offset_ms(at_ms: i64) -> i64 {
    let (winter, summer) = (-8 * HOUR_MS, -7 * HOUR_MS);
    let Some(at) = DateTime::from_timestamp_millis(at_ms) else {
        return winter;
    };
    let change = |month: u32, nth: u8, hour: u32| {
        let day = NaiveDate::from_weekday_of_month_opt(at.year(), month, Weekday::Sun, nth)?;
        Some(day.and_hms_opt(hour, 0, 0)?.and_utc().timestamp_millis())
    };
    match (change(3, 2, 10), change(11, 1, 9)) {
        (Some(from), Some(to)) if (from..to).contains(&at_ms) => summer,
        _ => winter,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    const NOW: i64 = 1_795_651_200_000; // 2026-11-26T00:00:00Z

    fn head(headers: &[(&str, &str)]) -> Head {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Head {
            status: 429,
            headers: headers.iter().map(own).collect(),
        }
    }

    fn pause(provider: Provider, headers: &[(&str, &str)], body: &Value) -> Option<i64> {
        until(provider, &head(headers), body, NOW).map(|it| it - NOW)
    }

    #[test]
    fn retry_after_in_every_form() {
        let of = |headers: &[(&str, &str)]| pause(Provider::OpenAi, headers, &Value::Null);
        assert_eq!(of(&[("retry-after", "20")]), Some(20_000));
        assert_eq!(of(&[("retry-after", "7.66")]), Some(7_660));
        assert_eq!(of(&[("retry-after", "0")]), Some(0));
        assert_eq!(
            of(&[("retry-after", "20"), ("retry-after-ms", "1500")]),
            Some(1_500)
        );
        assert_eq!(
            of(&[("retry-after", "Thu, 26 Nov 2026 00:00:30 GMT")]),
            Some(30_000)
        );
        assert_eq!(
            of(&[("retry-after", "Wed, 25 Nov 2026 00:00:30 GMT")]),
            Some(0)
        );
        assert_eq!(of(&[("retry-after", "1e300")]), Some(MAX_PAUSE_MS));
        assert_eq!(of(&[("retry-after", "-5")]), None);
        assert_eq!(of(&[("retry-after", "NaN")]), None);
        assert_eq!(of(&[("retry-after", "soon")]), None);
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn what_is_used_up() {
        let of = |headers: &[(&str, &str)]| pause(Provider::Groq, headers, &Value::Null);
        let requests = ("x-ratelimit-remaining-requests", "0");
        assert_eq!(
            of(&[requests, ("x-ratelimit-reset-requests", "2m59.56s")]),
            Some(179_560)
        );
        assert_eq!(
            of(&[
                ("x-ratelimit-remaining-requests", "3"),
                ("x-ratelimit-reset-requests", "6m0s")
            ]),
            None
        );
        assert_eq!(
            of(&[
                requests,
                ("x-ratelimit-reset-requests", "6m0s"),
                ("x-ratelimit-remaining-tokens", "0"),
                ("x-ratelimit-reset-tokens", "120ms"),
            ]),
            Some(360_000)
        );
        assert_eq!(
            of(&[
                requests,
                ("x-ratelimit-reset-requests", "6m0s"),
                ("retry-after", "2")
            ]),
            Some(2_000)
        );
        let anthropic = [
            ("anthropic-ratelimit-requests-limit", "50"),
            ("anthropic-ratelimit-requests-remaining", "49"),
            ("anthropic-ratelimit-requests-reset", "2026-11-26T00:00:01Z"),
            ("anthropic-ratelimit-input-tokens-remaining", "900"),
            ("anthropic-ratelimit-output-tokens-remaining", "0"),
            (
                "anthropic-ratelimit-output-tokens-reset",
                "2026-11-26T00:00:12Z",
            ),
        ];
        assert_eq!(
            pause(Provider::Anthropic, &anthropic, &Value::Null),
            Some(12_000)
        );
        let found = limits(Provider::Anthropic, &head(&anthropic), NOW);
        assert_eq!(found.tokens.remaining, Some(0));
        assert_eq!(
            limits(Provider::Gemini, &head(&[requests]), NOW),
            Limits::default()
        );
    }

    #[test]
    fn gemini_says_it_in_the_body() {
        let body = |quota: &str| {
            json!({"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "details": [
                {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": quota}]},
                {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.5s"},
            ]}})
        };
        let minute = body("GenerateRequestsPerMinutePerProjectPerModel");
        assert_eq!(pause(Provider::Gemini, &[], &minute), Some(34_500));
        // Midnight in California is eight o'clock in UTC.
        let day = body("GenerateRequestsPerDayPerProjectPerModel-FreeTier");
        assert_eq!(pause(Provider::Gemini, &[], &day), Some(8 * HOUR_MS));
    }

    #[test]
    fn days_of_california() {
        let ms = |text: &str| {
            DateTime::parse_from_rfc3339(text)
                .unwrap()
                .timestamp_millis()
        };
        for (now, next) in [
            ("2026-07-01T06:59:59Z", "2026-07-01T07:00:00Z"),
            ("2026-07-01T07:00:00Z", "2026-07-02T07:00:00Z"),
            ("2026-12-01T07:59:59Z", "2026-12-01T08:00:00Z"),
            // 23 and 25 hours long.
            ("2026-03-08T08:00:00Z", "2026-03-09T07:00:00Z"),
            ("2026-11-01T07:00:00Z", "2026-11-02T08:00:00Z"),
        ] {
            assert_eq!(next_pacific_day(ms(now)), ms(next), "{now}");
        }
    }

    #[test]
    fn durations() {
        for (text, ms) in [
            ("6m0s", Some(360_000)),
            ("7.66s", Some(7_660)),
            ("2m59.56s", Some(179_560)),
            ("120ms", Some(120)),
            ("1h0m1s", Some(3_601_000)),
            ("2d", Some(172_800_000)),
            ("", None),
            ("5", None),
            ("s", None),
            ("1y", None),
        ] {
            assert_eq!(duration_ms(text), ms, "{text}");
        }
    }

    proptest! {
        #[test]
        fn never_in_the_past_never_too_far(text in ".{0,20}", more in "[0-9.hmsd]{0,12}", now in 0..4_000_000_000_000_i64) {
            for value in [text, more] {
                let names = ["retry-after", "retry-after-ms", "x-ratelimit-reset-tokens"];
                for name in names {
                    let head = head(&[(name, &value), ("x-ratelimit-remaining-tokens", "0")]);
                    if let Some(until) = until(Provider::OpenAi, &head, &Value::Null, now) {
                        prop_assert!((now..=now + MAX_PAUSE_MS).contains(&until));
                    }
                }
            }
            let day = next_pacific_day(now) - now;
            prop_assert!(day > 0 && day <= 25 * HOUR_MS);
        }
    }
}
