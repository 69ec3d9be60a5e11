//! The verdict on one validation, and what follows from it.

use std::borrow::Cow;

use celaest_domain::address::{Address, AddressKey};
use celaest_domain::license as domain;
use celaest_domain::license::{AddressSource, Code, Collision, Place, Severity};
use celaest_domain::text::clip;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::Machine;
use crate::license::collisions::digest;
use crate::license::stored::{CORE, Stop, WINDOW};
use crate::license::wire::{Answer, Check, CollisionRecord, Logged, PendingBinding};
use crate::storage::Effects;

/// A cancelled license is cancelled for good: of its refusals one in so many
/// milliseconds is logged.
const CANCELLED_LOG_MS: i64 = 60_000;

/// Where a validation comes from.
struct Origin {
    /// What takes a slot and collides.
    counted: Address,
    /// What has to lie in the license's networks.
    from: Address,
    machine: Option<u64>,
}

impl Machine {
    /// Judges, binds, records, and says what the log needs to know.
    pub(super) fn judge(
        &mut self,
        check: &Check<'_>,
        connection: Address,
        reported: Option<Address>,
        now: i64,
        effects: &mut Effects,
    ) -> Answer {
        // `ready` said there is a snapshot.
        let (Some(loaded), Some(owner)) = (&self.loaded, self.core.owner) else {
            return Answer::Unavailable;
        };
        // Whichever was read later counts: the snapshot's settings or the caller's.
        let current = check.settings.filter(|current| current.read_at > loaded.at);
        let settings = current.map(|current| current.values);
        let told = reported.unwrap_or(connection);
        let trusted = check.vendor == Some(owner.organization_id);
        let source = loaded.terms.address_source(settings);
        let origin = Origin {
            counted: match source {
                AddressSource::Connection if !trusted => connection,
                _ => told,
            },
            from: if trusted { told } else { connection },
            machine: check.machine_id.as_deref().map(digest),
        };
        let key = origin.counted.key();
        let owned = self.bound.get(&key).copied();
        let place = Place {
            bound: owned.is_some(),
            free: owned.is_some() || self.has_room(key, now),
        };
        let suspended = self.core.stop.is_some();
        let mut code = domain::verdict(&loaded.terms, suspended, now, &origin.from, place);
        let mut new_id = (code == Code::Valid && !place.bound).then(|| self.ids.v4());
        let mut collision = None;
        let counts = matches!(code, Code::Valid | Code::IpLimitReached);
        if counts && loaded.terms.can_collide(&origin.from) {
            let threshold = loaded.terms.suspends_above(settings);
            let suspends;
            let binding = owned.or(new_id);
            (collision, suspends) = self.collide(&origin, binding, threshold, now, effects);
            if suspends {
                (code, new_id) = (Code::Suspended, None);
            }
        }
        if let Some(id) = new_id {
            self.bind(id, key, check, now, effects);
        }
        let failure = (code != Code::Valid).then(|| code.as_str().into());
        Answer::Verdict {
            logged: self.is_logged(code, now).then(|| Logged {
                license_id: owner.license_id,
                binding_id: owned.or(new_id),
                failure,
            }),
            data: self.answer(
                check,
                &origin.counted,
                code,
                new_id.is_some(),
                collision,
                now,
            ),
        }
    }

