//! What is used of a license: what Postgres has counted, and every call it does not know of yet.
//!
//! A call is an entry from its reservation until Postgres is known to have its record. Postgres' own counts
//! stand beside the entries, so each call counts once: as an entry, or in the counts. What is confirmed
//! moves from one to the other.

use std::collections::HashMap;

use celaest_domain::{calendar, json};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::entries::{Entries, Entry};
use super::wire::{
    CallAnswer, Confirmed, Ended, Left, Limit, OUTCOME_UNKNOWN, Record, ReserveCall, Settle, Usage,
};
use crate::license::stored::{CALL, CALLS, Owner};
use crate::storage::Effects;

/// How long the worker's record may take to be confirmed before the object sends one of its own.
const CONFIRM_MS: i64 = 90_000;
/// Longest pause between two records of the object's own.
const MAX_RESEND_MS: i64 = 900_000;
/// Calls whose record Postgres does not have; more are refused until it catches up.
const MAX_ENTRIES: usize = 20_000;
/// A limit is near that so many calls more would reach.
const NEAR: i64 = 16;
/// Records that one alarm sends.
const SENT_AT_ONCE: usize = 500;

/// What a license allows; none is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Requests in a period.
    pub requests: Option<i64>,
    /// Calls at the same time.
    pub concurrent: Option<i64>,
    /// Money in a period, in millionths of a dollar.
    pub cost_micro: Option<i64>,
}

/// The counts of the running period, entries not included. Times are Unix milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Counts {
    from: i64,
    until: i64,
    starts_at: i64,
    requests: i64,
    cost_micro: i64,
    #[serde(default)]
    keys: HashMap<Uuid, i64>,
}

/// What a confirmation brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// Nothing.
    Nothing,
    /// What was read before may lack it.
    News,
    /// The counts here may differ from those of Postgres: they are to be read again.
    Doubt,
}

/// The usage of one license.
#[derive(Debug, Default)]
pub struct Ledger {
    counts: Option<Counts>,
    entries: Entries,
}

impl Ledger {
    /// Takes up the stored counts.
    pub fn restore_counts(&mut self, text: &str) {
        self.counts = json::read(text).ok();
        self.begin();
    }

    fn begin(&mut self) {
        if let Some(counts) = &self.counts {
            self.entries.begin(counts.from);
        }
    }

    /// Takes up a stored entry.
    pub fn restore_entry(&mut self, text: &str) {
        if let Ok(entry) = json::read::<Entry>(text) {
            self.entries.insert(entry);
        }
    }

    /// Whether Postgres has everything.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether there are counts to begin with.
    pub fn is_known(&self) -> bool {
        self.counts.is_some()
    }

    /// The calls that Postgres may have a record of by now.
    pub fn ids(&self) -> impl Iterator<Item = Uuid> {
        self.entries.ids()
    }

    /// Another license's object now: nothing here is its own.
    pub fn clear(&mut self, effects: &mut Effects) {
        if self.counts.take().is_some() {
            effects.delete.push(CALLS.to_owned());
        }
        let entries = std::mem::take(&mut self.entries);
        effects.delete.extend(entries.ids().map(|id| row(&id)));
    }

    /// Takes over what Postgres shows; `known` are the entries that are in it.
    pub fn install(&mut self, usage: &Usage, known: &[Uuid], effects: &mut Effects) {
        let starts_at = usage.starts_at;
        let from = usage.from.timestamp_millis();
        let running = calendar::running_period(starts_at, 1, usage.from);
        let until = usage.until.or(running.map(|(_, last)| last));
        for id in known {
            if self.entries.remove(id).is_some() {
                effects.delete.push(row(id));
            }
        }
        let counts = Counts {
            from,
            until: until.map_or(i64::MAX, |at| at.timestamp_millis()),
            starts_at: starts_at.timestamp_millis(),
            requests: usage.requests,
            cost_micro: usage.cost_micro,
            keys: usage.keys.clone(),
        };
        if self.counts.as_ref() != Some(&counts) {
            effects.put(CALLS, &counts);
            self.counts = Some(counts);
            self.begin();
        }
    }

