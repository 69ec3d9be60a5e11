//! What the object made and Postgres has not confirmed: bindings and
//! collisions. They are sent, and sent again, until the consumer says that they
//! are stored or a snapshot shows it.

use celaest_domain::json;
use std::collections::HashSet;

use celaest_domain::address::AddressKey;
use uuid::Uuid;

use crate::license::packing::pack_made;
use crate::license::stored::{BINDING, COLLISION};
use crate::license::wire::{CollisionRecord, Pending, PendingBinding};
use crate::storage::Effects;

/// How long a row waits for company before it is sent.
pub const SEND_AFTER_MS: i64 = 2_000;
/// Shortest and longest wait for a confirmation before everything goes again.
const RESEND_MS: i64 = 30_000;
const MAX_RESEND_MS: i64 = 600_000;
/// Collisions kept at most: weeks of an outage. Bindings have the limit of the
/// license.
const MAX_COLLISIONS: usize = 5_000;

/// One row on its way.
#[derive(Debug)]
struct Row<T> {
    row: T,
    sent: bool,
}

/// Everything on its way.
#[derive(Debug, Default)]
pub struct Reports {
    bindings: Vec<Row<PendingBinding>>,
    collisions: Vec<Row<CollisionRecord>>,
    /// When everything goes again.
    resend_at: i64,
    resends: u32,
}

/// What is handed to the queue, and what it takes along.
#[derive(Debug, Default)]
pub struct Outgoing {
    /// Bodies of messages.
    pub bodies: Vec<String>,
    ids: Vec<Uuid>,
}

impl Reports {
    pub fn restore_binding(&mut self, text: &str) {
        let row = json::read(text).ok();
        self.bindings
            .extend(row.map(|row| Row { row, sent: false }));
    }

    pub fn restore_collision(&mut self, text: &str) {
        let row = json::read(text).ok();
        self.collisions
            .extend(row.map(|row| Row { row, sent: false }));
    }

    pub fn restored(&mut self) {
        self.bindings.sort_by_key(|own| own.row.first_seen_at);
    }

    /// The slots of the bindings.
    pub fn slots(&self) -> impl Iterator<Item = (AddressKey, Uuid)> {
        self.bindings.iter().map(|own| (own.row.ip, own.row.id))
    }

    pub fn ids(&self) -> Vec<Uuid> {
        let bindings = self.bindings.iter().map(|own| own.row.id);
        bindings
            .chain(self.collisions.iter().map(|own| own.row.id))
            .collect()
    }

    pub fn pending(&self) -> Pending {
        let bindings = self.bindings.iter().map(|own| own.row.clone());
        Pending {
            bindings: bindings.collect(),
            suspended: false,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.bindings.is_empty() && self.collisions.is_empty()
    }

    /// How many collisions there is room for.
    pub fn room_for_collisions(&self) -> usize {
        MAX_COLLISIONS.saturating_sub(self.collisions.len())
    }

    pub fn bound(&mut self, binding: PendingBinding, effects: &mut Effects) {
        effects.put(format!("{BINDING}{}", binding.id), &binding);
        (effects.arm, effects.unconfirmed) = (true, false);
        self.bindings.push(Row {
            row: binding,
            sent: false,
        });
    }

    pub fn collided(&mut self, record: CollisionRecord, effects: &mut Effects) {
        effects.put(format!("{COLLISION}{}", record.id), &record);
        (effects.arm, effects.unconfirmed) = (true, false);
        self.collisions.push(Row {
            row: record,
            sent: false,
        });
    }

    /// Lets go of what `is_there`; returns the slots among it.
    pub fn settle(
        &mut self,
        is_there: impl Fn(&Uuid) -> bool,
        effects: &mut Effects,
    ) -> Vec<(AddressKey, Uuid)> {
        let delete = &mut effects.delete;
        let mut slots = Vec::new();
        self.bindings.retain(|Row { row, .. }| {
            let there = is_there(&row.id);
            if there {
                delete.push(format!("{BINDING}{}", row.id));
                slots.push((row.ip, row.id));
            }
            !there
        });
        self.collisions.retain(|Row { row, .. }| {
            let there = is_there(&row.id);
            if there {
                delete.push(format!("{COLLISION}{}", row.id));
            }
            !there
        });
        if self.is_empty() {
            (self.resends, self.resend_at) = (0, 0);
        }
        slots
    }

    /// What is to be sent now. What the queue does not take comes back through
    /// [`Reports::unsent`].
    pub fn take(&mut self, license: Uuid, now: i64) -> Outgoing {
        if now >= self.resend_at {
            let bindings = self.bindings.iter_mut().map(|own| &mut own.sent);
            let collisions = self.collisions.iter_mut().map(|own| &mut own.sent);
            bindings.chain(collisions).for_each(|sent| *sent = false);
            let wait = RESEND_MS << self.resends.min(5);
            self.resend_at = now + wait.min(MAX_RESEND_MS);
            self.resends += 1;
        }
        let mut ids = Vec::new();
        let bindings: Vec<_> = fresh(&mut self.bindings).collect();
        ids.extend(bindings.iter().map(|row| row.id));
        let collisions: Vec<_> = fresh(&mut self.collisions).collect();
        ids.extend(collisions.iter().map(|row| row.id));
        let bodies = pack_made(license, bindings.into_iter(), collisions.into_iter());
        Outgoing { bodies, ids }
    }

    pub fn unsent(&mut self, outgoing: &Outgoing) {
        let ids: HashSet<&Uuid> = outgoing.ids.iter().collect();
        for own in &mut self.bindings {
            own.sent &= !ids.contains(&own.row.id);
        }
        for own in &mut self.collisions {
            own.sent &= !ids.contains(&own.row.id);
        }
    }

    /// When the alarm is needed next.
    pub fn next(&self, now: i64) -> Option<i64> {
        let unsent = self.bindings.iter().any(|own| !own.sent)
            || self.collisions.iter().any(|own| !own.sent);
        match unsent {
            true => Some(now + SEND_AFTER_MS),
            false => (!self.is_empty()).then_some(self.resend_at),
        }
    }
}

/// The rows that were not sent, which they are from now on.
fn fresh<T>(rows: &mut [Row<T>]) -> impl Iterator<Item = &T> {
    rows.iter_mut().filter(|own| !own.sent).map(|own| {
        own.sent = true;
        &own.row
    })
}
