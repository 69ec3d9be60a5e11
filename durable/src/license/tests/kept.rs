//! What an object must not lose, and what wins over what it believes.

use super::*;

#[test]
fn a_binding_outlives_the_instance_and_is_sent_until_postgres_has_it() {
    let (mut object, mut row) = (Object::new(), Row::default());
    object.validate("192.0.2.1", &row);
    object.restart();
    assert_eq!(
        object.validate("192.0.2.1", &row)["ip"]["newly_bound"],
        false
    );
    let id = object.machine.pending().bindings[0].id;
    assert_eq!(object.report()[0].bindings[0].id, id);
    // Lost on the way: it goes again, less and less often.
    let mut waits = Vec::new();
    for _ in 0..6 {
        let at = object.machine.next_alarm(object.now).unwrap();
        waits.push((at - object.now) / 1_000);
        object.now = at;
        assert_eq!(object.report()[0].bindings[0].id, id);
    }
    assert_eq!(waits, [30, 60, 120, 240, 480, 600]);
    let confirmed = row.consume(&LogBatch {
        bindings: object.machine.pending().bindings,
        ..LogBatch::default()
    });
    object.confirm(&confirmed);
    assert_eq!(object.machine.next_alarm(object.now), None);
    assert!(!object.has_row("b:") && object.has_row("a:192.0.2.1"));
    object.restart();
    assert_eq!(
        object.validate("192.0.2.1", &row)["ip"]["newly_bound"],
        false
    );
    // Unbound by hand: free again.
    row.bindings.get_mut(&id).unwrap().1 = false;
    object.forget();
    assert_eq!(object.validate("192.0.2.2", &row)["remaining_ips"], 4);
    assert!(!object.has_row("a:"));
}

#[test]
fn a_queue_that_is_away_loses_nothing() {
    let (mut object, row) = (Object::new(), Row::limits(json!({"max_ips": -1})));
    object.validate("192.0.2.1", &row);
    object.validate("192.0.2.2", &row);
    let outgoing = object.machine.take(object.now);
    object.machine.unsent(&outgoing);
    object.validate("192.0.2.3", &row);
    let soon = object.machine.next_alarm(object.now);
    assert_eq!(soon, Some(object.now + 2_000));
    let batch = object.report().remove(0);
    assert_eq!((batch.bindings.len(), batch.collisions.len()), (3, 3));
    // What is new meanwhile goes alone, what was sent waits for a word.
    object.validate("192.0.2.4", &row);
    let batch = object.report().remove(0);
    assert_eq!((batch.bindings.len(), batch.collisions.len()), (1, 3));
    assert!(object.report().is_empty());
}

#[test]
fn collisions_stay_until_postgres_has_them() {
    let (mut object, mut row) = (Object::new(), Row::default());
    object.validate("192.0.2.1", &row);
    object.now += 1;
    object.validate("192.0.2.2", &row);
    let batch = object.report().remove(0);
    assert!(object.has_row("c:"));
    object.restart();
    assert_eq!(object.report(), vec![batch.clone()]);
    // A snapshot that shows them is as good as a confirmation.
    row.consume(&batch);
    object.forget();
    object.validate("192.0.2.1", &row);
    assert!(!object.has_row("c:") && !object.has_row("b:"));
    object.now += 1_000_000;
    assert!(object.report().is_empty());
}

#[test]
fn bindings_ended_before_the_object_saw_them_arrive_stay_ended() {
    let (mut object, mut row) = (Object::new(), Row::limits(json!({"max_ips": 200})));
    for n in 1..=150 {
        object.validate(&ip(n), &row);
    }
    // All of them reach Postgres and are unbound there, and nobody validates meanwhile.
    for batch in object.report() {
        row.consume(&batch);
    }
    for (_, active) in row.bindings.values_mut() {
        *active = false;
    }
    object.forget();
    assert_eq!(object.validate(&ip(200), &row)["remaining_ips"], 199);
    assert_eq!(object.machine.pending().bindings.len(), 1);
    // A confirmation that comes late brings nothing back.
    let late: Vec<Uuid> = row.bindings.keys().copied().collect();
    object.confirm(&late);
    assert_eq!(object.validate(&ip(200), &row)["remaining_ips"], 199);
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
    assert!(object.machine.pending().suspended);
    object.restart();
    object.forget();
    assert_eq!(object.code(&ip(1), &row), "SUSPENDED");
    let batch = object.report().remove(0);
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
    let confirmed = row.consume(&batch);
    object.confirm(&confirmed);
    assert_eq!(row.status, "suspended");
    assert_eq!(object.code(&ip(1), &row), "SUSPENDED");
    row.reactivate();
    object.forget();
    assert_eq!(object.code(&ip(1), &row), "VALID");
}

