//! What a validation answers.

use std::collections::HashSet;

use super::*;

#[test]
fn a_first_validation_binds_and_a_second_writes_nothing() {
    let (mut object, row) = (Object::new(), Row::default());
    let named = Check {
        machine_id: Some("m-1".into()),
        ..check("192.0.2.1")
    };
    let first = object.complete(named, &row);
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
    let batches = object.report();
    assert_eq!(batches.len(), 1);
    assert_eq!(batches[0].bindings[0].machine_id.as_deref(), Some("m-1"));
    assert!(object.report().is_empty());
}

#[test]
fn the_log_learns_what_only_the_object_knows() {
    let (mut object, row) = (Object::new(), Row::limits(json!({"max_ips": 1})));
    object.validate("192.0.2.1", &row);
    let binding = object.machine.pending().bindings[0].id;
    let logged = |object: &mut Object, ip| match object.ask(ip) {
        Answer::Verdict { logged, .. } => logged.unwrap(),
        other => panic!("{other:?}"),
    };
    let good = logged(&mut object, "192.0.2.1");
    assert_eq!((good.binding_id, good.failure), (Some(binding), None));
    assert_eq!(good.license_id.to_string(), LICENSE);
    let bad = logged(&mut object, "192.0.2.2");
    assert_eq!(bad.binding_id, None);
    assert_eq!(bad.failure.as_deref(), Some("IP_LIMIT_REACHED"));
}

