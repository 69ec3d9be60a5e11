//! The rules of a pool, by examples and by any history.

mod histories;

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};
use uuid::Uuid;

use super::rules::{LEASE_MS, Machine};
use super::wire::{Given, Lease, Reserve, Reserved, Settle, State, Supply, Verdict};
use crate::storage::Effects;

/// A key as PostgreSQL shows it, with what a test says of it.
fn key(number: u128, fields: serde_json::Value) -> serde_json::Value {
    let id = Uuid::from_u128(number);
    let mut key = json!({
        "id": id, "sealed": format!("sealed {number}"), "key_version": 1, "generation": 1, "active": true,
        "group": id, "priority": 0, "weight": 100, "rpm": null, "tpm": null, "rpd": null, "expires_ms": null,
    });
    for (name, value) in fields.as_object().into_iter().flatten() {
        key[name] = value.clone();
    }
    key
}

fn keys(all: &[serde_json::Value]) -> Box<RawValue> {
    to_raw_value(&json!({ "keys": all })).unwrap()
}

/// A pool with its storage and what PostgreSQL says.
struct Pool {
    machine: Machine,
    stored: BTreeMap<String, String>,
    rows: Box<RawValue>,
    reads: u32,
}

impl Pool {
    fn new(all: &[serde_json::Value]) -> Self {
        Self {
            machine: Machine::new([7; 16]),
            stored: BTreeMap::new(),
            rows: keys(all),
            reads: 0,
        }
    }

    fn store(&mut self, effects: Effects) {
        self.stored.extend(effects.put);
        for key in effects.delete {
            self.stored.remove(&key);
        }
    }

    fn restart(&mut self, seed: u8) {
        self.machine = Machine::new([seed; 16]);
        let rows: Vec<_> = self.stored.clone().into_iter().collect();
        self.machine.restore(&rows);
    }

    fn try_reserve(
        &mut self,
        tried: &[Uuid],
        tokens: u64,
        supply: Option<Supply<'_>>,
        now: i64,
    ) -> Reserved {
        let ask = Reserve {
            model: "m".into(),
            tokens,
            tried: tried.into(),
            max_age_s: 300,
            supply,
        };
        let (answer, effects) = self.machine.reserve(&ask, now).unwrap();
        self.store(effects);
        answer
    }

    fn reserve_but(&mut self, tried: &[Uuid], tokens: u64, now: i64) -> Reserved {
        match self.try_reserve(tried, tokens, None, now) {
            Reserved::Need { token } => {
                self.reads += 1;
                let data = self.rows.clone();
                self.try_reserve(tried, tokens, Some(Supply { token, data: &data }), now)
            }
            answer => answer,
        }
    }

    fn reserve(&mut self, now: i64) -> Reserved {
        self.reserve_but(&[], 0, now)
    }

    fn lease(&mut self, now: i64) -> Lease {
        given(self.reserve(now)).lease
    }

    fn settle(&mut self, lease: &Lease, verdict: Verdict, now: i64) {
        self.settle_as(lease, verdict, ("", None, false), now);
    }

    fn settle_as(
        &mut self,
        lease: &Lease,
        verdict: Verdict,
        (code, until_ms, disables): (&str, Option<i64>, bool),
        now: i64,
    ) {
        let settle = Settle {
            lease: lease.clone(),
            verdict,
            code: code.into(),
            until_ms,
            disables,
            input: Some(10),
            output: Some(5),
            latency_ms: 100,
            cost_micros: Some(3),
        };
        let effects = self.machine.settle(&settle, now);
        self.store(effects);
    }

    fn change(&mut self, all: &[serde_json::Value], now: i64) {
        let change = Uuid::new_v4();
        let effects = self.machine.announce(change, now);
        self.store(effects);
        self.rows = keys(all);
        let effects = self.machine.forget(change, now);
        self.store(effects);
    }
}

fn given(answer: Reserved) -> Given {
    match answer {
        Reserved::Key(given) => *given,
        other => panic!("{other:?}"),
    }
}

fn number(answer: Reserved) -> u128 {
    given(answer).lease.key_id.as_u128()
}