#[test]
fn a_reactivation_wins_over_whatever_the_object_believes() {
    let mut row = Row::limits(json!({"collision_threshold": 1, "collision_auto_revoke": true}));
    let mut object = Object::new();
    for n in 1..=3 {
        object.validate(&ip(n), &row);
    }
    assert_eq!(object.code(&ip(1), &row), "SUSPENDED");
    // Postgres has heard nothing of it when an operator reactivates.
    row.reactivate();
    object.forget();
    assert_eq!(object.code(&ip(1), &row), "VALID");
    object.restart();
    assert_eq!(object.code(&ip(1), &row), "VALID");
    // What arrives late is recorded and suspends nothing.
    let confirmed = row.consume(&object.report().remove(0));
    object.confirm(&confirmed);
    object.forget();
    assert_eq!(
        (object.code(&ip(1), &row).as_str(), row.status),
        ("VALID", "active")
    );
    assert!(!row.collisions.is_empty());
    // The next time counts again.
    object.now += 400_000;
    for n in 1..=3 {
        object.validate(&ip(n), &row);
    }
    let codes = [object.code(&ip(1), &row), {
        row.consume(&object.report().remove(0));
        row.status.to_owned()
    }];
    assert_eq!(codes, ["SUSPENDED", "suspended"]);
}

#[test]
fn of_a_cancelled_license_nothing_is_kept() {
    let (mut object, mut row) = (Object::new(), Row::default());
    object.validate("192.0.2.1", &row);
    object.announce(1);
    row.status = "cancelled";
    object.told(Outcome {
        change: Some(Uuid::from_u128(1)),
        ended: true,
        ..Outcome::default()
    });
    // The binding is not confirmed yet.
    assert!(object.has_row("b:") && !object.has_row("license"));
    assert_eq!(object.code("192.0.2.1", &row), "CANCELLED");
    assert!(!object.has_row("license"));
    object.restart();
    let confirmed = row.consume(&object.report().remove(0));
    object.confirm(&confirmed);
    assert!(object.rows.is_empty(), "{:?}", object.rows);
    assert_eq!(object.code("192.0.2.1", &row), "CANCELLED");
    assert!(object.rows.is_empty(), "{:?}", object.rows);
}

#[test]
fn refusals_of_a_cancelled_license_are_logged_once_a_minute() {
    let row = Row {
        status: "cancelled",
        ..Row::default()
    };
    let mut object = Object::new();
    object.validate("192.0.2.1", &row);
    let mut logged = 0;
    for _ in 0..300 {
        object.now += 1_000;
        if let Answer::Verdict {
            logged: Some(_), ..
        } = object.ask("192.0.2.1")
        {
            logged += 1;
        }
    }
    assert_eq!(logged, 4);
}

#[test]
fn a_key_given_to_another_license_starts_afresh() {
    let (mut object, row) = (Object::new(), Row::limits(json!({"max_ips": 1})));
    object.validate("192.0.2.1", &row);
    object.forget();
    let token = object.wanted("192.0.2.2").token;
    let other = row
        .json(&[])
        .get()
        .replace(LICENSE, "40000000-0000-4000-8000-000000000009");
    let data = RawValue::from_string(other).unwrap();
    let check = Check {
        supply: Some(Supply::Data { token, data: &data }),
        ..check("192.0.2.2")
    };
    let Answer::Verdict { data, .. } = object.raw(&check) else {
        panic!()
    };
    assert!(data.contains(r#""code":"VALID""#));
    assert_eq!(object.machine.pending().bindings.len(), 1);
    let rows = object.rows.keys().filter(|key| key.starts_with("b:"));
    assert_eq!(rows.count(), 1);
}

#[test]
fn of_two_reads_the_one_installed_first_counts() {
    let (mut object, mut row) = (Object::new(), Row::limits(json!({"max_ips": 1})));
    object.validate("192.0.2.1", &row);
    object.forget();
    let token = object.wanted("192.0.2.2").token;
    let slow = row.json(&[]);
    // Meanwhile the binding arrives, and its confirmation.
    let confirmed = row.consume(&object.report().remove(0));
    object.confirm(&confirmed);
    let late = Check {
        supply: Some(Supply::Data { token, data: &slow }),
        ..check("192.0.2.2")
    };
    assert!(matches!(object.raw(&late), Answer::NeedSnapshot(_)));
    assert_eq!(object.code("192.0.2.2", &row), "IP_LIMIT_REACHED");
}
