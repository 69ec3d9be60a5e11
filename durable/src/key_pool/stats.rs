//! What was called with the keys of a pool: the last hour and the last day, by key and model, bounded.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::wire::{Settle, Verdict};

/// The last hour is counted in pieces of so many milliseconds, this many of them.
const MINUTES: (i64, usize) = (300_000, 12);
/// The same of the last day.
const HOURS: (i64, usize) = (3_600_000, 24);
/// Keys and models that are told apart; what comes then is counted together.
pub(super) const MOST_SERIES: usize = 200;
/// What those are called that are counted together.
pub(super) const OTHERS: &str = "*";
/// Each step of the histogram is so many times the one before it: as wrong may a percentile be.
const STEP: f64 = 1.1;
/// The last step: ten minutes.
const LAST: u8 = 140;

/// What was called.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tally {
    /// Attempts.
    #[serde(rename = "n")]
    pub requests: u64,
    /// Of these, those that were not answered, by whose fault that was.
    #[serde(rename = "e", skip_serializing_if = "BTreeMap::is_empty")]
    pub failures: BTreeMap<Verdict, u64>,
    /// Tokens of the questions.
    #[serde(rename = "i")]
    pub input: u64,
    /// Tokens of the answers.
    #[serde(rename = "o")]
    pub output: u64,
    /// What it cost, as far as it is known, in millionths of a dollar.
    #[serde(rename = "c")]
    pub cost_micros: u64,
    /// Answers whose cost is unknown.
    #[serde(rename = "u")]
    pub unpriced: u64,
    /// How long they took.
    #[serde(rename = "l")]
    pub latency: Histogram,
}

impl Verdict {
    /// Every way of not being answered.
    pub const FAILURES: [Self; 6] = [
        Self::Caller,
        Self::Key,
        Self::Capacity,
        Self::Fault,
        Self::Model,
        Self::Unknown,
    ];
}

impl PartialOrd for Verdict {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Verdict {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (*self as u8).cmp(&(*other as u8))
    }
}

impl Tally {
    fn count(&mut self, settle: &Settle<'_>) {
        self.requests += 1;
        match settle.verdict {
            Verdict::Good if settle.cost_micros.is_none() => self.unpriced += 1,
            Verdict::Good => {}
            failure => *self.failures.entry(failure).or_default() += 1,
        }
        self.input += settle.input.unwrap_or_default();
        self.output += settle.output.unwrap_or_default();
        self.cost_micros += settle.cost_micros.unwrap_or_default();
        // Nobody knows how long something took that never came back.
        if settle.verdict != Verdict::Unknown {
            self.latency.count(settle.latency_ms);
        }
    }

    /// Both together.
    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        for (failure, count) in &other.failures {
            *self.failures.entry(*failure).or_default() += count;
        }
        self.input += other.input;
        self.output += other.output;
        self.cost_micros += other.cost_micros;
        self.unpriced += other.unpriced;
        self.latency.add(&other.latency);
    }

    /// Attempts that failed for another reason than the question itself.
    pub fn errors(&self) -> u64 {
        let failures = self.failures.iter();
        let errors = failures.filter(|(failure, _)| **failure != Verdict::Caller);
        errors.map(|(_, count)| count).sum()
    }
}

/// How often something took how long: counts by logarithmic steps.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Histogram(BTreeMap<u8, u64>);

impl Histogram {
    fn count(&mut self, ms: u64) {
        let step = (ms.max(1) as f64).ln() / STEP.ln();
        *self
            .0
            .entry(step.ceil().min(f64::from(LAST)) as u8)
            .or_default() += 1;
    }

    fn add(&mut self, other: &Self) {
        for (step, count) in &other.0 {
            *self.0.entry(*step).or_default() += count;
        }
    }

    /// So many milliseconds, or up to a tenth less, `share` of all took at most; none when there were none.
    pub fn percentile(&self, share: f64) -> Option<u64> {
        let all: u64 = self.0.values().sum();
        let wanted = (all as f64 * share).ceil().max(1.0) as u64;
        let mut seen = 0;
        self.0.iter().find_map(|(step, count)| {
            seen += count;
            (seen >= wanted).then(|| STEP.powi(i32::from(*step)).round() as u64)
        })
    }
}

/// What was called with one key of one model, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Series {
    /// The key.
    pub key_id: Uuid,
    /// The model, by the provider's name for it; `*` for what is not told apart.
    pub model: String,
    /// In the last hour.
    pub hour: Tally,
    /// In the last day.
    pub day: Tally,
}

/// The pieces of a stretch of time, the oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Pieces(VecDeque<(i64, Tally)>);

impl Pieces {
    fn count(&mut self, (length, most): (i64, usize), settle: &Settle<'_>, now: i64) {
        let piece = now.div_euclid(length);
        // A clock that went back counts in the newest piece.
        if self.0.back().is_none_or(|(at, _)| *at < piece) {
            self.0.push_back((piece, Tally::default()));
        }
        self.forget((length, most), now);
        if let Some((_, tally)) = self.0.back_mut() {
            tally.count(settle);
        }
    }

    fn forget(&mut self, (length, most): (i64, usize), now: i64) {
        let first = now.div_euclid(length) - most as i64;
        while self.0.front().is_some_and(|(at, _)| *at < first) {
            self.0.pop_front();
        }
    }

    fn sum(&self, (length, most): (i64, usize), now: i64) -> Tally {
        let first = now.div_euclid(length) - most as i64;
        let mut sum = Tally::default();
        for (_, tally) in self.0.iter().filter(|(at, _)| *at >= first) {
            sum.add(tally);
        }
        sum
    }
}