    /// Takes a slot. The row is written before the answer leaves.
    fn bind(
        &mut self,
        id: Uuid,
        key: AddressKey,
        check: &Check<'_>,
        now: i64,
        effects: &mut Effects,
    ) {
        let told = |text: &Option<Cow<'_, str>>| {
            let text = text.as_deref();
            text.map(|text| clip(text, 255).into_owned())
        };
        let binding = PendingBinding {
            id,
            ip: key,
            machine_id: told(&check.machine_id),
            hostname: told(&check.hostname),
            first_seen_at: moment(now),
        };
        self.reports.bound(binding, effects);
        self.bound.insert(key, id);
        let holds = self.core.holds.len();
        self.core.holds.retain(|held| held.ip != key);
        if self.core.holds.len() != holds {
            effects.put(CORE, &self.core);
        }
    }

    /// Notes the address and records the collisions that are due. With more
    /// records in 24 hours than `threshold` allows the license is suspended
    /// here and now (the second result), and the last record tells Postgres.
    fn collide(
        &mut self,
        origin: &Origin,
        binding: Option<Uuid>,
        threshold: Option<u32>,
        now: i64,
        effects: &mut Effects,
    ) -> (Option<Collision>, bool) {
        let key = origin.counted.key();
        let most = self.reports.room_for_collisions();
        let sighting = self.window.see(key, origin.machine, now, most);
        let addresses = sighting.addresses;
        let Some(severity) = Severity::of(addresses) else {
            return (None, false);
        };
        let collision = Some(Collision {
            severity,
            addresses,
        });
        if sighting.others.is_empty() {
            return (collision, false);
        }
        let recorded = self.window.recorded(now);
        let suspends = threshold.is_some_and(|threshold| recorded > threshold);
        // A caller that is refused gets no slot that a record could name.
        let binding = binding.filter(|id| !suspends || self.bound.get(&key) == Some(id));
        let reactivations = self.reactivations();
        let last = sighting.others.len() - 1;
        for (place, other) in sighting.others.into_iter().enumerate() {
            let record = CollisionRecord {
                id: self.ids.v7(now),
                ip_a: other,
                ip_b: key,
                binding_a: self.bound.get(&other).copied(),
                binding_b: binding,
                severity,
                address_count: addresses,
                detected_at: moment(now),
                suspend: suspends && place == last,
                reactivations,
            };
            if record.suspend {
                self.core.stop = Some(Stop {
                    collision: record.id,
                    reactivations,
                });
                effects.put(CORE, &self.core);
                self.window.reset_count();
            }
            self.reports.collided(record, effects);
        }
        effects.put.push((WINDOW.to_owned(), self.window.save(now)));
        (collision, suspends)
    }

    fn reactivations(&self) -> u32 {
        let loaded = self.loaded.as_ref();
        loaded.map_or(0, |loaded| loaded.terms.reactivations)
    }

    /// Every verdict on a license is logged, but not without end the refusals of
    /// one that is gone for good.
    fn is_logged(&mut self, code: Code, now: i64) -> bool {
        if code != Code::Cancelled {
            return true;
        }
        let due = now.saturating_sub(self.refusal_logged_at) >= CANCELLED_LOG_MS;
        if due {
            self.refusal_logged_at = now;
        }
        due
    }

    fn answer(
        &self,
        check: &Check<'_>,
        address: &Address,
        code: Code,
        newly_bound: bool,
        collision: Option<Collision>,
        now: i64,
    ) -> String {
        let valid = code == Code::Valid;
        let remaining_ips = match code {
            Code::Valid => Some(self.shown_room(address.key(), now)),
            Code::IpLimitReached => Some(0),
            _ => None,
        };
        let loaded = self.loaded.as_ref().filter(|_| valid);
        domain::Answer {
            code,
            lang: check.lang,
            address: &address.to_string(),
            bound: valid,
            newly_bound,
            license: loaded.map(|loaded| loaded.terms.license_json.as_str()),
            remaining_ips,
            collision,
            nonce: check.nonce.as_deref(),
            now_ms: now,
        }
        .to_json()
    }
}

impl Machine {
    /// Free slots as the caller is told: −1 for a license without a limit.
    fn shown_room(&self, key: AddressKey, now: i64) -> i64 {
        let loaded = self.loaded.as_ref();
        match loaded.and_then(|loaded| loaded.terms.max_ips) {
            Some(_) => i64::try_from(self.room(key, now)).unwrap_or(i64::MAX),
            None => -1,
        }
    }
}

fn moment(now: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(now).unwrap_or_default()
}
