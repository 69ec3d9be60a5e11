//! What the object of a pool knows and answers: state, event and time in; state and answer out.

mod behind;

use std::collections::{BTreeMap, VecDeque};

use celaest_domain::ai::choose::{Candidate, pick};
use celaest_domain::json;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::limits::Limits;
use super::standing::{Changed, Group, Standing};
use super::stats::{Record, Stats};
use super::wire::{Given, Key, KeyShown, Lease, Reserve, Reserved, Settle, Shown, Snapshot, State};
use crate::changes::{ANNOUNCED, Changes};
use crate::storage::Effects;

/// A lease that is not settled ends after so long: longer than any attempt may take.
pub(super) const LEASE_MS: i64 = 900_000;
/// Leases that are remembered; the oldest make room.
pub(super) const MOST_OPEN: usize = 2_000;
/// Settled leases that are recognised when they are settled again.
const MOST_SETTLED: usize = 1_000;
/// How long others go on with what is known while one request reads it anew.
const READING_MS: i64 = 2_000;

/// Key of what PostgreSQL said.
pub(super) const KNOWN: &str = "known";
/// Key of the leases on their way.
const LEASES: &str = "leases";
/// What the keys of keys begin with.
const KEY: &str = "k:";
/// What the keys of groups begin with.
const GROUP: &str = "g:";
/// What the keys of the statistics begin with.
const SERIES: &str = "s:";

/// Keys that cannot be read.
#[derive(Debug)]
pub struct Malformed;

/// What PostgreSQL said, and when.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Loaded {
    keys: Vec<Key>,
    at: i64,
    /// Until when others go on although it is old.
    #[serde(skip)]
    grace_until: i64,
}

/// The state of one pool.
#[derive(Debug)]
pub struct Machine {
    changes: Changes,
    loaded: Option<Loaded>,
    keys: BTreeMap<Uuid, Standing>,
    groups: BTreeMap<String, Group>,
    stats: Stats,
    /// Leases on their way, by number.
    open: BTreeMap<u64, Lease>,
    settled: VecDeque<u64>,
    leases_dirty: bool,
    /// The number of the last report.
    reported: i64,
}

impl Machine {
    /// A pool nothing is known of.
    pub fn new(seed: [u8; 16]) -> Self {
        Self {
            changes: Changes::new(seed),
            loaded: None,
            keys: BTreeMap::new(),
            groups: BTreeMap::new(),
            stats: Stats::default(),
            open: BTreeMap::new(),
            settled: VecDeque::new(),
            leases_dirty: false,
            reported: 0,
        }
    }

    /// Takes up what was stored. Rows that cannot be read are as if they were not there.
    pub fn restore(&mut self, rows: &[(String, String)]) {
        for (key, text) in rows {
            match key.as_str() {
                KNOWN => self.loaded = json::read(text).ok(),
                ANNOUNCED => self.changes.restore(text),
                // Numbers as names of fields are nothing that `json` reads.
                LEASES => self.open = serde_json::from_str(text).unwrap_or_default(),
                key => self.restore_one(key, text),
            }
        }
        // What was not written yet when the object died begins with what PostgreSQL had.
        for key in self.loaded.iter().flat_map(|loaded| &loaded.keys) {
            self.keys.entry(key.id).or_insert_with(|| Standing {
                generation: key.generation,
                uses: key.uses,
                tokens: key.used_tokens,
                ..Standing::default()
            });
        }
    }

    fn restore_one(&mut self, key: &str, text: &str) {
        if let Some(id) = key.strip_prefix(KEY).and_then(|id| id.parse().ok()) {
            self.keys.extend(json::read(text).ok().map(|one| (id, one)));
        } else if let Some(name) = key.strip_prefix(GROUP) {
            let group = json::read(text).ok();
            self.groups.extend(group.map(|one| (name.to_owned(), one)));
        } else if key.starts_with(SERIES) {
            self.stats.0.extend(serde_json::from_str::<Record>(text));
        }
    }

    /// Gives out a key for one attempt.
    ///
    /// # Errors
    /// When what was supplied cannot be read.
    pub fn reserve(
        &mut self,
        ask: &Reserve<'_>,
        now: i64,
    ) -> Result<(Reserved, Effects), Malformed> {
        let mut effects = Effects::default();
        let supplied = ask
            .supply
            .filter(|supply| supply.token == self.changes.token());
        if let Some(supply) = supplied {
            let snapshot = json::read(supply.data.get()).map_err(|_| Malformed)?;
            self.install(snapshot, now, &mut effects);
        }
        let answer = self.answer(ask, now, &mut effects);
        // What is read while a change is under way is good for the one who read it, and kept for nobody.
        if self.changes.is_changing(now) {
            self.loaded = None;
        } else if let (Some(loaded), Some(_)) = (&self.loaded, supplied) {
            effects.put(KNOWN, loaded);
        }
        // Lost with a crash, what is known is read again, and what was counted was hardly used.
        effects.unconfirmed = effects.delete.is_empty();
        Ok((answer, effects))
    }

