//! The calls that Postgres has no record of, with what they come to: kept along with each change, because every call
//! asks for it and there may be thousands.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::wire::{CallMeta, Ended};

/// A call of which Postgres has no record yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub call: CallMeta,
    /// When it began, in Unix milliseconds.
    pub at: i64,
    /// By then somebody has told of its end.
    pub until: i64,
    /// Held for it in the budgets until it ends.
    pub held_micro: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
    #[serde(skip)]
    pub sends: u32,
    #[serde(skip)]
    pub send_at: i64,
}

impl Entry {
    fn counts(&self) -> bool {
        self.ended.as_ref().is_none_or(|ended| ended.counts)
    }

    fn cost(&self) -> i64 {
        let spent = |ended: &Ended| ended.cost_micro.unwrap_or(0);
        self.ended.as_ref().map_or(self.held_micro, spent)
    }

    /// When something is due, in Unix milliseconds.
    pub fn next(&self) -> i64 {
        match self.ended {
            Some(_) => self.send_at,
            None => self.until,
        }
    }
}

/// What some entries come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Sums {
    /// Those under way.
    pub open: i64,
    /// Requests of the running period.
    pub requests: i64,
    /// Money of the running period, in millionths of a dollar.
    pub cost: i64,
    /// The same by API key.
    keys: HashMap<Option<Uuid>, i64>,
}

impl Sums {
    fn add(&mut self, entry: &Entry, from: i64, sign: i64) {
        self.open += sign * i64::from(entry.ended.is_none());
        if entry.at >= from {
            self.requests += sign * i64::from(entry.counts());
            self.cost += sign * entry.cost();
            let account = entry.call.account();
            let key = self.keys.entry(account).or_default();
            *key += sign * entry.cost();
            if *key == 0 {
                self.keys.remove(&account);
            }
        }
    }

    /// Money of an API key in the running period, in millionths of a dollar.
    pub fn cost_of(&self, account: Option<Uuid>) -> i64 {
        self.keys.get(&account).copied().unwrap_or(0)
    }
}

/// All entries.
#[derive(Debug, Default)]
pub(super) struct Entries {
    /// By id, which is by time.
    all: BTreeMap<Uuid, Entry>,
    /// When something is due of which.
    dues: BTreeSet<(i64, Uuid)>,
    /// Start of the running period, in Unix milliseconds.
    from: i64,
    sums: Sums,
}

impl Entries {
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub fn len(&self) -> usize {
        self.all.len()
    }

    pub fn ids(&self) -> impl Iterator<Item = Uuid> {
        self.all.keys().copied()
    }

    pub fn get(&self, id: &Uuid) -> Option<&Entry> {
        self.all.get(id)
    }

    pub fn sums(&self) -> &Sums {
        &self.sums
    }

    /// When something is due next, in Unix milliseconds.
    pub fn next(&self) -> Option<i64> {
        self.dues.first().map(|(at, _)| *at)
    }

    /// Those of which something is due by `now`, the earliest first.
    pub fn due(&self, now: i64) -> Vec<Uuid> {
        let due = self.dues.iter().take_while(|(at, _)| *at <= now);
        due.map(|(_, id)| *id).collect()
    }

    pub fn insert(&mut self, entry: Entry) {
        self.remove(&entry.call.id);
        self.sums.add(&entry, self.from, 1);
        self.dues.insert((entry.next(), entry.call.id));
        self.all.insert(entry.call.id, entry);
    }

    pub fn remove(&mut self, id: &Uuid) -> Option<Entry> {
        let entry = self.all.remove(id)?;
        self.sums.add(&entry, self.from, -1);
        self.dues.remove(&(entry.next(), *id));
        Some(entry)
    }

    /// Changes one, if it is there; returns it as it is then.
    pub fn change(&mut self, id: &Uuid, change: impl FnOnce(&mut Entry)) -> Option<&Entry> {
        let entry = self.all.get_mut(id)?;
        self.sums.add(entry, self.from, -1);
        self.dues.remove(&(entry.next(), *id));
        change(entry);
        self.sums.add(entry, self.from, 1);
        self.dues.insert((entry.next(), *id));
        Some(entry)
    }

    /// The running period began at `from`.
    pub fn begin(&mut self, from: i64) {
        if self.from != from {
            self.from = from;
            self.sums = Sums::default();
            for entry in self.all.values() {
                self.sums.add(entry, from, 1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(id: u8, at: i64, held_micro: i64) -> Entry {
        Entry {
            call: CallMeta {
                id: Uuid::from_u128(id.into()),
                user_id: Uuid::nil(),
                caller_key_id: (!id.is_multiple_of(3)).then(|| Uuid::from_u128((id % 3).into())),
                account_id: None,
                kind: "chat".into(),
                task_id: None,
                prompt_id: None,
                request_id: "r".into(),
            },
            at,
            until: at + 9,
            held_micro,
            ended: None,
            sends: 0,
            send_at: 0,
        }
    }

    proptest! {
        /// What is kept along is what adding up anew gives.
        #[test]
        fn sums_and_dues(steps in proptest::collection::vec((0..4_u8, 0..20_u8, 0..50_i64), 1..200)) {
            let mut entries = Entries::default();
            for (step, id, number) in steps {
                let key = Uuid::from_u128(id.into());
                match step {
                    0 => entries.insert(entry(id, number, number + 1)),
                    1 => drop(entries.remove(&key)),
                    2 => drop(entries.change(&key, |entry| {
                        entry.send_at = number;
                        entry.ended = Some(Ended {
                            at: number, completed: true, counts: number % 2 == 0, error_code: None, tokens_input: None,
                            tokens_output: None, cost_micro: Some(number), model_id: None, pool_key_id: None,
                        });
                    })),
                    _ => entries.begin(number),
                }
                let mut sums = Sums::default();
                entries.all.values().for_each(|entry| sums.add(entry, entries.from, 1));
                prop_assert_eq!(&sums, &entries.sums);
                prop_assert_eq!(entries.next(), entries.all.values().map(Entry::next).min());
                prop_assert_eq!(entries.dues.len(), entries.len());
            }
        }
    }
}
