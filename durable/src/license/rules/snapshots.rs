//! Getting a snapshot, and what it changes.

use celaest_domain::json;
use std::collections::{HashMap, HashSet};

use celaest_domain::address::AddressKey;
use celaest_domain::license::{Snapshot, Status};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{Loaded, Machine, Malformed, slot};
use crate::announced::Announced;
use crate::license::collisions::Window;
use crate::license::stored::{CORE, Core, Owner, SNAPSHOT, StoredSnapshot};
use crate::license::wire::{Found, Supply};
use crate::storage::Effects;

/// How long an absent license is remembered as absent.
const MISSING_MS: i64 = 30_000;
/// How old a snapshot may be while Postgres is away.
const STALE_MS: i64 = 24 * 3_600 * 1_000;
/// How long an old snapshot serves before Postgres, found away, is asked again.
const RETRY_MS: i64 = 10_000;
/// How long others go on with an old snapshot while one caller reads a new one.
const READING_MS: i64 = 2_000;

/// Whether there is a snapshot to judge by.
pub(super) enum Ready {
    Yes,
    Missing,
    NeedSnapshot,
    Unavailable,
}

impl Machine {
    /// Installs what the worker brought, if its token still counts, and says
    /// whether the snapshot there is now may be used.
    pub(super) fn ready(
        &mut self,
        supply: Option<&Supply<'_>>,
        ttl_s: u32,
        now: i64,
        effects: &mut Effects,
    ) -> Result<Ready, Malformed> {
        let changing = self.core.announced.is_changing(now);
        match supply {
            Some(Supply::Data { token, data }) if *token == self.token => {
                self.install(data, changing, now, effects)?;
                return Ok(Ready::Yes);
            }
            Some(Supply::Missing { token }) if *token == self.token => {
                if self.loaded.take().is_some_and(|loaded| !loaded.passing) {
                    effects.delete.push(SNAPSHOT.to_owned());
                }
                if changing {
                    return Ok(Ready::Missing);
                }
                self.missing_until = now + MISSING_MS;
            }
            Some(Supply::Unavailable) => {
                return Ok(match &mut self.loaded {
                    Some(loaded) if !loaded.passing && now.saturating_sub(loaded.at) < STALE_MS => {
                        loaded.grace_until = now + RETRY_MS;
                        Ready::Yes
                    }
                    _ => Ready::Unavailable,
                });
            }
            _ => {}
        }
        if now < self.missing_until {
            return Ok(Ready::Missing);
        }
        let Some(loaded) = self.loaded.as_mut().filter(|loaded| !loaded.passing) else {
            return Ok(Ready::NeedSnapshot);
        };
        let age = now.saturating_sub(loaded.at);
        if age < i64::from(ttl_s.max(1)) * 1_000 || (now < loaded.grace_until && age < STALE_MS) {
            return Ok(Ready::Yes);
        }
        // One caller reads; those behind it need not all read the same row.
        loaded.grace_until = now + READING_MS;
        Ok(Ready::NeedSnapshot)
    }

    /// Takes over what was read; for one verdict only while the license is
    /// `changing`, because the change may be committed since.
    fn install(
        &mut self,
        data: &RawValue,
        changing: bool,
        now: i64,
        effects: &mut Effects,
    ) -> Result<(), Malformed> {
        let found: Found<'_> = json::read(data.get()).map_err(|_| Malformed("snapshot"))?;
        let snapshot = Snapshot::parse(found.snapshot.get()).map_err(|_| Malformed("snapshot"))?;
        let before = self.core.clone();
        self.belong_to(&snapshot, effects);
        if let Some(stop) = self.core.stop {
            // An older read may come later, and would lack the suspension.
            let known = !changing && snapshot.last_suspension == Some(stop.collision);
            if known || snapshot.reactivations > stop.reactivations {
                self.core.stop = None;
            }
        }
        let settled: HashSet<Uuid> = found.settled.into_iter().collect();
        if !changing {
            // Another read begun before this one may be older: it could lack a
            // binding that the object has just let go of.
            self.token = self.ids.token();
            let taken = |ip: &AddressKey| found.bindings.contains_key(ip);
            // The same address bound by hand meanwhile: that binding stands.
            let replaced = self.reports.slots().filter(|(ip, _)| taken(ip));
            let gone: HashSet<Uuid> = replaced
                .map(|(_, id)| id)
                .chain(settled.iter().copied())
                .collect();
            self.reports.settle(|id| gone.contains(id), effects);
            effects.arm |= !self.reports.is_empty();
        }
        self.bound = found.bindings;
        for (ip, id) in self.reports.slots() {
            if !settled.contains(&id) {
                self.bound.entry(ip).or_insert(id);
            }
        }
        // While the license changes, nothing tells which of two reads is the older one.
        if let Some(usage) = &found.usage
            && (!changing || !self.calls.is_known())
        {
            let known: Vec<Uuid> = settled.iter().copied().collect();
            self.calls.install(usage, &known, effects);
        }
        self.missing_until = 0;
        self.loaded = Some(Loaded::new(&snapshot, now, changing));
        if changing {
            if self.core != before {
                effects.put(CORE, &self.core);
            }
            return Ok(());
        }
        self.core.announced = Announced::default();
        let bound = &self.bound;
        self.core
            .holds
            .retain(|held| held.until > now && !bound.contains_key(&held.ip));
        self.core.ended = snapshot.license.status == Status::Cancelled;
        if self.core.ended {
            effects.delete.push(SNAPSHOT.to_owned());
        } else {
            self.store_slots(effects);
            let data = found.snapshot;
            effects.put(SNAPSHOT, &StoredSnapshot { at: now, data });
        }
        if self.core != before {
            effects.put(CORE, &self.core);
        }
        // If this is lost, it is read again.
        effects.unconfirmed = true;
        self.free(effects);
        Ok(())
    }

    /// Whose the license is. A key can name another license than before: nothing
    /// of the old one holds then.
    fn belong_to(&mut self, snapshot: &Snapshot, effects: &mut Effects) {
        let owner = Some(Owner {
            license_id: snapshot.license.id,
            organization_id: snapshot.license.organization_id,
        });
        if self.core.owner == owner {
            return;
        }
        self.reports.settle(|_| true, effects);
        let slots = std::mem::take(&mut self.slots);
        effects.delete.extend(slots.keys().map(slot));
        self.calls.clear(effects);
        self.window = Window::default();
        self.core = Core {
            owner,
            announced: std::mem::take(&mut self.core.announced),
            ..Core::default()
        };
    }

    /// Stores the slots that Postgres shows: only what changed since.
    fn store_slots(&mut self, effects: &mut Effects) {
        let own: HashSet<Uuid> = self.reports.slots().map(|(_, id)| id).collect();
        let shown: HashMap<AddressKey, Uuid> = self
            .bound
            .iter()
            .filter(|(_, id)| !own.contains(id))
            .map(|(key, id)| (*key, *id))
            .collect();
        for (key, id) in &shown {
            if self.slots.get(key) != Some(id) {
                effects.put.push((slot(key), id.to_string()));
            }
        }
        let gone = self.slots.keys().filter(|key| !shown.contains_key(key));
        effects.delete.extend(gone.map(slot));
        self.slots = shown;
    }
}
