//! What happens when something is away, late, lost or nonsense.

use std::collections::HashSet;

use super::*;
use crate::license::rules::Malformed;

#[test]
fn a_snapshot_read_before_a_forget_is_not_installed() {
    let (mut object, row) = (Object::new(), Row::default());
    let Answer::NeedSnapshot { token } = object.ask("192.0.2.1") else {
        panic!()
    };
    object.forget();
    let data = row.json();
    let late = Check {
        supply: Some(Supply::Data { token, data: &data }),
        ..check("192.0.2.1")
    };
    let Answer::NeedSnapshot { token: newer } = object.raw(&late) else {
        panic!()
    };
    assert_ne!(token, newer);
    let late = Check {
        supply: Some(Supply::Missing { token }),
        ..check("192.0.2.1")
    };
    assert_eq!(object.raw(&late), Answer::NeedSnapshot { token: newer });
    // Nor after a restart.
    object.restart();
    let late = Check {
        supply: Some(Supply::Data {
            token: newer,
            data: &data,
        }),
        ..check("192.0.2.1")
    };
    assert!(matches!(object.raw(&late), Answer::NeedSnapshot { .. }));
}

#[test]
fn a_missing_license_is_remembered_for_a_while() {
    let mut object = Object::new();
    let Answer::NeedSnapshot { token } = object.ask("192.0.2.1") else {
        panic!()
    };
    let missing = Check {
        supply: Some(Supply::Missing { token }),
        ..check("192.0.2.1")
    };
    let Answer::Verdict(data) = object.raw(&missing) else {
        panic!()
    };
    assert!(data.contains(r#""code":"NOT_FOUND""#));
    object.now += 29_999;
    assert!(matches!(object.ask("192.0.2.1"), Answer::Verdict(_)));
    object.forget();
    assert!(matches!(
        object.ask("192.0.2.1"),
        Answer::NeedSnapshot { .. }
    ));
    assert!(object.raw(&missing) != Answer::Unavailable);
    object.now += 30_000;
    assert!(matches!(
        object.ask("192.0.2.1"),
        Answer::NeedSnapshot { .. }
    ));
    assert_eq!((object.writes, object.machine.has_messages()), (0, false));
}

#[test]
fn an_old_snapshot_serves_while_postgres_is_away() {
    let (mut object, row) = (Object::new(), Row::default());
    object.validate("192.0.2.1", &row);
    object.now += i64::from(TTL) * 1_000;
    assert!(matches!(
        object.ask("192.0.2.1"),
        Answer::NeedSnapshot { .. }
    ));
    // While one reads, the others go on.
    assert!(matches!(object.ask("192.0.2.1"), Answer::Verdict(_)));
    object.now += 2_000;
    assert!(matches!(
        object.ask("192.0.2.1"),
        Answer::NeedSnapshot { .. }
    ));
    let away = Check {
        supply: Some(Supply::Unavailable),
        ..check("192.0.2.1")
    };
    assert!(matches!(object.raw(&away), Answer::Verdict(_)));
    object.now += 9_999;
    assert!(matches!(object.ask("192.0.2.1"), Answer::Verdict(_)));
    object.now = START + 24 * 3_600 * 1_000;
    assert_eq!(object.raw(&away), Answer::Unavailable);
    object.validate("192.0.2.1", &row);
    object.forget();
    assert_eq!(object.raw(&away), Answer::Unavailable);
    assert!(matches!(
        object.ask("192.0.2.1"),
        Answer::NeedSnapshot { .. }
    ));
}

#[test]
fn nonsense_is_refused_and_changes_nothing() {
    let mut object = Object::new();
    assert_eq!(
        object.machine.validate(&check("nope"), START).unwrap_err(),
        Malformed("ip")
    );
    let Answer::NeedSnapshot { token } = object.ask("192.0.2.1") else {
        panic!()
    };
    let data = RawValue::from_string(r#"{"license":1}"#.to_owned()).unwrap();
    let bad = Check {
        supply: Some(Supply::Data { token, data: &data }),
        ..check("192.0.2.1")
    };
    assert_eq!(
        object.machine.validate(&bad, START).unwrap_err(),
        Malformed("snapshot")
    );
    object.machine.restore(&[
        ("snapshot".into(), "{".into()),
        ("core".into(), "[]".into()),
        ("b:1".into(), "".into()),
    ]);
    assert_eq!(object.ask("192.0.2.1"), Answer::NeedSnapshot { token });
}

#[test]
fn a_binding_outlives_the_instance_and_is_queued_until_postgres_has_it() {
    let (mut object, mut row) = (Object::new(), Row::default());
    object.validate("192.0.2.1", &row);
    object.restart();
    assert_eq!(
        object.validate("192.0.2.1", &row)["ip"]["newly_bound"],
        false
    );
    assert_eq!(object.machine.pending().bindings.len(), 1);
    let id = object.machine.pending().bindings[0].id;
    assert_eq!(object.flush()[0].bindings[0].id, id);
    // Lost on the way: the next snapshot does not show it, so it goes again.
    object.forget();
    assert_eq!(
        object.validate("192.0.2.1", &row)["ip"]["newly_bound"],
        false
    );
    let batch = object.flush().remove(0);
    assert_eq!(batch.bindings[0].id, id);
    row.consume(&batch);
    object.forget();
    object.validate("192.0.2.1", &row);
    assert_eq!(object.machine.pending().bindings, vec![]);
    assert!(!object.rows.keys().any(|key| key.starts_with("b:")));
    // Unbound by hand: free again.
    row.bindings.get_mut(&id).unwrap().1 = false;
    object.forget();
    assert_eq!(object.validate("192.0.2.2", &row)["remaining_ips"], 4);
}

#[test]
fn a_failing_queue_loses_nothing_and_messages_stay_small() {
    let (mut object, row) = (Object::new(), Row::default());
    let info = RawValue::from_string(format!("\"{}\"", "x".repeat(8_000))).unwrap();
    object.validate("192.0.2.1", &row);
    let mut flushes = 0;
    for n in 0..250 {
        let check = Check {
            device_info: Some(&info),
            ..check("192.0.2.1")
        };
        object.now += 1;
        let (_, effects) = object.machine.validate(&check, object.now).unwrap();
        flushes += usize::from(effects.flush);
        assert!(effects.arm);
        if n % 60 == 0 {
            for message in object.machine.take_messages() {
                object.machine.unsent(message);
            }
        }
    }
    assert_eq!(flushes, 2);
    let batches = object.flush();
    assert!(batches.len() > 20);
    let ids: Vec<_> = batches
        .iter()
        .flat_map(|b| &b.validations)
        .map(|v| v.id)
        .collect();
    assert_eq!(
        (ids.len(), ids.iter().collect::<HashSet<_>>().len()),
        (251, 251)
    );
    assert_eq!(batches[0].bindings.len(), 1);
}

#[test]
fn what_postgres_cannot_take_is_left_out_of_the_log() {
    let (mut object, row) = (Object::new(), Row::default());
    object.validate("192.0.2.1", &row);
    let nul = RawValue::from_string(r#"{"a":"\u0000"}"#.to_owned()).unwrap();
    let long = "é".repeat(600);
    object.raw(&Check {
        device_info: Some(&nul),
        hostname: Some("a\0b".into()),
        user_agent: Some(long.as_str().into()),
        connection_ip: Some("2001:db8::1"),
        ..check("192.0.2.1")
    });
    let last = object.flush().remove(0).validations.remove(1);
    assert_eq!(
        (last.device_info, last.hostname.as_deref()),
        (None, Some("ab"))
    );
    assert_eq!(last.user_agent.map(|text| text.chars().count()), Some(500));
    assert_eq!(last.connection_ip.as_deref(), Some("2001:db8::1"));
}

#[test]
fn a_full_buffer_drops_the_oldest_and_counts_them() {
    let (mut object, row) = (Object::new(), Row::default());
    for _ in 0..5_010 {
        object.validate("192.0.2.1", &row);
        object.now += 1;
    }
    assert_eq!(object.machine.take_dropped(), 10);
    let total: usize = object
        .flush()
        .iter()
        .map(|batch| batch.validations.len())
        .sum();
    assert_eq!(total, 5_000);
}

#[test]
fn a_binding_ended_before_the_object_saw_it_arrive_stays_ended() {
    let (mut object, mut row) = (Object::new(), Row::default());
    object.validate("192.0.2.1", &row);
    let id = object.machine.pending().bindings[0].id;
    row.bindings.insert(id, ("192.0.2.1".to_owned(), false));
    object.forget();
    let data = object.validate("192.0.2.2", &row);
    assert_eq!(data["remaining_ips"], 4);
    let pending = object.machine.pending().bindings;
    assert!(pending.iter().all(|binding| binding.id != id));
    assert!(!object.rows.contains_key(&format!("b:{id}")));
}

#[test]
fn collisions_wait_for_the_queue_even_across_a_restart() {
    let (mut object, row) = (Object::new(), Row::default());
    object.validate("192.0.2.1", &row);
    object.validate("192.0.2.2", &row);
    for message in object.machine.take_messages() {
        object.machine.unsent(message);
    }
    assert!(object.machine.has_messages());
    object.restart();
    for message in object.machine.take_messages() {
        object.machine.unsent(message);
    }
    let batches = object.flush();
    let records: usize = batches.iter().map(|batch| batch.collisions.len()).sum();
    assert_eq!((records, batches[0].bindings.len()), (1, 2));
}

#[test]
fn a_key_given_to_another_license_starts_afresh() {
    let (mut object, row) = (Object::new(), Row::limits(json!({"max_ips": 1})));
    object.validate("192.0.2.1", &row);
    object.forget();
    let Answer::NeedSnapshot { token } = object.ask("192.0.2.2") else {
        panic!()
    };
    let other = row
        .json()
        .get()
        .replace(LICENSE, "40000000-0000-4000-8000-000000000009");
    let data = RawValue::from_string(other).unwrap();
    let check = Check {
        supply: Some(Supply::Data { token, data: &data }),
        ..check("192.0.2.2")
    };
    let Answer::Verdict(data) = object.raw(&check) else {
        panic!()
    };
    assert!(data.contains(r#""code":"VALID""#));
    assert_eq!(object.machine.pending().bindings.len(), 1);
    assert_eq!(
        object
            .rows
            .keys()
            .filter(|key| key.starts_with("b:"))
            .count(),
        1
    );
}

#[test]
fn of_two_reads_the_one_installed_first_counts() {
    let (mut object, mut row) = (Object::new(), Row::limits(json!({"max_ips": 1})));
    object.validate("192.0.2.1", &row);
    object.forget();
    let Answer::NeedSnapshot { token } = object.ask("192.0.2.2") else {
        panic!()
    };
    let slow = row.json();
    // Meanwhile the binding arrives and another read shows it.
    let batch = object.flush().remove(0);
    row.consume(&batch);
    object.validate("192.0.2.1", &row);
    let check = Check {
        supply: Some(Supply::Data { token, data: &slow }),
        ..check("192.0.2.2")
    };
    let Answer::Verdict(data) = object.raw(&check) else {
        panic!()
    };
    assert!(data.contains(r#""code":"IP_LIMIT_REACHED""#));
}