#[test]
fn every_answer_is_read_as_it_was_written() {
    let (mut object, row) = (Object::new(), Row::default());
    let limited = Check {
        limit_per_minute: 1,
        ..check("192.0.2.1")
    };
    let asks = object.raw(&check("192.0.2.1"));
    object.complete(limited.clone(), &row);
    let answers = [
        asks,
        object.raw(&check("192.0.2.1")),
        object.raw(&limited),
        Answer::Unavailable,
    ];
    for answer in answers {
        assert_eq!(Answer::decode(answer.encode()), Some(answer));
    }
    for text in ["", "V", "Vnull\n{}", "N", "Lx 1 2", "?"] {
        assert_eq!(Answer::decode(text.to_owned()), None, "{text}");
    }
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
fn a_license_without_a_limit_has_ten_thousand_slots_in_rows_of_their_own() {
    let mut row = Row::limits(json!({"max_ips": -1}));
    let address = |n: u32| std::net::Ipv4Addr::from(0x0a00_0000 + n).to_string();
    for n in 0..9_999 {
        row.bindings
            .insert(Uuid::from_u128(u128::from(n)), (address(n), true));
    }
    let mut object = Object::new();
    let last = object.validate("192.0.2.1", &row);
    assert_eq!(
        (&last["code"], &last["remaining_ips"]),
        (&json!("VALID"), &json!(-1))
    );
    let one_more = object.validate("192.0.2.2", &row);
    assert_eq!(one_more["code"], "IP_LIMIT_REACHED");
    assert_eq!(object.code(&address(77), &row), "VALID");
    assert!(object.rows.values().all(|text| text.len() < 2_000));
    // Reading it again writes nothing of them again.
    let writes = object.writes;
    object.forget();
    object.validate(&address(77), &row);
    assert!(object.writes - writes < 5);
    object.restart();
    object.now += 1;
    assert_eq!(object.code("192.0.2.2", &row), "IP_LIMIT_REACHED");
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

fn claiming<'a>(connection_ip: &'a str, reported_ip: &'a str) -> Check<'a> {
    Check {
        reported_ip: Some(reported_ip),
        ..check(connection_ip)
    }
}

#[test]
fn the_address_that_counts_is_the_one_the_license_says() {
    let counted = |limits: Value| {
        let (mut object, row) = (Object::new(), Row::limits(limits));
        let data = object.complete(claiming("192.0.2.1", "192.0.2.9"), &row);
        data["ip"]["address"].clone()
    };
    assert_eq!(counted(json!({})), "192.0.2.9");
    assert_eq!(counted(json!({"address_source": "reported"})), "192.0.2.9");
    assert_eq!(
        counted(json!({"address_source": "connection"})),
        "192.0.2.1"
    );
    assert_eq!(counted(json!({"address_source": 7})), "192.0.2.9");
    // Pirates who all claim one address take a slot each, and collide.
    let row = Row::limits(json!({"max_ips": 1, "address_source": "connection"}));
    let mut object = Object::new();
    object.complete(claiming("192.0.2.1", "192.0.2.9"), &row);
    let second = object.complete(claiming("192.0.2.2", "192.0.2.9"), &row);
    assert_eq!(second["code"], "IP_LIMIT_REACHED");
    assert_eq!(second["collision"]["addresses"], 2);
}

#[test]
fn a_server_of_the_vendor_speaks_for_others() {
    let vendor = |id: &str| Check {
        vendor: Some(id.parse().unwrap()),
        ..claiming("203.0.113.1", "192.0.2.9")
    };
    let row =
        Row::limits(json!({"address_source": "connection", "allowed_cidrs": ["192.0.2.0/24"]}));
    let mut object = Object::new();
    let data = object.complete(vendor(VENDOR), &row);
    assert_eq!(
        (&data["code"], &data["ip"]["address"]),
        (&json!("VALID"), &json!("192.0.2.9"))
    );
    // Anybody else's does not.
    let other = object.complete(vendor("10000000-0000-4000-8000-000000000002"), &row);
    assert_eq!(other["code"], "IP_NOT_ALLOWED");
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
        .filter(|_| matches!(object.raw(&limited), Answer::Verdict { .. }))
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
    assert!(matches!(object.raw(&supplied), Answer::Verdict { .. }));
}

#[test]
fn a_pause_does_not_begin_the_limit_anew_and_a_lone_request_writes_nothing_for_it() {
    let (mut object, row) = (
        Object::new(),
        Row::limits(json!({"allowed_cidrs": ["192.0.2.0/24"]})),
    );
    object.validate("192.0.2.1", &row);
    let limited = Check {
        limit_per_minute: 100,
        ..check("192.0.2.1")
    };
    let burst = |object: &mut Object, times: usize| {
        let mut passed = 0;
        for _ in 0..times {
            let (answer, effects) = object.machine.validate(&limited, object.now).unwrap();
            passed += usize::from(matches!(answer, Answer::Verdict { .. }));
            if effects.save {
                let effects = object.machine.save(object.now);
                object.apply(effects);
            }
            object.now += 100;
        }
        passed
    };
    let writes = object.writes;
    burst(&mut object, 10);
    assert_eq!(object.writes, writes);
    // What is written behind may miss the last five seconds.
    burst(&mut object, 60);
    assert!(object.writes - writes <= 3);
    object.now += 6_000;
    burst(&mut object, 10);
    object.now += 12_000;
    object.restart();
    assert_eq!(burst(&mut object, 50), 20 + 9);
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
fn a_held_slot_is_taken_for_others_until_its_change_ends() {
    let (mut object, row) = (Object::new(), Row::limits(json!({"max_ips": 1})));
    let change = Uuid::from_u128(7);
    assert_eq!(object.reserve(change, "192.0.2.1", &row), Reservation::Held);
    let other = Uuid::from_u128(8);
    assert_eq!(object.reserve(other, "192.0.2.2", &row), Reservation::Full);
    object.restart();
    assert_eq!(object.code("192.0.2.2", &row), "IP_LIMIT_REACHED");
    // The address itself may use it.
    assert_eq!(object.validate("192.0.2.1", &row)["remaining_ips"], 0);
    let again = object.reserve(change, "192.0.2.1", &row);
    assert_eq!(again, Reservation::AlreadyBound);
    let mut object = Object::new();
    assert_eq!(object.reserve(change, "192.0.2.1", &row), Reservation::Held);
    object.told(Outcome {
        change: Some(other),
        ended: false,
        ..Outcome::default()
    });
    assert_eq!(object.code("192.0.2.2", &row), "IP_LIMIT_REACHED");
    object.told(Outcome {
        change: Some(change),
        ended: false,
        ..Outcome::default()
    });
    assert_eq!(object.code("192.0.2.2", &row), "VALID");
    let mut object = Object::new();
    assert_eq!(object.reserve(change, "192.0.2.1", &row), Reservation::Held);
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
    let batches = object.report();
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
}

#[test]
fn one_machine_that_moves_is_no_collision() {
    let (mut object, row) = (Object::new(), Row::default());
    let at = |ip, machine: &'static str| Check {
        machine_id: Some(machine.into()),
        ..check(ip)
    };
    for _ in 0..3 {
        for address in ["192.0.2.1", "192.0.2.2"] {
            assert_eq!(
                object.complete(at(address, "laptop"), &row)["collision"],
                Value::Null
            );
        }
    }
    assert!(object.report()[0].collisions.is_empty());
    let other = object.complete(at("192.0.2.3", "another"), &row);
    assert_eq!(other["collision"]["addresses"], 3);
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
    // Saying that one is inside does not make it so.
    let claimed = object.complete(claiming("198.51.100.1", "192.0.2.1"), &row);
    assert_eq!(claimed["code"], "IP_NOT_ALLOWED");
    assert!(object.report()[0].collisions.is_empty());
}

#[test]
fn settings_read_after_the_snapshot_count_before_its_own() {
    let settings = |read_at: i64| CurrentSettings {
        values: Settings {
            collision_threshold: 1,
            collision_auto_revoke: true,
            ..Settings::default()
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
        object.complete(warm, &row)["code"].clone()
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