fn cooling(answer: Reserved) -> (i64, String) {
    match answer {
        Reserved::Cooling { until_ms, reason } => (until_ms, reason),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_cap_of_5_with_10_at_once_is_exactly_5() {
    let mut pool = Pool::new(&[key(1, json!({ "rpm": 5 }))]);
    let answers: Vec<_> = (0..10).map(|_| pool.reserve(0)).collect();
    let passed = answers
        .iter()
        .filter(|answer| matches!(answer, Reserved::Key(_)));
    assert_eq!((passed.count(), pool.reads), (5, 1));
    assert_eq!(cooling(pool.reserve(0)), (65_000, "minute_limit".into()));
    // Not even a new object forgets it, nor that it has the key.
    pool.restart(9);
    let shown = pool.machine.shown(1_000).keys;
    assert_eq!((shown.len(), shown[0].minute.0), (1, 5));
    assert!(matches!(pool.reserve(1_000), Reserved::Cooling { .. }));
    assert_eq!(number(pool.reserve(65_000)), 1);
}

#[test]
fn siblings_add_no_capacity() {
    let of = |number| key(number, json!({ "rpm": 5, "group": "project" }));
    let mut pool = Pool::new(&[of(1), of(2)]);
    let passed = (0..10).filter(|_| matches!(pool.reserve(0), Reserved::Key(_)));
    assert_eq!(passed.count(), 5);
    // What one of them is refused for, the others need not try.
    let mut pool = Pool::new(&[of(1), of(2)]);
    let lease = pool.lease(0);
    pool.settle_as(
        &lease,
        Verdict::Capacity,
        ("rate_limited", Some(9_000), false),
        1,
    );
    assert_eq!(cooling(pool.reserve(2)), (9_000, "rate_limited".into()));
    assert!(matches!(pool.reserve(9_000), Reserved::Key(_)));
}

#[test]
fn tokens_and_days_have_limits_too() {
    let mut pool = Pool::new(&[key(1, json!({ "tpm": 100 }))]);
    let lease = given(pool.reserve_but(&[], 90, 0)).lease;
    assert_eq!(cooling(pool.reserve_but(&[], 90, 0)).1, "minute_limit");
    // It used 15.
    pool.settle(&lease, Verdict::Good, 10);
    assert!(matches!(pool.reserve_but(&[], 85, 10), Reserved::Key(_)));
    let mut pool = Pool::new(&[key(1, json!({ "rpd": 1 }))]);
    pool.lease(0);
    assert_eq!(
        cooling(pool.reserve(1)),
        (25 * 3_600_000, "day_limit".into())
    );
}

#[test]
fn weights_and_priorities() {
    let mut pool = Pool::new(&[
        key(1, json!({ "weight": -100 })),
        key(2, json!({ "weight": 1 })),
    ]);
    assert!((0..50).all(|_| number(pool.reserve(0)) == 2));
    let mut pool = Pool::new(&[
        key(1, json!({})),
        key(2, json!({ "priority": 1, "weight": 1 })),
    ]);
    let lease = pool.lease(0);
    assert_eq!(lease.key_id.as_u128(), 2);
    pool.settle_as(&lease, Verdict::Key, ("invalid_key", None, true), 1);
    assert_eq!(number(pool.reserve(2)), 1);
    let mut pool = Pool::new(&[
        key(1, json!({ "weight": 25 })),
        key(2, json!({ "weight": 75 })),
    ]);
    let first = (0..400).filter(|_| number(pool.reserve(0)) == 1).count();
    // Three standard deviations.
    assert!(first.abs_diff(100) < 27, "{first}");
}

#[test]
fn who_failed_is_not_tried_again_and_who_is_disabled_is_no_more() {
    let mut pool = Pool::new(&[key(1, json!({})), key(2, json!({}))]);
    let one = pool.lease(0);
    let other = given(pool.reserve_but(&[one.key_id], 0, 0)).lease;
    assert_ne!(one.key_id, other.key_id);
    assert_eq!(
        pool.reserve_but(&[one.key_id, other.key_id], 0, 0),
        Reserved::Empty { keys: 2 }
    );
    pool.settle_as(&one, Verdict::Key, ("invalid_key", None, true), 5);
    pool.settle_as(&other, Verdict::Key, ("quota", None, true), 6);
    assert_eq!(pool.reserve(7), Reserved::Empty { keys: 2 });
    pool.restart(9);
    assert_eq!(pool.reserve(8), Reserved::Empty { keys: 2 });
    let shown = pool.machine.shown(8).keys;
    let of = |id| shown.iter().find(|key| key.id == id).unwrap();
    assert_eq!(
        of(one.key_id).state,
        State::Disabled {
            reason: "invalid_key".into(),
            since_ms: 5
        }
    );
    assert_eq!(Pool::new(&[]).reserve(0), Reserved::Empty { keys: 0 });
}

#[test]
fn a_clean_record_comes_with_a_new_generation_or_a_success_that_began_later() {
    let disabled = || {
        let mut pool = Pool::new(&[key(1, json!({}))]);
        let lease = pool.lease(0);
        let early = pool.lease(0);
        pool.settle_as(&lease, Verdict::Key, ("invalid_key", None, true), 5);
        pool.settle(&early, Verdict::Good, 9);
        assert_eq!(pool.reserve(10), Reserved::Empty { keys: 1 });
        (pool, lease)
    };
    let (mut pool, lease) = disabled();
    let probe = Lease {
        id: 0,
        at_ms: 11,
        ..lease.clone()
    };
    pool.settle(&probe, Verdict::Good, 12);
    assert_eq!(number(pool.reserve(13)), 1);
    // A probe is no use.
    assert_eq!(pool.machine.shown(13).series[0].day.requests, 2);

    let (mut pool, lease) = disabled();
    pool.change(&[key(1, json!({ "generation": 2 }))], 20);
    assert_eq!(number(pool.reserve(21)), 1);
    // What became of the old one does not matter any more.
    let late = Lease { id: 77, ..lease };
    pool.settle_as(&late, Verdict::Key, ("invalid_key", None, true), 22);
    assert_eq!(number(pool.reserve(23)), 1);
}

#[test]
fn faults_say_little_of_a_key_until_they_are_many() {
    let mut pool = Pool::new(&[key(1, json!({}))]);
    for at in 0..3 {
        let lease = pool.lease(at);
        pool.settle_as(&lease, Verdict::Fault, ("timeout", None, false), at);
    }
    assert_eq!(cooling(pool.reserve(3)), (5_002, "timeout".into()));
    let lease = pool.lease(5_002);
    pool.settle(&lease, Verdict::Good, 5_003);
    let lease = pool.lease(5_004);
    pool.settle_as(&lease, Verdict::Fault, ("timeout", None, false), 5_005);
    assert_eq!(number(pool.reserve(5_006)), 1);
}

#[test]
fn keys_that_ended_or_were_taken_out_are_passed_over() {
    let all = [
        key(1, json!({ "expires_ms": 100 })),
        key(2, json!({ "active": false })),
        key(3, json!({ "weight": 1 })),
    ];
    let mut pool = Pool::new(&all);
    assert!((100..150).all(|now| number(pool.reserve(now)) == 3));
    pool.change(&all[..2], 200);
    assert_eq!(pool.reserve(201), Reserved::Empty { keys: 2 });
}

#[test]
fn what_is_settled_twice_is_counted_once_and_what_is_never_settled_ends() {
    let mut pool = Pool::new(&[key(1, json!({}))]);
    let lease = pool.lease(0);
    pool.settle(&lease, Verdict::Good, 10);
    pool.settle(&lease, Verdict::Good, 11);
    let tally = pool.machine.shown(12).series[0].day.clone();
    assert_eq!((tally.requests, tally.input, tally.cost_micros), (1, 10, 3));
    pool.lease(20);
    let behind = pool.machine.write_behind(30);
    pool.store(behind.effects);
    assert_eq!(behind.again, Some(LEASE_MS - 10));
    pool.restart(9);
    assert_eq!(pool.machine.shown(40).keys[0].in_flight, 1);
    let behind = pool.machine.write_behind(20 + LEASE_MS);
    pool.store(behind.effects);
    let shown = pool.machine.shown(20 + LEASE_MS);
    assert_eq!(shown.keys[0].in_flight, 0);
    let all = shown
        .series
        .iter()
        .map(|series| (series.day.requests, series.day.errors()));
    assert_eq!(all.collect::<Vec<_>>(), [(2, 1)]);
}

#[test]
fn postgresql_is_told_totals_and_states() {
    let mut pool = Pool::new(&[key(1, json!({ "uses": 40, "used_tokens": 1_000 }))]);
    let lease = pool.lease(0);
    pool.settle_as(
        &lease,
        Verdict::Capacity,
        ("rate_limited", Some(60_000), false),
        5,
    );
    let behind = pool.machine.write_behind(10);
    pool.store(behind.effects);
    let report: serde_json::Value = serde_json::from_str(&behind.report.unwrap()).unwrap();
    let told = &report["payload"]["keys"][0];
    assert_eq!(report["topic"], "ai_pool.used");
    assert_eq!(
        (&told["usage_count"], &told["tokens_used"]),
        (&json!(41), &json!(1_015))
    );
    assert_eq!(
        (&told["state"], &told["until_ms"], &told["reason"]),
        (&json!("cooling"), &json!(60_000), &json!("rate_limited"))
    );
    assert!(pool.machine.write_behind(11).report.is_none());
    // It is told as well that the rest is over.
    assert_eq!(pool.machine.write_behind(12).again, Some(59_988));
    let report = pool.machine.write_behind(60_000).report.unwrap();
    assert!(report.contains("\"state\":\"active\""), "{report}");
    pool.machine.report_again();
    assert!(pool.machine.write_behind(60_001).report.is_some());
}

#[test]
fn rows_that_cannot_be_read_are_as_if_they_were_not_there() {
    let mut pool = Pool::new(&[key(1, json!({}))]);
    for name in ["known", "announced", "leases", "k:x", "g:y", "s:z", "what"] {
        pool.stored.insert(name.into(), "{".into());
    }
    pool.restart(9);
    assert_eq!(number(pool.reserve(0)), 1);
    let data = to_raw_value(&json!([])).unwrap();
    pool.change(&[], 1);
    let Reserved::Need { token } = pool.try_reserve(&[], 0, None, 2) else {
        panic!("known")
    };
    let ask = Reserve {
        model: "m".into(),
        tokens: 0,
        tried: [].as_slice().into(),
        max_age_s: 300,
        supply: Some(Supply { token, data: &data }),
    };
    assert!(pool.machine.reserve(&ask, 3).is_err());
}
