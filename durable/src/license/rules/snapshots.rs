//! Getting a snapshot, and what it changes.

use std::collections::HashSet;

use celaest_domain::license::{Snapshot, Terms};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{Loaded, Machine, Malformed, Unmirrored};
use crate::license::collisions::Window;
use crate::license::journal::Journal;
use crate::license::stored::{BINDING, COLLISION, CORE, Core, Owner, SNAPSHOT, StoredSnapshot};
use crate::license::wire::Supply;
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
        match supply {
            Some(Supply::Data { token, data }) if *token == self.token => {
                self.install(data, now, effects)?;
                return Ok(Ready::Yes);
            }
            Some(Supply::Missing { token }) if *token == self.token => {
                if self.loaded.take().is_some() {
                    effects.delete.push(SNAPSHOT.to_owned());
                }
                self.missing_until = now + MISSING_MS;
            }
            Some(Supply::Unavailable) => {
                return Ok(match &mut self.loaded {
                    Some(loaded) if now.saturating_sub(loaded.at) < STALE_MS => {
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
        let Some(loaded) = &mut self.loaded else {
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

    fn install(
        &mut self,
        data: &RawValue,
        now: i64,
        effects: &mut Effects,
    ) -> Result<(), Malformed> {
        let snapshot = Snapshot::parse(data.get()).map_err(|_| Malformed("snapshot"))?;
        let before = self.core.clone();
        let owner = Owner {
            license_id: snapshot.license.id,
            organization_id: snapshot.license.organization_id,
        };
        let rows =
            |own: &[Unmirrored]| own.iter().map(|own| own.binding.id).collect::<HashSet<_>>();
        let waiting = rows(&self.unmirrored);
        if self.core.owner != Some(owner) {
            // The key names another license now: nothing of the old one holds.
            let gone = self
                .collisions
                .drain(..)
                .map(|record| format!("{COLLISION}{}", record.id));
            effects.delete.extend(gone);
            self.core = Core {
                owner: Some(owner),
                ..Core::default()
            };
            self.unmirrored.clear();
            self.window = Window::default();
            self.journal = Journal::default();
        }
        if snapshot.last_suspension.is_some() && snapshot.last_suspension == self.core.suspension {
            self.core.suspension = None;
        }
        // Another read begun before this one may be older: it could lack a
        // binding that the object has just seen arrive and let go of.
        self.token = self.ids.token();
        self.load(&snapshot, now);
        let left = rows(&self.unmirrored);
        effects
            .delete
            .extend(waiting.difference(&left).map(|id| format!("{BINDING}{id}")));
        for own in &mut self.unmirrored {
            own.queued = false;
            effects.arm = true;
        }
        let bound = &self.bound;
        self.core
            .holds
            .retain(|held| held.until > now && !bound.contains_key(&held.ip));
        if self.core != before {
            effects.put(CORE, &self.core);
        }
        effects.put(SNAPSHOT, &StoredSnapshot { at: now, data });
        Ok(())
    }

    /// Slots are what Postgres shows as active and what the object gave since.
    pub(super) fn load(&mut self, snapshot: &Snapshot, at: i64) {
        let known: HashSet<Uuid> = snapshot.bindings.iter().map(|binding| binding.id).collect();
        let active = snapshot.bindings.iter().filter(|binding| binding.active);
        self.bound = active.map(|binding| (binding.ip, binding.id)).collect();
        let bound = &mut self.bound;
        self.unmirrored.retain(|own| {
            // The same address bound by hand meanwhile: that binding stands.
            let stays = !known.contains(&own.binding.id) && !bound.contains_key(&own.binding.ip);
            if stays {
                bound.insert(own.binding.ip, own.binding.id);
            }
            stays
        });
        self.missing_until = 0;
        self.loaded = Some(Loaded {
            terms: Terms::new(snapshot),
            at,
            grace_until: 0,
        });
    }
}
