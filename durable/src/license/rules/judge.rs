//! The verdict on one validation, and what follows from it.

use celaest_domain::address::{Address, AddressKey};
use celaest_domain::license as domain;
use celaest_domain::license::{Code, Collision, Place, Severity};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Machine, Unmirrored};
use crate::license::journal::{Entry, FLUSH_AT, clip};
use crate::license::stored::{BINDING, COLLISION, CORE, WINDOW};
use crate::license::wire::{Check, CollisionRecord, PendingBinding};
use crate::storage::Effects;

impl Machine {
    /// Judges, binds, records and logs. Returns the `data` of the response.
    pub(super) fn judge(
        &mut self,
        check: &Check<'_>,
        address: &Address,
        now: i64,
        effects: &mut Effects,
    ) -> String {
        // `ready` said there is a snapshot.
        let Some(loaded) = &self.loaded else {
            return String::new();
        };
        let key = address.key();
        let owned = self.bound.get(&key).copied();
        let place = Place {
            bound: owned.is_some(),
            free: owned.is_some() || self.room(key, now).is_none_or(|free| free > 0),
        };
        let suspended = self.core.suspension.is_some();
        let mut code = domain::verdict(&loaded.terms, suspended, now, address, place);
        let mut new_id = (code == Code::Valid && !place.bound).then(|| self.ids.v4());
        let mut collision = None;
        let counts = matches!(code, Code::Valid | Code::IpLimitReached);
        if counts && loaded.terms.can_collide(address) {
            // Whichever was read later counts: the snapshot's settings or the caller's.
            let current = check.settings.filter(|current| current.read_at > loaded.at);
            let threshold = loaded
                .terms
                .suspends_above(current.map(|current| current.values));
            let suspends;
            (collision, suspends) = self.collide(key, owned.or(new_id), threshold, now, effects);
            if suspends {
                (code, new_id) = (Code::Suspended, None);
            }
        }
        if let Some(id) = new_id {
            self.bind(id, key, check, now, effects);
        }
        self.log(check, code, owned.or(new_id), now, effects);
        self.answer(check, address, code, new_id.is_some(), collision, now)
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
        let binding = PendingBinding {
            id,
            ip: key,
            machine_id: check.machine_id.as_deref().map(|text| clip(text, 255)),
            hostname: check.hostname.as_deref().map(|text| clip(text, 255)),
            first_seen_at: moment(now),
        };
        effects.put(format!("{BINDING}{id}"), &binding);
        self.bound.insert(key, id);
        self.unmirrored.push(Unmirrored {
            binding,
            queued: false,
        });
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
        key: AddressKey,
        binding: Option<Uuid>,
        threshold: Option<u32>,
        now: i64,
        effects: &mut Effects,
    ) -> (Option<Collision>, bool) {
        let sighting = self.window.see(key, now);
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
            };
            effects.put(format!("{COLLISION}{}", record.id), &record);
            if record.suspend {
                self.core.suspension = Some(record.id);
                effects.put(CORE, &self.core);
                self.window.reset_count();
            }
            self.collisions.push(record);
        }
        effects.put.push((WINDOW.to_owned(), self.window.save(now)));
        (collision, suspends)
    }

    fn log(
        &mut self,
        check: &Check<'_>,
        code: Code,
        binding: Option<Uuid>,
        now: i64,
        effects: &mut Effects,
    ) {
        let failure = (code != Code::Valid).then_some(code.as_str());
        if let (Some(id), None) = (binding, failure) {
            self.journal.saw(id, now);
        }
        let entry = Entry::new(self.ids.v7(now), check, binding, failure, now);
        let entries = self.journal.push(&entry);
        effects.arm = true;
        effects.flush = entries.is_multiple_of(FLUSH_AT);
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
            Code::Valid => Some(match self.room(address.key(), now) {
                Some(free) => i64::try_from(free).unwrap_or(i64::MAX),
                None => -1,
            }),
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

fn moment(now: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(now).unwrap_or_default()
}
