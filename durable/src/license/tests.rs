//! The rules of the license object, by example and by random histories, with
//! a pretended Postgres, storage and queue around them.

mod examples;
mod failures;
mod histories;

use std::collections::BTreeMap;

use celaest_domain::license::{Lang, Settings};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use uuid::Uuid;

use super::journal::Message;
use super::rules::Machine;
use super::wire::{Answer, Check, CurrentSettings, LogBatch, Reservation, ReserveRequest, Supply};
use crate::storage::Effects;

/// 2026-06-01.
const START: i64 = 1_780_272_000_000;
const LICENSE: &str = "40000000-0000-4000-8000-000000000001";
const TTL: u32 = 300;

/// The license row in a pretended Postgres.
#[derive(Clone)]
struct Row {
    status: &'static str,
    expires_at: &'static str,
    limits: Value,
    bindings: BTreeMap<Uuid, (String, bool)>,
    last_suspension: Option<Uuid>,
}

impl Default for Row {
    fn default() -> Self {
        Self {
            status: "active",
            expires_at: "2027-01-01T00:00:00+00:00",
            limits: json!({}),
            bindings: BTreeMap::new(),
            last_suspension: None,
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

    fn json(&self) -> Box<RawValue> {
        let bindings = self.bindings.iter();
        let bindings: Vec<_> = bindings
            .map(|(id, (ip, active))| json!({"id": id, "ip": ip, "active": active}))
            .collect();
        let snapshot = json!({
            "license": {
                "id": LICENSE,
                "organization_id": "10000000-0000-4000-8000-000000000001",
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
            "bindings": bindings,
            "settings": {"collision_threshold": 10, "collision_auto_revoke": false},
            "last_suspension": self.last_suspension,
        });
        RawValue::from_string(snapshot.to_string()).unwrap()
    }

    /// What the consumer does with a batch.
    fn consume(&mut self, batch: &LogBatch) {
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
        for record in batch.collisions.iter().filter(|record| record.suspend) {
            self.status = "suspended";
            self.last_suspension = Some(record.id);
        }
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

    /// A validation as the worker makes it, with Postgres at hand.
    fn validate(&mut self, ip: &str, row: &Row) -> Value {
        let data = row.json();
        let mut check = check(ip);
        for _ in 0..3 {
            match self.raw(&check) {
                Answer::Verdict(data) => return serde_json::from_str(&data).unwrap(),
                Answer::NeedSnapshot { token } => {
                    check.supply = Some(Supply::Data { token, data: &data })
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
        let effects = self.machine.forget();
        self.apply(effects);
    }

    fn reserve(&mut self, binding_id: Uuid, ip: &str, row: &Row) -> Reservation {
        let data = row.json();
        let mut request = ReserveRequest {
            binding_id,
            ip,
            snapshot_ttl_s: TTL,
            supply: None,
        };
        for _ in 0..3 {
            let (answer, effects) = self.machine.reserve(&request, self.now).unwrap();
            self.apply(effects);
            match answer {
                Reservation::NeedSnapshot { token } => {
                    request.supply = Some(Supply::Data { token, data: &data })
                }
                answer => return answer,
            }
        }
        panic!("asks for ever");
    }

    /// Sends everything to a queue that works.
    fn flush(&mut self) -> Vec<LogBatch> {
        let messages = self.machine.take_messages();
        messages
            .iter()
            .map(|message| self.deliver(message))
            .collect()
    }

    fn deliver(&mut self, message: &Message) -> LogBatch {
        let effects = self.machine.sent(message);
        self.apply(effects);
        assert!(message.body.len() < 100_000);
        serde_json::from_str(&message.body).unwrap()
    }
}

fn check(ip: &str) -> Check<'_> {
    Check {
        ip,
        connection_ip: None,
        device_info: None,
        machine_id: Some("m-1".into()),
        hostname: None,
        nonce: Some("n\"1".into()),
        user_agent: None,
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