    fn answer(&mut self, ask: &Reserve<'_>, now: i64, effects: &mut Effects) -> Reserved {
        let need = Reserved::Need {
            token: self.changes.token(),
        };
        let Some(loaded) = &mut self.loaded else {
            return need;
        };
        let is_old = now - loaded.at >= i64::from(ask.max_age_s) * 1_000;
        if is_old && now >= loaded.grace_until {
            loaded.grace_until = now + READING_MS;
            return need;
        }
        let Some(loaded) = &self.loaded else {
            return need;
        };
        let mut first: Option<(i64, String)> = None;
        let (mut candidates, mut places) = (Vec::new(), Vec::new());
        for (place, key) in loaded.keys.iter().enumerate() {
            if !key.active || key.expires_ms.is_some_and(|end| end <= now) {
                continue;
            }
            let (until, reason) = match self.until(key, ask.tokens, now) {
                None => continue,
                Some(free) => free,
            };
            if until <= now {
                if !ask.tried.contains(&key.id) {
                    places.push(place);
                    candidates.push(Candidate {
                        priority: key.priority,
                        weight: key.weight,
                    });
                }
            } else if first.as_ref().is_none_or(|(earliest, _)| until < *earliest) {
                first = Some((until, reason));
            }
        }
        let Some(choice) = pick(&candidates, self.changes.draw()) else {
            return match first {
                Some((until_ms, reason)) => Reserved::Cooling { until_ms, reason },
                None => Reserved::Empty {
                    keys: loaded.keys.len(),
                },
            };
        };
        let key = loaded.keys[places[choice]].clone();
        Reserved::Key(Box::new(self.give(key, ask, now, effects)))
    }

    /// When a key may be used next, and what keeps it; none when nobody can say.
    fn until(&self, key: &Key, tokens: u64, now: i64) -> Option<(i64, String)> {
        let group = self.groups.get(&key.group);
        let standing = self.keys.get(&key.id).cloned().unwrap_or_default();
        let mut until = match standing.state(group, now) {
            State::Disabled { .. } => return None,
            State::Cooling {
                until_ms, reason, ..
            } => (until_ms, reason),
            State::Active => (now, String::new()),
        };
        if let Some(group) = group {
            let limits = key.limits();
            let minute = group.minute.opens(limits.rpm, limits.tpm, tokens, now);
            let day = group.day.opens(limits.rpd, None, 0, now);
            for (opens, reason) in [(minute, "minute_limit"), (day, "day_limit")] {
                if opens > until.0 {
                    until = (opens, reason.to_owned());
                }
            }
        }
        Some(until)
    }

    fn give(&mut self, key: Key, ask: &Reserve<'_>, now: i64, effects: &mut Effects) -> Given {
        let standing = self.keys.entry(key.id).or_insert_with(|| Standing {
            generation: key.generation,
            ..Standing::default()
        });
        standing.uses += 1;
        standing.last_used = Some(now);
        (standing.dirty, standing.untold) = (true, true);
        if key.limits().any() {
            let group = self.groups.entry(key.group.clone()).or_default();
            group.minute.count(ask.tokens, now);
            group.day.count(ask.tokens, now);
            // What has a limit is counted even if the object dies.
            effects.put(row(GROUP, &key.group), group);
        }
        let lease = Lease {
            id: self.changes.draw().max(1),
            key_id: key.id,
            generation: key.generation,
            group: key.group,
            model: ask.model.to_string(),
            tokens: ask.tokens,
            at_ms: now,
        };
        if self.open.len() >= MOST_OPEN
            && let Some(oldest) = self.open.values().min_by_key(|lease| lease.at_ms)
        {
            let oldest = oldest.id;
            self.open.remove(&oldest);
        }
        self.open.insert(lease.id, lease.clone());
        self.leases_dirty = true;
        effects.arm = true;
        Given {
            lease,
            sealed: key.sealed,
            key_version: key.key_version,
        }
    }