/// What was called with one key of one model, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub key_id: Uuid,
    pub model: String,
    minutes: Pieces,
    hours: Pieces,
    #[serde(skip)]
    pub dirty: bool,
}

/// Everything that was called.
#[derive(Debug, Default)]
pub(super) struct Stats(pub Vec<Record>);

impl Stats {
    /// Counts the end of an attempt.
    pub fn count(&mut self, settle: &Settle<'_>, now: i64) {
        let lease = &settle.lease;
        let place = self.place(lease.key_id, &lease.model, now);
        let record = &mut self.0[place];
        record.minutes.count(MINUTES, settle, now);
        record.hours.count(HOURS, settle, now);
        record.dirty = true;
    }

    fn place(&mut self, key_id: Uuid, model: &str, now: i64) -> usize {
        if let Some(place) = self.find(key_id, model) {
            return place;
        }
        if self.0.len() >= MOST_SERIES {
            // What nothing was called of for a day makes room.
            self.forget(now);
        }
        let (key_id, model) = match self.0.len() {
            ..MOST_SERIES => (key_id, model),
            _ => (Uuid::nil(), OTHERS),
        };
        self.find(key_id, model).unwrap_or_else(|| {
            self.0.push(Record {
                key_id,
                model: model.to_owned(),
                minutes: Pieces::default(),
                hours: Pieces::default(),
                dirty: true,
            });
            self.0.len() - 1
        })
    }

    fn find(&self, key_id: Uuid, model: &str) -> Option<usize> {
        let mut all = self.0.iter();
        all.position(|one| one.key_id == key_id && one.model == model)
    }

    /// Drops what is older than a day; returns the keys of the rows that are to be deleted.
    pub fn forget(&mut self, now: i64) -> Vec<String> {
        let mut gone = Vec::new();
        self.0.retain_mut(|record| {
            record.minutes.forget(MINUTES, now);
            record.hours.forget(HOURS, now);
            let keep = !record.hours.0.is_empty();
            if !keep {
                gone.push(record.row());
            }
            keep
        });
        gone
    }

    /// What there is to show.
    pub fn shown(&self, now: i64) -> Vec<Series> {
        let shown = self.0.iter().map(|record| Series {
            key_id: record.key_id,
            model: record.model.clone(),
            hour: record.minutes.sum(MINUTES, now),
            day: record.hours.sum(HOURS, now),
        });
        shown.filter(|series| series.day.requests > 0).collect()
    }
}

impl Record {
    /// The key of its row.
    pub fn row(&self) -> String {
        format!("s:{}:{}", self.key_id, self.model)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key_pool::wire::Lease;
    use proptest::prelude::*;

    fn settle(key: u128, model: &str, verdict: Verdict, latency_ms: u64) -> Settle<'static> {
        Settle {
            lease: Lease {
                id: 1,
                key_id: Uuid::from_u128(key),
                generation: 1,
                group: "g".into(),
                model: model.into(),
                tokens: 0,
                at_ms: 0,
            },
            verdict,
            code: "".into(),
            until_ms: None,
            disables: false,
            input: Some(3),
            output: Some(4),
            latency_ms,
            cost_micros: (verdict == Verdict::Good).then_some(10),
        }
    }

    #[test]
    fn the_last_hour_and_the_last_day() {
        let mut stats = Stats::default();
        let hour = 3_600_000;
        stats.count(&settle(1, "m", Verdict::Good, 100), 0);
        stats.count(&settle(1, "m", Verdict::Fault, 200), 2 * hour);
        stats.count(&settle(1, "m", Verdict::Caller, 200), 2 * hour);
        let shown = stats.shown(2 * hour);
        assert_eq!(shown.len(), 1);
        let (last_hour, day) = (&shown[0].hour, &shown[0].day);
        assert_eq!((last_hour.requests, last_hour.errors()), (2, 1));
        assert_eq!((day.requests, day.input, day.cost_micros), (3, 9, 10));
        assert_eq!(stats.shown(26 * hour)[0].day.requests, 2);
        assert!(stats.shown(28 * hour).is_empty());
        assert_eq!(stats.forget(28 * hour).len(), 1);
    }

    #[test]
    fn of_too_many_the_rest_are_counted_together() {
        let mut stats = Stats::default();
        for model in 0..MOST_SERIES + 50 {
            stats.count(&settle(1, &model.to_string(), Verdict::Good, 1), 1);
        }
        let shown = stats.shown(1);
        assert_eq!(shown.len(), MOST_SERIES + 1);
        let others = shown.iter().find(|series| series.model == OTHERS).unwrap();
        assert_eq!(others.day.requests, 50);
    }

    #[test]
    fn rows_are_read_as_they_were_written() {
        let mut stats = Stats::default();
        stats.count(&settle(1, "m", Verdict::Good, 100), 0);
        stats.count(&settle(1, "m", Verdict::Capacity, 7), 1);
        let text = serde_json::to_string(&stats.0[0]).unwrap();
        let back: Record = serde_json::from_str(&text).unwrap();
        assert_eq!(Stats(vec![back]).shown(1), stats.shown(1));
    }

    proptest! {
        /// A percentile is at most a step too high, and never too low.
        #[test]
        fn percentiles(mut all in proptest::collection::vec(1..500_000_u64, 1..200), share in 0.01..1.0_f64) {
            let mut histogram = Histogram::default();
            all.iter().for_each(|ms| histogram.count(*ms));
            all.sort_unstable();
            let place = (all.len() as f64 * share).ceil().max(1.0) as usize - 1;
            let (exact, found) = (all[place] as f64, histogram.percentile(share).unwrap() as f64);
            prop_assert!(found >= exact * 0.99 - 1.0 && found <= exact * STEP + 1.0, "{exact} {found}");
        }
    }
}
