//! What the object is told: that a change is coming, what became of it, and
//! what Postgres has by now.

use std::collections::HashSet;

use uuid::Uuid;

use super::reports::Outgoing;
use super::{Machine, slot};
use crate::license::calls::Ledger;
use crate::license::stored::{CORE, SNAPSHOT};
use crate::license::wire::{Outcome, Pending};
use crate::storage::Effects;

impl Machine {
    /// A change of the license is about to be committed. Until its outcome is
    /// told, or it cannot be committed any more, nothing read before counts, and
    /// nothing read meanwhile counts for longer than one verdict.
    pub fn announce(&mut self, change: Uuid, now: i64) -> Effects {
        let mut effects = self.drop_snapshot();
        self.core.announced.add(change, now);
        effects.put(CORE, &self.core);
        effects
    }

    /// The license changed in Postgres: nothing read before counts any more. What
    /// only the object knows (new bindings, a suspension) stays. A change that was
    /// called off ends what was done for it, and nothing else.
    pub fn forget(&mut self, outcome: Outcome, now: i64) -> Effects {
        let mut effects = match outcome.called_off {
            true => Effects::default(),
            false => self.drop_snapshot(),
        };
        let before = self.core.clone();
        self.core.announced.end(outcome.change, now);
        let holds = &mut self.core.holds;
        holds.retain(|held| Some(held.change) != outcome.change);
        self.core.ended |= outcome.ended;
        if self.core != before {
            effects.put(CORE, &self.core);
        }
        self.free(&mut effects);
        effects
    }

    pub(super) fn drop_snapshot(&mut self) -> Effects {
        self.token = self.ids.token();
        self.missing_until = 0;
        let mut effects = Effects::default();
        if self.loaded.take().is_some_and(|loaded| !loaded.passing) {
            effects.delete.push(SNAPSHOT.to_owned());
        }
        effects
    }

    /// Of a cancelled license nothing is kept but what Postgres must still get.
    pub(super) fn free(&mut self, effects: &mut Effects) {
        if self.is_done() {
            self.slots.clear();
            self.calls = Ledger::default();
            *effects = Effects {
                free: true,
                ..Effects::default()
            };
        }
    }

    fn is_done(&self) -> bool {
        self.core.ended
            && self.core.announced.is_empty()
            && self.reports.is_empty()
            && self.calls.is_empty()
    }

    /// What the object has that Postgres may not.
    pub fn pending(&self) -> Pending {
        Pending {
            suspended: self.core.stop.is_some(),
            ..self.reports.pending()
        }
    }

    /// Postgres has these bindings and collisions.
    pub fn settled(&mut self, ids: &[Uuid]) -> Effects {
        let ids: HashSet<&Uuid> = ids.iter().collect();
        let mut effects = Effects::default();
        let slots = self.reports.settle(|id| ids.contains(id), &mut effects);
        if !slots.is_empty() {
            // What was read before may lack them.
            self.token = self.ids.token();
        }
        for (key, id) in slots {
            effects.put.push((slot(&key), id.to_string()));
            self.slots.insert(key, id);
        }
        self.free(&mut effects);
        effects
    }

    /// What is to be sent to the queue now.
    pub fn take(&mut self, now: i64) -> Outgoing {
        match self.core.owner {
            Some(owner) => self.reports.take(owner.license_id, now),
            None => Outgoing::default(),
        }
    }

    /// The queue did not take it: it goes again with the next.
    pub fn unsent(&mut self, outgoing: &Outgoing) {
        self.reports.unsent(outgoing);
    }

    /// When the alarm is needed next, if it is.
    pub fn next_alarm(&self, now: i64) -> Option<i64> {
        self.core.owner?;
        let dues = [self.reports.next(now), self.calls.next()];
        dues.into_iter().flatten().min()
    }
}
