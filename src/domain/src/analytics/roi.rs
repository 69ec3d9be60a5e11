//! The return on AI: what its tasks saved of people's time and money, as the data dictionary defines it.
//!
//! Money is counted in millionths of a US dollar, time in milliseconds; nothing is rounded before it is written.

use chrono::{Datelike, NaiveDate, TimeDelta};

/// Milliseconds in a minute.
const MINUTE_MS: i128 = 60_000;
/// Millionths in a dollar.
pub const MICRO: i128 = 1_000_000;

/// What AI did in a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Work {
    /// Tasks that were completed.
    pub completed: u64,
    /// Tasks whose time is known, failed ones too.
    pub timed: u64,
    /// Their times together, in milliseconds.
    pub execution_ms: u64,
    /// What AI cost, in millionths of a dollar.
    pub cost_micro: i128,
}

/// What the work is compared with: the settings `analytics.*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    /// Minutes that a person needs for a task.
    pub minutes_per_task: u64,
    /// What an hour of theirs costs, in dollars.
    pub hourly_usd: u64,
}

/// What the work saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Saved {
    /// Minutes that people would have needed.
    pub manual_minutes: i128,
    /// `manual − tasks × average time of a task`, in milliseconds; below nought where people are faster.
    pub time_saved_ms: i128,
    /// What those people would have cost.
    pub manual_cost_micro: i128,
    /// `cost_manual_equivalent − cost_ai`.
    pub money_saved_micro: i128,
    /// `time_saved_hours × hourly rate`.
    pub value_micro: i128,
}

/// `numerator / denominator`, half away from nought; nought for nothing to divide by.
fn divided(numerator: i128, denominator: i128) -> i128 {
    if denominator == 0 {
        return 0;
    }
    let half = denominator.abs() / 2;
    let sign = if (numerator < 0) == (denominator < 0) {
        1
    } else {
        -1
    };
    sign * ((numerator.abs() + half) / denominator.abs())
}

/// What `work` saved, by the dictionary's formulas.
#[must_use]
pub fn saved(work: &Work, rates: &Rates) -> Saved {
    let tasks = i128::from(work.completed);
    let manual_minutes = tasks * i128::from(rates.minutes_per_task);
    let ai_ms = divided(
        tasks * i128::from(work.execution_ms),
        i128::from(work.timed),
    );
    let time_saved_ms = manual_minutes * MINUTE_MS - ai_ms;
    let hourly = i128::from(rates.hourly_usd) * MICRO;
    let manual_cost_micro = divided(manual_minutes * hourly, 60);
    Saved {
        manual_minutes,
        time_saved_ms,
        manual_cost_micro,
        money_saved_micro: manual_cost_micro - work.cost_micro,
        value_micro: divided(time_saved_ms * hourly, 60 * MINUTE_MS),
    }
}

/// The return on what was spent, in hundredths of a percent: `(revenue − costs) / costs × 100`. `None` where
/// nothing was spent: nobody divides by nought, and the answer says so (`no_costs`).
#[must_use]
pub fn roi(revenue_micro: i128, costs_micro: i128) -> Option<i128> {
    (costs_micro != 0).then(|| divided((revenue_micro - costs_micro) * 10_000, costs_micro))
}

/// Why there is no return.
pub const NO_COSTS: &str = "no_costs";

/// What running everything costs from `first` to `last`, both included: of each month the share of its days. The
/// days of a month add up to exactly the month.
#[must_use]
pub fn infrastructure_micro(usd_per_month: u64, first: NaiveDate, last: NaiveDate) -> i128 {
    let whole = i128::from(usd_per_month) * MICRO;
    let mut sum = 0;
    let mut day = first;
    while day <= last {
        let length = i128::from(day.num_days_in_month());
        let number = i128::from(day.day());
        sum += whole * number / length - whole * (number - 1) / length;
        match day.checked_add_signed(TimeDelta::days(1)) {
            Some(next) => day = next,
            None => break,
        }
    }
    sum
}

/// A number of millionths with two decimals, half away from nought: what the columns for money hold.
#[must_use]
pub fn cents(micro: i128) -> String {
    let cents = divided(micro, MICRO / 100);
    let sign = if cents < 0 { "-" } else { "" };
    let cents = cents.abs();
    format!("{sign}{}.{:02}", cents / 100, cents % 100)
}

