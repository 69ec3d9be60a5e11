//! What a validation answers.

use std::collections::HashSet;

use super::*;

#[test]
fn a_first_validation_binds_and_a_second_writes_nothing() {
    let (mut object, row) = (Object::new(), Row::default());
    let first = object.validate("192.0.2.1", &row);
    assert_eq!(first["valid"], true);
    assert_eq!(first["reason"], Value::Null);
    assert_eq!(
        first["ip"],
        json!({"address": "192.0.2.1", "bound": true, "newly_bound": true})
    );
    assert_eq!(first["remaining_ips"], 4);
    assert_eq!(first["license"]["plan"]["code"], "pro");
    assert_eq!(first["nonce"], "n\"1");
    assert_eq!(first["checked_at"], "2026-06-01T00:00:00.000Z");
    let writes = object.writes;
    let second = object.validate("192.0.2.1", &row);
    assert_eq!(second["ip"]["newly_bound"], false);
    assert_eq!(second["remaining_ips"], 4);
    assert_eq!(object.writes, writes);
    let batches = object.flush();
    assert_eq!(batches.len(), 1);
    assert_eq!(batches[0].bindings[0].machine_id.as_deref(), Some("m-1"));
    assert_eq!(batches[0].validations.len(), 2);
    assert_eq!(batches[0].seen[0].binding_id, batches[0].bindings[0].id);
    assert!(!object.machine.has_messages());
}

#[test]
fn the_sixth_address_finds_no_slot_and_learns_nothing() {
    let (mut object, row) = (Object::new(), Row::default());
    for n in 1..=5 {
        assert_eq!(object.code(&ip(n), &row), "VALID");
    }
    let sixth = object.validate(&ip(6), &row);
    assert_eq!(sixth["code"], "IP_LIMIT_REACHED");
    assert_eq!(sixth["remaining_ips"], 0);
    assert_eq!(sixth["license"], Value::Null);
    assert_eq!(sixth["ip"]["bound"], false);
    assert_eq!(object.validate(&ip(5), &row)["valid"], true);
    let unlimited = Row::limits(json!({"max_ips": -1}));
    object.forget();
    assert_eq!(object.validate(&ip(6), &unlimited)["remaining_ips"], -1);
}

#[test]
fn an_ipv6_network_takes_one_slot() {
    let (mut object, row) = (Object::new(), Row::limits(json!({"max_ips": 1})));
    assert_eq!(object.code("2001:db8::1", &row), "VALID");
    let other = object.validate("2001:db8::ffff:2", &row);
    assert_eq!(
        (&other["valid"], &other["collision"]),
        (&json!(true), &Value::Null)
    );
    assert_eq!(object.code("2001:db8:0:1::1", &row), "IP_LIMIT_REACHED");
    assert_eq!(object.code("::ffff:192.0.2.1", &row), "IP_LIMIT_REACHED");
}

#[test]
fn a_license_is_limited_exactly_and_supplies_are_free() {
    let (mut object, row) = (Object::new(), Row::default());
    object.validate("192.0.2.1", &row);
    let limited = Check {
        limit_per_minute: 100,
        ..check("192.0.2.1")
    };
    let passed = (0..150)
        .filter(|_| matches!(object.raw(&limited), Answer::Verdict(_)))
        .count();
    assert_eq!(passed, 100);
    let Answer::Limited(decision) = object.raw(&limited) else {
        panic!()
    };
    assert_eq!(
        (decision.limit, decision.remaining, decision.reset_s),
        (100, 0, 60)
    );
    let supplied = Check {
        supply: Some(Supply::Unavailable),
        ..limited
    };
    assert!(matches!(object.raw(&supplied), Answer::Verdict(_)));
    let total: usize = object
        .flush()
        .iter()
        .map(|batch| batch.validations.len())
        .sum();
    assert_eq!(total, 102);
}

#[test]
fn a_manual_binding_of_the_same_address_stands() {
    let (mut object, mut row) = (Object::new(), Row::default());
    object.validate("192.0.2.1", &row);
    row.bindings
        .insert(Uuid::from_u128(9), ("192.0.2.1".to_owned(), true));
    object.forget();
    let data = object.validate("192.0.2.1", &row);
    assert_eq!(
        (&data["remaining_ips"], &data["ip"]["newly_bound"]),
        (&json!(4), &json!(false))
    );
    assert_eq!(object.machine.pending().bindings, vec![]);
}

#[test]
fn a_held_slot_is_taken_for_others_until_it_ends() {
    let (mut object, row) = (Object::new(), Row::limits(json!({"max_ips": 1})));
    let hold = Uuid::from_u128(7);
    assert_eq!(object.reserve(hold, "192.0.2.1", &row), Reservation::Held);
    assert_eq!(
        object.reserve(Uuid::from_u128(8), "192.0.2.2", &row),
        Reservation::Full
    );
    object.restart();
    assert_eq!(object.code("192.0.2.2", &row), "IP_LIMIT_REACHED");
    // The address itself may use it.
    assert_eq!(object.validate("192.0.2.1", &row)["remaining_ips"], 0);
    let Reservation::AlreadyBound { .. } = object.reserve(hold, "192.0.2.1", &row) else {
        panic!()
    };
    let mut object = Object::new();
    assert_eq!(object.reserve(hold, "192.0.2.1", &row), Reservation::Held);
    object.now += 30_000;
    assert_eq!(object.code("192.0.2.2", &row), "VALID");
}