    /// Lets a call in, or says which limit is reached.
    pub fn reserve(
        &mut self,
        ask: &ReserveCall<'_>,
        organization_id: Uuid,
        limits: &Limits,
        now: i64,
        effects: &mut Effects,
    ) -> CallAnswer {
        self.roll(now);
        let Some(counts) = &self.counts else {
            return CallAnswer::Unavailable;
        };
        let (sums, account) = (self.entries.sums(), ask.call.account());
        let spent = account.and_then(|key| counts.keys.get(&key));
        let key_cost = sums.cost_of(account) + spent.unwrap_or(&0);
        let (open, requests) = (sums.open, sums.requests + counts.requests);
        let cost = sums.cost + counts.cost_micro;
        let left = |used| Left {
            requests: limits.requests.map(|most| most - used),
            resets_at: counts.until,
        };
        let until = now.saturating_add(ask.patience_ms);
        if let Some(entry) = self.entries.get(&ask.call.id) {
            if ask.call.task_id.is_none() {
                return CallAnswer::Repeated;
            }
            let left = left(requests);
            if entry.ended.is_none() {
                let renewed = self
                    .entries
                    .change(&ask.call.id, |entry| entry.until = until);
                effects.put(row(&ask.call.id), &renewed);
            }
            return CallAnswer::Granted {
                organization_id,
                left,
                near: true,
            };
        }
        if self.entries.len() >= MAX_ENTRIES {
            return CallAnswer::Unavailable;
        }
        // A call that may cost nothing still needs a budget that is not used up.
        let price = ask.cost_micro.max(1);
        let asked = [
            (Limit::Requests, limits.requests, requests, 1),
            (Limit::Budget, limits.cost_micro, cost, price),
            (Limit::KeyBudget, ask.key_budget_micro, key_cost, price),
            (Limit::Concurrency, limits.concurrent, open, 1),
        ];
        for (limit, most, used, more) in asked {
            if let Some(most) = most.filter(|most| used.saturating_add(more) > *most) {
                return CallAnswer::Full {
                    limit,
                    most,
                    used,
                    resets_at: counts.until,
                };
            }
        }
        let left = left(requests + 1);
        let near = asked.iter().any(|(_, most, used, more)| {
            most.is_some_and(|most| used.saturating_add(more.saturating_mul(NEAR)) > most)
        });
        let entry = Entry {
            call: ask.call.clone(),
            at: begun(&ask.call.id).unwrap_or(now),
            until,
            held_micro: ask.cost_micro,
            ended: None,
            sends: 0,
            send_at: 0,
        };
        effects.put(row(&entry.call.id), &entry);
        effects.arm = true;
        self.entries.insert(entry);
        CallAnswer::Granted {
            organization_id,
            left,
            near,
        }
    }

    /// A call came to its end. One that is not under way any more has been dealt with.
    pub fn settle(&mut self, id: Uuid, settle: Settle, now: i64, effects: &mut Effects) {
        if self
            .entries
            .get(&id)
            .is_none_or(|entry| entry.ended.is_some())
        {
            return;
        }
        match settle {
            Settle::GivenBack => {
                self.entries.remove(&id);
                effects.delete.push(row(&id));
            }
            Settle::Ended(ended) => {
                let entry = self.entries.change(&id, |entry| {
                    entry.ended = Some(ended);
                    entry.send_at = now + CONFIRM_MS;
                });
                effects.put(row(&id), &entry);
                effects.arm = true;
            }
        }
    }

