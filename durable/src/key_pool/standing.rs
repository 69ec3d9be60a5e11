//! What is known of a key and of a group of keys: whether they may be used, and what they did.

use serde::{Deserialize, Serialize};

use super::limits::{Day, Minute};
use super::wire::{Settle, State, Verdict};

/// A key rests at least so long, and at most, in milliseconds, whatever its provider says.
const REST_MS: (i64, i64) = (1_000, 31 * 24 * 3_600_000);
/// How long a key rests whose provider does not say so: the first time, doubled each time, at most.
const KEY_REST_MS: (i64, i64) = (60_000, 3_600_000);
/// The same where there was no capacity.
const CAPACITY_REST_MS: (i64, i64) = (5_000, 300_000);
/// The same where the provider failed.
const FAULT_REST_MS: (i64, i64) = (5_000, 60_000);
/// Faults one after the other before a key rests for them: one says little of the key.
const FAULTS: u32 = 3;

/// Not before then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Rest {
    pub until: i64,
    pub reason: String,
    pub since: i64,
}

/// Not before somebody looks after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Off {
    pub reason: String,
    pub since: i64,
}

/// A key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Standing {
    /// A key of a newer generation has a clean record.
    pub generation: u32,
    pub rests: Option<Rest>,
    pub off: Option<Off>,
    /// Failures since the last success.
    pub failures: u32,
    /// Attempts since it was made.
    pub uses: u64,
    /// Tokens since it was made.
    pub tokens: u64,
    pub last_used: Option<i64>,
    /// Whether PostgreSQL was told that it may be used.
    pub told_well: Option<bool>,
    /// Not all of it is stored.
    #[serde(skip)]
    pub dirty: bool,
    /// PostgreSQL was not told all of it.
    #[serde(skip)]
    pub untold: bool,
}

/// Keys that share their limits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Group {
    pub rests: Option<Rest>,
    pub minute: Minute,
    pub day: Day,
    #[serde(skip)]
    pub dirty: bool,
}

/// Whose state an attempt changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Changed {
    Nothing,
    Key,
    Group,
}

impl Standing {
    /// A key of `generation` that nothing bad is known of.
    pub fn clean(self, generation: u32) -> Self {
        Self {
            generation,
            rests: None,
            off: None,
            failures: 0,
            dirty: true,
            untold: true,
            ..self
        }
    }

    /// Whether it may be used at `now`.
    pub fn state(&self, group: Option<&Group>, now: i64) -> State {
        if let Some(off) = &self.off {
            return State::Disabled {
                reason: off.reason.clone(),
                since_ms: off.since,
            };
        }
        let shared = group.and_then(|group| group.rests.as_ref());
        let rests = self.rests.iter().chain(shared);
        let longest = rests.filter(|rest| rest.until > now);
        match longest.max_by_key(|rest| rest.until) {
            Some(rest) => State::Cooling {
                until_ms: rest.until,
                reason: rest.reason.clone(),
                since_ms: rest.since,
            },
            None => State::Active,
        }
    }

    /// What the end of an attempt says of the key and its group.
    pub fn learn(&mut self, group: &mut Group, settle: &Settle<'_>, now: i64) -> Changed {
        if settle.verdict != Verdict::Unknown {
            self.dirty = true;
            self.untold = true;
        }
        match settle.verdict {
            Verdict::Unknown => Changed::Nothing,
            Verdict::Caller | Verdict::Model => {
                self.failures = 0;
                Changed::Nothing
            }
            Verdict::Good => {
                self.failures = 0;
                // Only what began after it was disabled proves that it works again.
                match self.off.take_if(|off| off.since < settle.lease.at_ms) {
                    Some(_) => Changed::Key,
                    None => Changed::Nothing,
                }
            }
            Verdict::Key => {
                self.failures += 1;
                if settle.disables {
                    self.off.get_or_insert_with(|| Off {
                        reason: settle.code.to_string(),
                        since: now,
                    });
                } else {
                    let until = asked(settle, now).or(Some(now + self.pause(KEY_REST_MS, 1)));
                    lengthen(&mut self.rests, until, settle, now);
                }
                Changed::Key
            }
            Verdict::Capacity => {
                self.failures += 1;
                let until = asked(settle, now).or(Some(now + self.pause(CAPACITY_REST_MS, 1)));
                lengthen(&mut group.rests, until, settle, now);
                Changed::Group
            }
            Verdict::Fault => {
                self.failures += 1;
                let often = self.failures >= FAULTS;
                let pause = often.then(|| now + self.pause(FAULT_REST_MS, FAULTS));
                lengthen(&mut self.rests, asked(settle, now).or(pause), settle, now);
                Changed::Key
            }
        }
    }

    /// The first time at the failure number `from`.
    fn pause(&self, (first, most): (i64, i64), from: u32) -> i64 {
        let times = self.failures.saturating_sub(from).min(16);
        (first << times).min(most)
    }
}

/// Until when the provider wants the key to rest.
fn asked(settle: &Settle<'_>, now: i64) -> Option<i64> {
    let (least, most) = REST_MS;
    let until = settle.until_ms?;
    Some(until.clamp(now + least, now + most))
}

/// A deadline never gets shorter.
fn lengthen(rests: &mut Option<Rest>, until: Option<i64>, settle: &Settle<'_>, now: i64) {
    if let Some(until) = until
        && rests.as_ref().is_none_or(|rest| rest.until < until)
    {
        let since = rests.as_ref().filter(|rest| rest.until > now);
        *rests = Some(Rest {
            until,
            reason: settle.code.to_string(),
            since: since.map_or(now, |rest| rest.since),
        });
    }
}