#[test]
fn collisions_grow_in_severity_and_are_recorded_once() {
    let (mut object, row) = (Object::new(), Row::limits(json!({"max_ips": 4})));
    let mut seen = Vec::new();
    for n in 1..=6 {
        seen.push(object.validate(&ip(n), &row)["collision"]["severity"].clone());
    }
    assert_eq!(
        json!(seen),
        json!([null, "low", "medium", "high", "high", "critical"])
    );
    let again = object.validate(&ip(1), &row);
    assert_eq!(
        again["collision"],
        json!({"severity": "critical", "addresses": 6, "window_seconds": 300})
    );
    let batches = object.flush();
    let records: Vec<_> = batches.iter().flat_map(|batch| &batch.collisions).collect();
    assert_eq!(records.len(), 15);
    let bound = batches[0]
        .bindings
        .iter()
        .map(|b| b.id)
        .collect::<HashSet<_>>();
    // The fifth and sixth address had no slot.
    assert!(
        records
            .iter()
            .all(|r| r.binding_b.is_none_or(|id| bound.contains(&id)))
    );
    assert_eq!(records.iter().filter(|r| r.binding_b.is_none()).count(), 9);
    assert!(!object.rows.keys().any(|key| key.starts_with("c:")));
}

#[test]
fn the_vendors_own_networks_do_not_collide() {
    let (mut object, row) = (
        Object::new(),
        Row::limits(json!({"allowed_cidrs": ["192.0.2.0/24"]})),
    );
    object.validate(&ip(1), &row);
    assert_eq!(object.validate(&ip(2), &row)["collision"], Value::Null);
    assert_eq!(object.code("198.51.100.1", &row), "IP_NOT_ALLOWED");
    assert!(object.flush()[0].collisions.is_empty());
}

#[test]
fn too_many_collisions_suspend_at_once_until_a_reactivation() {
    let mut row = Row::limits(json!({"collision_threshold": 2, "collision_auto_revoke": true}));
    let mut object = Object::new();
    assert_eq!(object.code(&ip(1), &row), "VALID");
    assert_eq!(object.code(&ip(2), &row), "VALID");
    // The third address makes two records at once: three in all.
    let third = object.validate(&ip(3), &row);
    assert_eq!(
        (&third["code"], &third["ip"]["bound"]),
        (&json!("SUSPENDED"), &json!(false))
    );
    assert_eq!(object.code(&ip(1), &row), "SUSPENDED");
    object.restart();
    object.forget();
    assert_eq!(object.code(&ip(1), &row), "SUSPENDED");
    let batch = object.flush().remove(0);
    let suspending: Vec<_> = batch
        .collisions
        .iter()
        .filter(|record| record.suspend)
        .collect();
    assert_eq!(suspending.len(), 1);
    // The third address got no slot that a record could name.
    let third = batch
        .collisions
        .iter()
        .filter(|record| record.ip_b.to_string() == ip(3));
    assert_eq!(
        third.map(|record| record.binding_b).collect::<Vec<_>>(),
        [None, None]
    );
    row.consume(&batch);
    assert_eq!(object.code(&ip(1), &row), "SUSPENDED");
    row.status = "active";
    object.forget();
    assert_eq!(object.code(&ip(1), &row), "VALID");
}

#[test]
fn settings_read_after_the_snapshot_count_before_its_own() {
    let settings = |read_at: i64| CurrentSettings {
        values: Settings {
            collision_threshold: 1,
            collision_auto_revoke: true,
        },
        read_at,
    };
    let codes = |read_at: i64, limits: Value| {
        let (mut object, row) = (Object::new(), Row::limits(limits));
        object.validate(&ip(1), &row);
        object.validate(&ip(2), &row);
        object.now += 1_000;
        let address = ip(3);
        let warm = Check {
            settings: Some(settings(read_at)),
            ..check(&address)
        };
        let Answer::Verdict(data) = object.raw(&warm) else {
            panic!("the snapshot is fresh")
        };
        serde_json::from_str::<Value>(&data).unwrap()["code"].clone()
    };
    assert_eq!(codes(START + 500, json!({})), "SUSPENDED");
    assert_eq!(codes(START - 500, json!({})), "VALID");
    let never = json!({"collision_auto_revoke": false});
    assert_eq!(codes(START + 500, never), "VALID");
}

#[test]
fn without_auto_revoke_nothing_is_suspended() {
    let (mut object, row) = (
        Object::new(),
        Row::limits(json!({"collision_threshold": 0})),
    );
    for n in 1..=5 {
        assert_eq!(object.code(&ip(n), &row), "VALID");
    }
}
