//! What a pool does behind its answers: writes down what it counted, ends what nobody settled, and reports.

use serde_json::json;
use uuid::Uuid;

use super::{GROUP, KEY, LEASE_MS, LEASES, Machine, row};
use crate::key_pool::wire::{Lease, Settle, State, Verdict};
use crate::shell::Behind;
use crate::storage::Effects;

impl Machine {
    /// What is to be written behind, what PostgreSQL is to be told (totals and states, so that a report that is
    /// repeated or overtaken does no harm), and when to ask again.
    pub fn write_behind(&mut self, now: i64) -> Behind {
        let mut effects = Effects::default();
        self.end_leases(now);
        effects.delete.extend(self.stats.forget(now));
        for record in self.stats.0.iter_mut().filter(|record| record.dirty) {
            record.dirty = false;
            effects.put(record.row(), record);
        }
        for (name, group) in self.groups.iter_mut().filter(|(_, group)| group.dirty) {
            group.dirty = false;
            effects.put(row(GROUP, name), group);
        }
        let report = self.report(now);
        for (id, standing) in self.keys.iter_mut().filter(|(_, one)| one.dirty) {
            standing.dirty = false;
            effects.put(row(KEY, id), standing);
        }
        if std::mem::take(&mut self.leases_dirty) {
            match self.open.is_empty() {
                true => effects.delete.push(LEASES.to_owned()),
                false => effects.put(LEASES, &self.open),
            }
        }
        Behind {
            effects,
            report,
            again: self.next(now),
        }
    }

    /// Leases that nobody settled: what became of them is unknown.
    fn end_leases(&mut self, now: i64) {
        let over = |lease: &Lease| now - lease.at_ms >= LEASE_MS;
        let ended: Vec<Lease> = self
            .open
            .values()
            .filter(|lease| over(lease))
            .cloned()
            .collect();
        for lease in ended {
            let unknown = Settle {
                lease,
                verdict: Verdict::Unknown,
                code: "".into(),
                until_ms: None,
                disables: false,
                input: None,
                output: None,
                latency_ms: 0,
                cost_micros: None,
            };
            self.settle(&unknown, now);
        }
    }

    fn report(&mut self, now: i64) -> Option<String> {
        let states: Vec<(Uuid, State)> = self
            .keys
            .iter()
            .map(|(id, standing)| (*id, standing.state(self.group_of(*id), now)))
            .collect();
        self.reported = now.max(self.reported + 1);
        let mut told = Vec::new();
        for (id, state) in states {
            let Some(standing) = self.keys.get_mut(&id) else {
                continue;
            };
            let well = state == State::Active;
            if !standing.untold && standing.told_well == Some(well) {
                continue;
            }
            standing.untold = false;
            standing.dirty |= standing.told_well != Some(well);
            standing.told_well = Some(well);
            let mut row = json!({
                "id": id, "sequence": self.reported, "generation": standing.generation,
                "usage_count": standing.uses, "tokens_used": standing.tokens, "last_used_ms": standing.last_used,
                "consecutive_failures": standing.failures,
            });
            if let (Some(row), Ok(serde_json::Value::Object(state))) =
                (row.as_object_mut(), serde_json::to_value(&state))
            {
                row.extend(state);
            }
            told.push(row);
        }
        let told = (!told.is_empty()).then_some(told)?;
        Some(json!({ "topic": "ai_pool.used", "payload": { "keys": told } }).to_string())
    }

    /// A report was not taken.
    pub fn report_again(&mut self) {
        for standing in self.keys.values_mut() {
            standing.untold = true;
        }
    }

    /// When a lease or a rest ends next, in milliseconds from `now`.
    fn next(&self, now: i64) -> Option<i64> {
        let leases = self.open.values().map(|lease| lease.at_ms + LEASE_MS);
        let own = self.keys.values().filter_map(|one| one.rests.as_ref());
        let shared = self.groups.values().filter_map(|one| one.rests.as_ref());
        let rests = own.chain(shared).map(|rest| rest.until);
        let later = leases.chain(rests).filter(|at| *at > now);
        later.min().map(|at| at - now)
    }
}