    /// Postgres has these: they count there now.
    pub fn confirm(&mut self, told: &[Confirmed], effects: &mut Effects) -> Told {
        let (mut news, mut doubt) = (false, false);
        for one in told {
            let ours = self.entries.remove(&one.id).is_some();
            if ours {
                news = true;
                effects.delete.push(row(&one.id));
            }
            if ours != one.fresh {
                // Counted there and not here, or told before: what Postgres shows next is right.
                doubt |= ours || one.fresh;
                continue;
            }
            if !ours {
                continue;
            }
            let Some(counts) = self.counts.as_mut().filter(|counts| one.at >= counts.from) else {
                continue;
            };
            counts.requests += i64::from(one.counts);
            counts.cost_micro += one.cost_micro;
            if let Some(key) = one.account_id {
                *counts.keys.entry(key).or_default() += one.cost_micro;
            }
        }
        if let Some(counts) = self.counts.as_ref().filter(|_| news) {
            effects.put(CALLS, counts);
        }
        match (news, doubt) {
            (_, true) => Told::Doubt,
            (true, false) => Told::News,
            (false, false) => Told::Nothing,
        }
    }

    /// Ends what nobody told the end of, and returns the records that are due: those, and the ones that
    /// Postgres should have by now.
    pub fn take(&mut self, owner: Owner, now: i64, effects: &mut Effects) -> Vec<String> {
        let mut bodies = Vec::new();
        for id in self.entries.due(now) {
            let Some(entry) = self.entries.get(&id) else {
                continue;
            };
            let is_open = entry.ended.is_none();
            // A task runs again under the same id, and is counted then.
            if is_open && entry.call.task_id.is_some() {
                self.entries.remove(&id);
                effects.delete.push(row(&id));
                continue;
            }
            if bodies.len() >= SENT_AT_ONCE {
                continue;
            }
            let entry = self.entries.change(&id, |entry| {
                entry.ended.get_or_insert_with(|| unknown(now));
                entry.send_at = now + (CONFIRM_MS << entry.sends.min(4)).min(MAX_RESEND_MS);
                entry.sends += 1;
            });
            let Some(entry) = entry else {
                continue;
            };
            if is_open {
                effects.put(row(&id), entry);
            }
            let Some(ended) = entry.ended.clone() else {
                continue;
            };
            let record = Record {
                license_id: owner.license_id,
                organization_id: owner.organization_id,
                call: entry.call.clone(),
                started_at: entry.at,
                ended,
                more: None,
            };
            // A plain structure always serializes.
            bodies.push(serde_json::to_string(&record).unwrap_or_default());
        }
        bodies
    }

    /// When something is due next.
    pub fn next(&self) -> Option<i64> {
        self.entries.next()
    }

    /// A period that has ended gives way to the running one, whoever notices first.
    fn roll(&mut self, now: i64) {
        let Some(counts) = self.counts.as_mut().filter(|counts| now >= counts.until) else {
            return;
        };
        let moment = |at| DateTime::<Utc>::from_timestamp_millis(at).unwrap_or_default();
        let running = calendar::running_period(moment(counts.starts_at), 1, moment(now));
        if let Some((from, until)) = running {
            *counts = Counts {
                from: from.timestamp_millis(),
                until: until.timestamp_millis(),
                starts_at: counts.starts_at,
                requests: 0,
                cost_micro: 0,
                keys: HashMap::new(),
            };
        }
        self.begin();
    }
}

/// The end that nobody told of.
fn unknown(now: i64) -> Ended {
    Ended {
        at: now,
        completed: false,
        counts: true,
        error_code: Some(OUTCOME_UNKNOWN.to_owned()),
        tokens_input: None,
        tokens_output: None,
        cost_micro: None,
        model_id: None,
        pool_key_id: None,
    }
}

/// When a call began, as its id says and Postgres counts it.
fn begun(id: &Uuid) -> Option<i64> {
    let (seconds, nanos) = id.get_timestamp()?.to_unix();
    i64::try_from(seconds * 1_000 + u64::from(nanos / 1_000_000)).ok()
}

/// The key of the row of an entry.
fn row(id: &Uuid) -> String {
    format!("{CALL}{id}")
}
