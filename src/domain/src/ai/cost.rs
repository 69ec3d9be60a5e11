//! What a call costs, in whole micro-dollars.

use chrono::{DateTime, Datelike, Timelike, Weekday};
use serde::{Deserialize, Serialize};

use super::chat::Usage;

/// The price of a thousand tokens, in billionths of a dollar: what `numeric(…, 9)` holds, exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Price(pub u64);

impl Price {
    /// Reads dollars per thousand tokens as PostgreSQL writes them: `0.000075`. `None` when it is no such
    /// number or has more than nine places.
    #[must_use]
    pub fn per_1k(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let fraction = fraction.trim_end_matches('0');
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(fraction) || fraction.len() > 9 {
            return None;
        }
        let whole: u64 = whole.parse().ok()?;
        let fraction: u64 = format!("{fraction:0<9}").parse().ok()?;
        whole
            .checked_mul(1_000_000_000)?
            .checked_add(fraction)
            .map(Self)
    }
}

/// What a model's tokens cost.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Prices {
    /// Of the question; `None`: nobody knows.
    pub input: Option<Price>,
    /// Of what is read from a cache; `None`: no other price than the question's.
    pub cached: Option<Price>,
    /// Of the answer; `None`: nobody knows.
    pub output: Option<Price>,
    /// What makes it dearer.
    pub surcharges: Surcharges,
}

/// When a model is dearer. In `ai_models.metadata` under `pricing`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "AiSurcharges"))]
#[serde(default, deny_unknown_fields)]
pub struct Surcharges {
    /// For long questions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub long_context: Option<LongContext>,
    /// At some hours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak: Option<Peak>,
}

/// A question above a length is dearer as a whole, and so is its answer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "AiLongContext"))]
#[serde(deny_unknown_fields)]
pub struct LongContext {
    /// The most tokens at the plain price.
    pub over: u64,
    /// Times the price of the question.
    pub input: f64,
    /// Times the price of the answer.
    pub output: f64,
}

/// Hours at which everything is dearer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "AiPeak"))]
#[serde(deny_unknown_fields)]
pub struct Peak {
    /// Times the price.
    pub factor: f64,
    /// Hours of the day in UTC: each from one up to, but not including, another.
    pub utc_hours: Vec<(u32, u32)>,
    /// On Monday to Friday alone.
    #[serde(default)]
    pub weekdays_only: bool,
}

impl Surcharges {
    /// Whether they can be charged: each hour begins before it ends, within a day.
    #[must_use]
    pub fn are_possible(&self) -> bool {
        let possible = |&(from, to): &(u32, u32)| from < to && to <= 24;
        self.peak
            .as_ref()
            .is_none_or(|peak| peak.utc_hours.iter().all(possible))
    }
}

impl Peak {
    fn is_at(&self, at_ms: i64) -> bool {
        let Some(at) = DateTime::from_timestamp_millis(at_ms) else {
            return false;
        };
        let weekend = matches!(at.weekday(), Weekday::Sat | Weekday::Sun);
        let hours = |&(from, to): &(u32, u32)| (from..to).contains(&at.hour());
        !(weekend && self.weekdays_only) && self.utc_hours.iter().any(hours)
    }
}

