//! The rules of the license object, by example and by random histories, with
//! a pretended Postgres, storage and queue around them.

mod examples;
mod failures;
mod histories;
mod kept;
mod wire;

use std::collections::{BTreeMap, BTreeSet};

use celaest_domain::license::{Lang, Settings};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use uuid::Uuid;

use super::rules::Machine;
use super::wire::{
    Answer, Check, CurrentSettings, LogBatch, Outcome, Reservation, ReserveRequest, Supply, Wanted,
};
use crate::storage::Effects;

/// 2026-06-01.
const START: i64 = 1_780_272_000_000;
const LICENSE: &str = "40000000-0000-4000-8000-000000000001";
const VENDOR: &str = "10000000-0000-4000-8000-000000000001";
const TTL: u32 = 300;

/// The license row in a pretended Postgres.
#[derive(Clone)]
struct Row {
    status: &'static str,
    expires_at: &'static str,
    limits: Value,
    bindings: BTreeMap<Uuid, (String, bool)>,
    collisions: BTreeSet<Uuid>,
    last_suspension: Option<Uuid>,
    reactivations: u32,
}

impl Default for Row {
    fn default() -> Self {
        Self {
            status: "active",
            expires_at: "2027-01-01T00:00:00+00:00",
            limits: json!({}),
            bindings: BTreeMap::new(),
            collisions: BTreeSet::new(),
            last_suspension: None,
            reactivations: 0,
        }
    }
}

impl Row {
    fn limits(limits: Value) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// What a read shows that was asked for `waiting`.
    fn json(&self, waiting: &[Uuid]) -> Box<RawValue> {
        let active = self.bindings.iter().filter(|(_, (_, active))| *active);
        let bindings: BTreeMap<_, _> = active.map(|(id, (ip, _))| (ip, id)).collect();
        let is_there = |id: &&Uuid| self.bindings.contains_key(id) || self.collisions.contains(id);
        let settled: Vec<_> = waiting.iter().filter(is_there).collect();
        let found = json!({
            "snapshot": {
                "license": {
                    "id": LICENSE,
                    "organization_id": VENDOR,
                    "key": "CELAEST-MKT-A8F9D2E1-7B3C",
                    "status": self.status,
                    "starts_at": "2026-01-01T00:00:00+00:00",
                    "expires_at": self.expires_at,
                    "trial_ends_at": null,
                    "plan": {"code": "pro", "name": "Pro", "limits": {}, "features": {}},
                    "product": null,
                    "custom_limits": self.limits,
                    "metadata": {}
                },
                "settings": {"collision_threshold": 10, "collision_auto_revoke": false},
                "last_suspension": self.last_suspension,
                "reactivations": self.reactivations,
            },
            "bindings": bindings,
            "settled": settled,
        });
        RawValue::from_string(found.to_string()).unwrap()
    }

    /// What the consumer does with a batch, and what it confirms.
    fn consume(&mut self, batch: &LogBatch) -> Vec<Uuid> {
        for binding in &batch.bindings {
            let ip = binding.ip.to_string();
            let taken = self
                .bindings
                .values()
                .any(|(other, active)| *active && *other == ip);
            if !taken {
                self.bindings.entry(binding.id).or_insert((ip, true));
            }
        }
        for record in &batch.collisions {
            let is_new = self.collisions.insert(record.id);
            if is_new && record.suspend && record.reactivations == self.reactivations {
                self.status = "suspended";
                self.last_suspension = Some(record.id);
            }
        }
        let bindings = batch.bindings.iter().map(|binding| binding.id);
        let collisions = batch.collisions.iter().map(|record| record.id);
        bindings.chain(collisions).collect()
    }

    fn reactivate(&mut self) {
        self.status = "active";
        self.reactivations += 1;
    }
}

/// An object with its storage, as the shell would run it.
struct Object {
    machine: Machine,
    rows: BTreeMap<String, String>,
    now: i64,
    writes: usize,
    restarts: u8,
}

impl Object {
    fn new() -> Self {
        Self {
            machine: Machine::new([1; 16]),
            rows: BTreeMap::new(),
            now: START,
            writes: 0,
            restarts: 0,
        }
    }

