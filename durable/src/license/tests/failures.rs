//! What happens when something is away, late, lost or nonsense.

use super::*;
use crate::license::rules::Malformed;

#[test]
fn a_snapshot_read_before_a_forget_is_not_installed() {
    let (mut object, row) = (Object::new(), Row::default());
    let token = object.wanted("192.0.2.1").token;
    object.forget();
    let data = row.json(&[]);
    let late = Check {
        supply: Some(Supply::Data { token, data: &data }),
        ..check("192.0.2.1")
    };
    let Answer::NeedSnapshot(newer) = object.raw(&late) else {
        panic!()
    };
    assert_ne!(token, newer.token);
    let late = Check {
        supply: Some(Supply::Missing { token }),
        ..check("192.0.2.1")
    };
    assert_eq!(object.raw(&late), Answer::NeedSnapshot(newer.clone()));
    // Nor after a restart.
    object.restart();
    let late = Check {
        supply: Some(Supply::Data {
            token: newer.token,
            data: &data,
        }),
        ..check("192.0.2.1")
    };
    assert!(matches!(object.raw(&late), Answer::NeedSnapshot(_)));
}

#[test]
fn a_missing_license_is_remembered_for_a_while() {
    let mut object = Object::new();
    let token = object.wanted("192.0.2.1").token;
    let missing = Check {
        supply: Some(Supply::Missing { token }),
        ..check("192.0.2.1")
    };
    let Answer::Verdict { data, logged: None } = object.raw(&missing) else {
        panic!()
    };
    assert!(data.contains(r#""code":"NOT_FOUND""#));
    object.now += 29_999;
    assert!(matches!(object.ask("192.0.2.1"), Answer::Verdict { .. }));
    object.forget();
    object.wanted("192.0.2.1");
    assert!(object.raw(&missing) != Answer::Unavailable);
    object.now += 30_000;
    object.wanted("192.0.2.1");
    assert_eq!((object.writes, object.report().len()), (0, 0));
}

#[test]
fn an_old_snapshot_serves_while_postgres_is_away() {
    let (mut object, row) = (Object::new(), Row::default());
    object.validate("192.0.2.1", &row);
    object.now += i64::from(TTL) * 1_000;
    object.wanted("192.0.2.1");
    // While one reads, the others go on.
    assert!(matches!(object.ask("192.0.2.1"), Answer::Verdict { .. }));
    object.now += 2_000;
    object.wanted("192.0.2.1");
    assert!(matches!(object.raw(&away()), Answer::Verdict { .. }));
    object.now += 9_999;
    assert!(matches!(object.ask("192.0.2.1"), Answer::Verdict { .. }));
    object.now = START + 24 * 3_600 * 1_000;
    assert_eq!(object.raw(&away()), Answer::Unavailable);
    object.validate("192.0.2.1", &row);
    object.forget();
    assert_eq!(object.raw(&away()), Answer::Unavailable);
    object.wanted("192.0.2.1");
}

fn away() -> Check<'static> {
    Check {
        supply: Some(Supply::Unavailable),
        ..check("192.0.2.1")
    }
}

#[test]
fn nonsense_is_refused_and_changes_nothing() {
    let mut object = Object::new();
    assert_eq!(
        object.machine.validate(&check("nope"), START).unwrap_err(),
        Malformed("connection_ip")
    );
    let wanted = object.wanted("192.0.2.1");
    for text in ["{}", r#"{"snapshot":{"license":1},"bindings":{}}"#] {
        let data = RawValue::from_string(text.to_owned()).unwrap();
        let token = wanted.token;
        let bad = Check {
            supply: Some(Supply::Data { token, data: &data }),
            ..check("192.0.2.1")
        };
        assert_eq!(
            object.machine.validate(&bad, START).unwrap_err(),
            Malformed("snapshot")
        );
    }
    object.machine.restore(&[
        ("license".into(), "{".into()),
        ("core".into(), "[]".into()),
        ("limit".into(), "{}".into()),
        ("a:nowhere".into(), "".into()),
        ("b:1".into(), "".into()),
        ("c:1".into(), "{}".into()),
    ]);
    assert_eq!(object.wanted("192.0.2.1"), wanted);
}

#[test]
fn while_a_change_is_announced_every_validation_reads_and_keeps_nothing() {
    let (mut object, mut row) = (Object::new(), Row::default());
    object.validate("192.0.2.1", &row);
    object.announce(1);
    assert!(!object.has_row("license"));
    // Read before the commit: good for this one only.
    assert_eq!(object.code("192.0.2.1", &row), "VALID");
    object.wanted("192.0.2.1");
    assert!(!object.has_row("license"));
    row.status = "suspended";
    assert_eq!(object.code("192.0.2.1", &row), "SUSPENDED");
    // The worker died: nobody says what became of it, also not to another instance.
    object.restart();
    object.wanted("192.0.2.1");
    assert_eq!(object.code("192.0.2.1", &row), "SUSPENDED");
    // By now it cannot be committed any more: what is read counts again.
    object.now += 60_000;
    object.wanted("192.0.2.1");
    assert_eq!(object.code("192.0.2.1", &row), "SUSPENDED");
    assert!(matches!(object.ask("192.0.2.1"), Answer::Verdict { .. }));
}

#[test]
fn a_change_that_was_announced_ends_the_grace() {
    for told in [false, true] {
        let (mut object, row) = (Object::new(), Row::default());
        object.validate("192.0.2.1", &row);
        object.announce(1);
        assert_eq!(object.code("192.0.2.1", &row), "VALID");
        if told {
            object.told(Outcome {
                change: Some(Uuid::from_u128(1)),
                ended: false,
                ..Outcome::default()
            });
        }
        assert_eq!(object.raw(&away()), Answer::Unavailable);
        object.restart();
        object.now += 61_000;
        object.wanted("192.0.2.1");
        assert_eq!(object.raw(&away()), Answer::Unavailable);
    }
}

#[test]
fn a_change_that_is_called_off_costs_one_read() {
    let (mut object, row) = (Object::new(), Row::default());
    object.validate("192.0.2.1", &row);
    object.announce(1);
    let token = object.wanted("192.0.2.1").token;
    object.told(Outcome {
        change: Some(Uuid::from_u128(1)),
        called_off: true,
        ..Outcome::default()
    });
    assert_eq!(object.wanted("192.0.2.1").token, token);
    object.validate("192.0.2.1", &row);
    assert!(matches!(object.ask("192.0.2.1"), Answer::Verdict { .. }));
    // One of which nobody had heard leaves everything as it is.
    object.told(Outcome {
        change: Some(Uuid::from_u128(2)),
        called_off: true,
        ..Outcome::default()
    });
    assert!(matches!(object.ask("192.0.2.1"), Answer::Verdict { .. }));
}

#[test]
fn the_end_of_one_change_is_not_the_end_of_another() {
    let (mut object, row) = (Object::new(), Row::default());
    object.announce(1);
    object.announce(2);
    object.told(Outcome {
        change: Some(Uuid::from_u128(1)),
        ended: false,
        ..Outcome::default()
    });
    object.validate("192.0.2.1", &row);
    object.wanted("192.0.2.1");
    object.told(Outcome {
        change: Some(Uuid::from_u128(2)),
        ended: false,
        ..Outcome::default()
    });
    object.validate("192.0.2.1", &row);
    assert!(matches!(object.ask("192.0.2.1"), Answer::Verdict { .. }));
    for change in 0..250 {
        object.announce(change);
    }
    assert!(object.rows["core"].len() < 20_000);
    object.told(Outcome::default());
    object.wanted("192.0.2.1");
}