/// What a call that began at `at_ms` costs, in micro-dollars, half a one rounded up. `None`, and never 0, when
/// a price that it takes is unknown.
#[must_use]
pub fn micro_dollars(prices: &Prices, usage: Usage, at_ms: i64) -> Option<u64> {
    let long = prices
        .surcharges
        .long_context
        .filter(|it| usage.input > it.over);
    let peak = prices.surcharges.peak.as_ref().filter(|it| it.is_at(at_ms));
    let hundredths = |factor: f64| (factor * 100.0).round().clamp(0.0, 1e6) as u128;
    let always = peak.map_or(100, |it| hundredths(it.factor));
    let (input, output) = long.map_or((100, 100), |it| {
        (hundredths(it.input), hundredths(it.output))
    });
    let part = |tokens: u64, price: Option<Price>, times: u128| match (tokens, price) {
        (0, _) => Some(0),
        (_, None) => None,
        (tokens, Some(Price(price))) => u128::from(tokens)
            .checked_mul(u128::from(price))?
            .checked_mul(times * always),
    };
    let cached = usage.cached.unwrap_or(0).min(usage.input);
    let sum = part(usage.input - cached, prices.input, input)?
        .checked_add(part(cached, prices.cached.or(prices.input), input)?)?
        .checked_add(part(usage.output, prices.output, output)?)?;
    if prices.input.is_none() && prices.output.is_none() {
        return None;
    }
    // Per thousand tokens, thousandths of a micro-dollar, two factors in hundredths.
    const UNIT: u128 = 1_000 * 1_000 * 100 * 100;
    u64::try_from((sum + UNIT / 2) / UNIT).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Dollars per million tokens, as providers write them.
    fn prices(input: f64, cached: f64, output: f64) -> Prices {
        let price = |dollars: f64| Some(Price((dollars * 1e6).round() as u64));
        Prices {
            input: price(input),
            cached: price(cached),
            output: price(output),
            surcharges: Surcharges::default(),
        }
    }

    fn usage(input: u64, cached: u64, output: u64) -> Usage {
        Usage {
            input,
            cached: Some(cached),
            output,
            reasoning: None,
        }
    }

    #[test]
    fn prices_are_read_exactly() {
        for (text, price) in [
            ("0.000075", Some(75_000)),
            ("0.0000375", Some(37_500)),
            ("0.000003000", Some(3_000)),
            ("2", Some(2_000_000_000)),
            ("0", Some(0)),
            ("0.0000000001", None),
            ("-1", None),
            (".5", None),
            ("1e-3", None),
            ("", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(Price::per_1k(text), price.map(Price), "{text}");
        }
    }

    #[test]
    fn sums() {
        let mini = prices(0.75, 0.075, 4.5);
        // 800 fresh, 200 cached, 100 out: 600 + 15 + 450.
        assert_eq!(micro_dollars(&mini, usage(1_000, 200, 100), 0), Some(1_065));
        assert_eq!(micro_dollars(&mini, usage(0, 0, 0), 0), Some(0));
        assert_eq!(
            micro_dollars(&prices(0.1, 0.01, 0.5), usage(4, 0, 0), 0),
            Some(0)
        );
        assert_eq!(
            micro_dollars(&prices(0.1, 0.01, 0.5), usage(5, 0, 0), 0),
            Some(1)
        );
    }

    #[test]
    fn unknown_is_not_nothing() {
        assert_eq!(micro_dollars(&Prices::default(), usage(0, 0, 0), 0), None);
        let half = Prices {
            output: None,
            ..prices(1.0, 0.1, 0.0)
        };
        assert_eq!(micro_dollars(&half, usage(10, 0, 1), 0), None);
        let undiscounted = Prices {
            cached: None,
            ..prices(1.0, 0.0, 1.0)
        };
        assert_eq!(micro_dollars(&undiscounted, usage(10, 10, 0), 0), Some(10));
    }

    #[test]
    fn surcharges() {
        let mut sol = prices(2.0, 0.2, 10.0);
        sol.surcharges =
            serde_json::from_str(r#"{"long_context":{"over":272000,"input":2,"output":1.5}}"#)
                .unwrap();
        assert_eq!(
            micro_dollars(&sol, usage(272_000, 0, 100), 0),
            Some(545_000)
        );
        assert_eq!(
            micro_dollars(&sol, usage(272_001, 0, 100), 0),
            Some(1_088_004 + 1_500)
        );
        let mut flash = prices(0.15, 0.003, 0.6);
        flash.surcharges = serde_json::from_str(
            r#"{"peak":{"factor":2,"utc_hours":[[1,4],[6,10]],"weekdays_only":true}}"#,
        )
        .unwrap();
        let at = |text: &str| {
            DateTime::parse_from_rfc3339(text)
                .unwrap()
                .timestamp_millis()
        };
        for (when, cost) in [
            ("2026-11-25T00:59:59Z", 150),
            ("2026-11-25T01:00:00Z", 300),
            ("2026-11-25T04:00:00Z", 150),
            ("2026-11-25T09:59:59Z", 300),
            ("2026-11-28T02:00:00Z", 150),
        ] {
            assert_eq!(
                micro_dollars(&flash, usage(1_000, 0, 0), at(when)),
                Some(cost),
                "{when}"
            );
        }
    }

    proptest! {
        #[test]
        fn never_panics_and_grows(input: u64, cached: u64, output: u64, price: u64, at: i64) {
            let prices = Prices { input: Some(Price(price)), output: Some(Price(price)), ..Prices::default() };
            let _ = micro_dollars(&prices, usage(input, cached, output), at);
            let small = usage(input % 1_000_000, cached, output % 1_000_000);
            let more = Usage { output: small.output + 1_000, ..small };
            let price = Prices { input: Some(Price(price % 1_000_000)), output: Some(Price(1_000_000)), ..Prices::default() };
            prop_assert!(micro_dollars(&price, more, at) > micro_dollars(&price, small, at));
        }
    }
}