    fn install(&mut self, snapshot: Snapshot, now: i64, effects: &mut Effects) {
        for key in &snapshot.keys {
            let standing = self.keys.entry(key.id).or_insert_with(|| Standing {
                generation: key.generation,
                ..Standing::default()
            });
            if standing.generation < key.generation {
                *standing = std::mem::take(standing).clean(key.generation);
                effects.put(row(KEY, key.id), standing);
                // Its group's as well: whoever does this knows why.
                if let Some(group) = self.groups.get_mut(&key.group)
                    && group.rests.take().is_some()
                {
                    effects.put(row(GROUP, &key.group), group);
                }
                effects.arm = true;
            }
            standing.uses = standing.uses.max(key.uses);
            standing.tokens = standing.tokens.max(key.used_tokens);
        }
        let keys = &snapshot.keys;
        self.keys.retain(|id, _| {
            let stays = keys.iter().any(|key| key.id == *id);
            if !stays {
                effects.delete.push(row(KEY, id));
            }
            stays
        });
        self.groups.retain(|name, _| {
            let stays = keys.iter().any(|key| key.group == *name);
            if !stays {
                effects.delete.push(row(GROUP, name));
            }
            stays
        });
        self.loaded = Some(Loaded {
            keys: snapshot.keys,
            at: now,
            grace_until: 0,
        });
    }

    /// Takes note of what became of an attempt. Told again, it is no news.
    pub fn settle(&mut self, settle: &Settle<'_>, now: i64) -> Effects {
        let mut effects = Effects::default();
        let lease = &settle.lease;
        let probe = lease.id == 0;
        if !probe {
            if self.settled.contains(&lease.id) {
                return effects;
            }
            self.settled.push_back(lease.id);
            if self.settled.len() > MOST_SETTLED {
                self.settled.pop_front();
            }
            self.leases_dirty |= self.open.remove(&lease.id).is_some();
            self.stats.count(settle, now);
        }
        effects.arm = true;
        // What is known to be gone needs no record.
        let gone = |loaded: &Loaded| !loaded.keys.iter().any(|key| key.id == lease.key_id);
        if self.loaded.as_ref().is_some_and(gone) {
            return effects;
        }
        let used = settle.input.unwrap_or_default() + settle.output.unwrap_or_default();
        let standing = self.keys.entry(lease.key_id).or_default();
        standing.tokens += if probe { 0 } else { used };
        standing.dirty = true;
        let mut fresh = Group::default();
        let group = self.groups.get_mut(&lease.group);
        let known = group.is_some();
        let group = group.unwrap_or(&mut fresh);
        if known && !probe && settle.input.is_some() {
            group.minute.correct(lease.at_ms, lease.tokens, used);
            group.dirty = true;
        }
        if standing.generation < lease.generation {
            *standing = std::mem::take(standing).clean(lease.generation);
        }
        if standing.generation > lease.generation {
            return effects;
        }
        match standing.learn(group, settle, now) {
            Changed::Nothing => {}
            // What a key may not do any more it does not do after a crash either.
            Changed::Key => effects.put(row(KEY, lease.key_id), standing),
            Changed::Group => {
                effects.put(row(KEY, lease.key_id), standing);
                effects.put(row(GROUP, &lease.group), group);
                if !known {
                    self.groups.insert(lease.group.clone(), fresh);
                }
            }
        }
        effects
    }

    /// Something about the keys is about to change: until the outcome is known, or it cannot be committed any
    /// more, nothing is kept.
    pub fn announce(&mut self, change: Uuid, now: i64) -> Effects {
        let effects = self.changes.announce(change, now);
        self.without_known(effects)
    }

    /// `change` was committed, or did not come to be: nothing that was read before may be used again. Told
    /// again, it is no news.
    pub fn forget(&mut self, change: Uuid, now: i64) -> Effects {
        match self.changes.forget(change, now) {
            Some(effects) => self.without_known(effects),
            None => Effects::default(),
        }
    }

    fn without_known(&mut self, mut effects: Effects) -> Effects {
        if self.loaded.take().is_some() {
            effects.delete.push(KNOWN.to_owned());
        }
        effects
    }

    /// What there is to show.
    pub fn shown(&self, now: i64) -> Shown {
        let keys = self.keys.iter().map(|(id, standing)| {
            let group = self.group_of(*id);
            KeyShown {
                id: *id,
                state: standing.state(group, now),
                consecutive_failures: standing.failures,
                in_flight: self
                    .open
                    .values()
                    .filter(|lease| lease.key_id == *id)
                    .count() as u32,
                minute: group.map_or((0, 0), |group| group.minute.sum(now)),
                day: group.map_or((0, 0), |group| group.day.sum(now)),
                uses: standing.uses,
                tokens: standing.tokens,
                last_used_ms: standing.last_used,
            }
        });
        Shown {
            keys: keys.collect(),
            series: self.stats.shown(now),
        }
    }

    /// The group of a key, as far as it is known.
    fn group_of(&self, id: Uuid) -> Option<&Group> {
        let known = self.loaded.as_ref()?;
        let key = known.keys.iter().find(|key| key.id == id)?;
        self.groups.get(&key.group)
    }
}

impl Key {
    fn limits(&self) -> Limits {
        Limits {
            rpm: self.rpm,
            tpm: self.tpm,
            rpd: self.rpd,
        }
    }
}

fn row(kind: &str, name: impl std::fmt::Display) -> String {
    format!("{kind}{name}")
}