/// Reads an amount with up to six decimals, more are cut off.
#[must_use]
pub fn micro(text: &str) -> Option<i128> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let fraction = fraction.get(..6).unwrap_or(fraction);
    let all = format!("{whole}{fraction:0<6}");
    let right = !whole.is_empty() && all.bytes().all(|byte| byte.is_ascii_digit());
    right
        .then(|| all.parse::<i128>().ok())
        .flatten()
        .map(|micro| sign * micro)
}

/// Milliseconds as whole minutes, half away from nought.
#[must_use]
pub fn minutes(ms: i128) -> i128 {
    divided(ms, MINUTE_MS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RATES: Rates = Rates {
        minutes_per_task: 15,
        hourly_usd: 30,
    };

    #[test]
    fn a_hundred_tasks_save_a_day() {
        let work = Work {
            completed: 100,
            timed: 110,
            execution_ms: 110 * 3_000,
            cost_micro: 2_500_000,
        };
        let saved = saved(&work, &RATES);
        assert_eq!(saved.manual_minutes, 1_500);
        assert_eq!(saved.time_saved_ms, 1_500 * 60_000 - 100 * 3_000);
        assert_eq!(minutes(saved.time_saved_ms), 1_495);
        assert_eq!(cents(saved.manual_cost_micro), "750.00");
        assert_eq!(cents(saved.money_saved_micro), "747.50");
        assert_eq!(cents(saved.value_micro), "747.50");
    }

    #[test]
    fn nothing_saves_nothing() {
        let saved = saved(&Work::default(), &RATES);
        assert_eq!(
            (saved.manual_minutes, saved.time_saved_ms, saved.value_micro),
            (0, 0, 0)
        );
        assert_eq!(roi(0, 0), None);
        assert_eq!(roi(5 * MICRO, 0), None);
    }

    #[test]
    fn a_return_is_of_what_was_spent() {
        assert_eq!(roi(150 * MICRO, 100 * MICRO), Some(5_000));
        assert_eq!(roi(0, 100 * MICRO), Some(-10_000));
        assert_eq!(roi(100 * MICRO, 100 * MICRO), Some(0));
        assert_eq!(roi(100 * MICRO, 3 * MICRO), Some(323_333));
    }

    #[test]
    fn amounts_are_read_and_written() {
        for (text, value) in [
            ("0", 0),
            ("1.5", 1_500_000),
            ("-0.000001", -1),
            ("12.3456789", 12_345_678),
        ] {
            assert_eq!(micro(text), Some(value), "{text}");
        }
        for text in ["", "-", ".5", "1e3", "1.2x"] {
            assert_eq!(micro(text), None, "{text}");
        }
        assert_eq!(
            [cents(5_000), cents(-5_000), cents(4_999)],
            ["0.01", "-0.01", "0.00"]
        );
    }

    proptest! {
        #[test]
        fn the_days_of_a_month_are_the_month(usd in 0_u64..10_000_000, year in 2000..2100, month in 1_u32..=12) {
            let first = NaiveDate::from_ymd_opt(year, month, 1).unwrap();
            let days = u32::from(first.num_days_in_month());
            let last = NaiveDate::from_ymd_opt(year, month, days).unwrap();
            prop_assert_eq!(infrastructure_micro(usd, first, last), i128::from(usd) * MICRO);
            let one_by_one: i128 = (1..=days)
                .map(|day| NaiveDate::from_ymd_opt(year, month, day).unwrap())
                .map(|day| infrastructure_micro(usd, day, day))
                .sum();
            prop_assert_eq!(one_by_one, i128::from(usd) * MICRO);
        }

        #[test]
        fn money_saved_is_what_people_cost_more(completed in 0_u64..1_000_000, ms in 0_u64..10_000_000, cost in 0_i128..1_000_000_000_000) {
            let work = Work { completed, timed: completed, execution_ms: ms, cost_micro: cost };
            let saved = saved(&work, &RATES);
            prop_assert_eq!(saved.money_saved_micro + cost, saved.manual_cost_micro);
            // With every time known, the average times the tasks is what they took.
            let took = if completed == 0 { 0 } else { i128::from(ms) };
            prop_assert_eq!(saved.manual_minutes * 60_000 - saved.time_saved_ms, took);
        }
    }
}