    /// The instance dies and another takes over.
    fn restart(&mut self) {
        self.restarts += 1;
        self.machine = Machine::new([1 + self.restarts; 16]);
        let rows: Vec<_> = self.rows.clone().into_iter().collect();
        self.machine.restore(&rows);
    }

    fn apply(&mut self, effects: Effects) -> Effects {
        self.writes += effects.put.len() + effects.delete.len();
        self.rows.extend(effects.put.iter().cloned());
        for key in &effects.delete {
            self.rows.remove(key);
        }
        if effects.free {
            self.rows.clear();
        }
        effects
    }

    fn raw(&mut self, check: &Check<'_>) -> Answer {
        let (answer, effects) = self.machine.validate(check, self.now).unwrap();
        self.apply(effects);
        answer
    }

    fn ask(&mut self, ip: &str) -> Answer {
        self.raw(&check(ip))
    }

    /// What is to be read, of an object that has to ask.
    fn wanted(&mut self, ip: &str) -> Wanted {
        match self.ask(ip) {
            Answer::NeedSnapshot(wanted) => wanted,
            other => panic!("{other:?}"),
        }
    }

    /// A validation as the worker makes it, with Postgres at hand.
    fn validate(&mut self, ip: &str, row: &Row) -> Value {
        self.complete(check(ip), row)
    }

    fn complete(&mut self, check: Check<'_>, row: &Row) -> Value {
        let mut answer = self.raw(&check);
        for _ in 0..3 {
            match answer {
                Answer::Verdict { data, .. } => return serde_json::from_str(&data).unwrap(),
                Answer::NeedSnapshot(Wanted { token, waiting }) => {
                    let data = row.json(&waiting);
                    let supply = Some(Supply::Data { token, data: &data });
                    answer = self.raw(&Check {
                        supply,
                        ..check.clone()
                    });
                }
                other => panic!("{other:?}"),
            }
        }
        panic!("asks for ever");
    }

    fn code(&mut self, ip: &str, row: &Row) -> String {
        self.validate(ip, row)["code"].as_str().unwrap().to_owned()
    }

    fn forget(&mut self) {
        self.told(Outcome::default());
    }

    fn told(&mut self, outcome: Outcome) {
        let effects = self.machine.forget(outcome, self.now);
        self.apply(effects);
    }

    fn announce(&mut self, change: u128) {
        let effects = self.machine.announce(Uuid::from_u128(change), self.now);
        self.apply(effects);
    }

    fn reserve(&mut self, change: Uuid, ip: &str, row: &Row) -> Reservation {
        let mut data = row.json(&[]);
        let mut token = None;
        for _ in 0..3 {
            let request = ReserveRequest {
                change,
                ip,
                snapshot_ttl_s: TTL,
                supply: token.map(|token| Supply::Data { token, data: &data }),
            };
            let (answer, effects) = self.machine.reserve(&request, self.now).unwrap();
            self.apply(effects);
            match answer {
                Reservation::NeedSnapshot(wanted) => {
                    data = row.json(&wanted.waiting);
                    token = Some(wanted.token);
                }
                answer => return answer,
            }
        }
        panic!("asks for ever");
    }

    /// What goes to a queue that works.
    fn report(&mut self) -> Vec<LogBatch> {
        let outgoing = self.machine.take(self.now);
        let bodies = outgoing.bodies.iter();
        assert!(bodies.clone().all(|body| body.len() < 100_000));
        bodies
            .map(|body| serde_json::from_str(body).unwrap())
            .collect()
    }

    fn confirm(&mut self, ids: &[Uuid]) {
        let effects = self.machine.settled(ids);
        self.apply(effects);
    }

    fn has_row(&self, prefix: &str) -> bool {
        self.rows.keys().any(|key| key.starts_with(prefix))
    }
}

fn check(ip: &str) -> Check<'_> {
    Check {
        reported_ip: None,
        connection_ip: ip,
        vendor: None,
        machine_id: None,
        hostname: None,
        nonce: Some("n\"1".into()),
        lang: Lang::Es,
        limit_per_minute: 0,
        snapshot_ttl_s: TTL,
        settings: None,
        supply: None,
    }
}

fn ip(n: u8) -> String {
    format!("192.0.2.{n}")
}
