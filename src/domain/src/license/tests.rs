use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

const NOW: i64 = 1_790_000_000_000;

fn snapshot(change: impl FnOnce(&mut Value)) -> Snapshot {
    let mut data = json!({
        "license": {
            "id": "40000000-0000-4000-8000-000000000001",
            "organization_id": "10000000-0000-4000-8000-000000000001",
            "key": "CELAEST-MKT-A8F9D2E1-7B3C",
            "status": "active",
            "starts_at": "2026-01-01T00:00:00+00:00",
            "expires_at": "2027-01-01T00:00:00.123456+00:00",
            "trial_ends_at": null,
            "plan": {"code": "pro", "name": "Pro", "limits": {"users": 3}, "features": ["a"]},
            "product": {"id": "50000000-0000-4000-8000-000000000001", "code": "MKT",
                        "name": "Marketing", "status": "published"},
            "custom_limits": null,
            "metadata": {"seat": "x"}
        },
        "bindings": [{"id": "60000000-0000-4000-8000-000000000001", "ip": "1.2.3.4/32", "active": true}],
        "settings": {"collision_threshold": 10, "collision_auto_revoke": false},
        "last_suspension": null
    });
    change(&mut data);
    Snapshot::parse(&data.to_string()).unwrap()
}

fn judge(snapshot: &Snapshot, suspended: bool, place: Place) -> Code {
    let address = Address::parse("198.51.100.1").unwrap();
    verdict(&Terms::new(snapshot), suspended, NOW, &address, place)
}

const FREE: Place = Place {
    bound: false,
    free: true,
};
const FULL: Place = Place {
    bound: false,
    free: false,
};

#[test]
fn one_reason_at_a_time() {
    let one = |change: fn(&mut Value)| judge(&snapshot(change), false, FREE);
    assert_eq!(one(|_| ()), Code::Valid);
    assert_eq!(
        one(|s| s["license"]["status"] = json!("cancelled")),
        Code::Cancelled
    );
    assert_eq!(
        one(|s| s["license"]["status"] = json!("suspended")),
        Code::Suspended
    );
    assert_eq!(
        one(|s| s["license"]["status"] = json!("expired")),
        Code::Expired
    );
    assert_eq!(
        one(|s| s["license"]["starts_at"] = json!("2027-01-01T00:00:00Z")),
        Code::NotStarted
    );
    assert_eq!(
        one(|s| s["license"]["expires_at"] = json!("2026-02-01T00:00:00Z")),
        Code::Expired
    );
    assert_eq!(
        one(|s| s["license"]["expires_at"] = json!("infinity")),
        Code::Valid
    );
    assert_eq!(
        one(|s| s["license"]["expires_at"] = json!("294276-01-01T00:00:00Z")),
        Code::Valid
    );
    assert_eq!(
        one(|s| {
            s["license"]["status"] = json!("trial");
            s["license"]["trial_ends_at"] = json!("2026-02-01T00:00:00Z");
        }),
        Code::TrialExpired
    );
    assert_eq!(
        one(|s| s["license"]["product"]["status"] = json!("archived")),
        Code::ProductInactive
    );
    assert_eq!(
        one(|s| s["license"]["product"]["deleted"] = json!(true)),
        Code::ProductInactive
    );
    assert_eq!(one(|s| s["license"]["product"] = json!(null)), Code::Valid);
    assert_eq!(
        one(|s| s["license"]["custom_limits"] = json!({"allowed_cidrs": ["10.0.0.0/8"]})),
        Code::IpNotAllowed
    );
    assert_eq!(
        one(|s| s["license"]["custom_limits"] = json!({"allowed_cidrs": ["oops"]})),
        Code::IpNotAllowed
    );
    assert_eq!(judge(&snapshot(|_| ()), true, FREE), Code::Suspended);
    assert_eq!(judge(&snapshot(|_| ()), false, FULL), Code::IpLimitReached);
}

#[test]
fn limits_are_read_leniently() {
    let max =
        |limits: Value| Terms::new(&snapshot(|s| s["license"]["custom_limits"] = limits)).max_ips;
    assert_eq!(max(json!(null)), Some(5));
    assert_eq!(max(json!({"max_ips": 2})), Some(2));
    assert_eq!(max(json!({"max_ips": 0})), Some(0));
    assert_eq!(max(json!({"max_ips": -1})), None);
    assert_eq!(max(json!({"max_ips": "many"})), Some(5));
}

#[test]
fn the_holder_sees_no_defences() {
    let terms = Terms::new(&snapshot(|s| {
        s["license"]["custom_limits"] = json!({"max_ips": 2, "users": 9, "allowed_cidrs": ["0.0.0.0/0"],
            "collision_threshold": 1, "collision_auto_revoke": true});
    }));
    let license: Value = serde_json::from_str(&terms.license_json).unwrap();
    assert_eq!(license["limits"], json!({"users": 9, "max_ips": 2}));
    assert_eq!(
        license["plan"],
        json!({"code": "pro", "name": "Pro", "features": ["a"]})
    );
    assert!(license.get("organization_id").is_none() && license.get("key").is_none());
    assert_eq!(terms.suspends_above(None), Some(1));
}

#[test]
fn a_license_stands_before_the_settings_and_newer_settings_before_older() {
    let terms = |limits: Value, settings: Value| {
        Terms::new(&snapshot(|s| {
            s["license"]["custom_limits"] = limits;
            s["settings"] = settings;
        }))
    };
    let current = Some(Settings {
        collision_threshold: 7,
        collision_auto_revoke: true,
        ..Settings::default()
    });
    let on = json!({"collision_threshold": 3, "collision_auto_revoke": true});
    let plain = terms(json!({}), on.clone());
    assert_eq!(plain.suspends_above(None), Some(3));
    assert_eq!(plain.suspends_above(current), Some(7));
    let own = terms(json!({"collision_threshold": 2}), on.clone());
    assert_eq!(own.suspends_above(current), Some(2));
    let never = terms(json!({"collision_auto_revoke": false}), on);
    assert_eq!(never.suspends_above(current), None);
}

#[test]
fn settings_that_are_nonsense_are_the_default() {
    for settings in [
        json!(null),
        json!({}),
        json!({"collision_threshold": null, "collision_auto_revoke": null}),
        json!({"collision_threshold": "3", "collision_auto_revoke": 1}),
        json!({"collision_threshold": 0}),
        json!([]),
    ] {
        let read = snapshot(|s| s["settings"] = settings.clone()).settings;
        assert_eq!(read, Settings::default(), "{settings}");
    }
}

#[test]
fn a_refusal_says_nothing_more() {
    let data: Value = serde_json::from_str(&refusal(
        Code::InvalidKey,
        Lang::En,
        "1.2.3.4",
        Some("a\"b\u{0}"),
        NOW,
    ))
    .unwrap();
    assert_eq!(
        data,
        json!({
            "valid": false, "code": "INVALID_KEY", "reason": "The license key is not valid",
            "license": null, "ip": {"address": "1.2.3.4", "bound": false, "newly_bound": false},
            "remaining_ips": null, "collision": null, "nonce": "a\"b\u{0}",
            "checked_at": "2026-09-21T14:13:20.000Z"
        })
    );
}

proptest! {
    /// With any mixture of things wrong, the first in the order is answered.
    #[test]
    fn precedence(status in 0..5_usize, local: bool, not_started: bool, expired: bool, trial_over: bool,
                  archived: bool, outside: bool, bound: bool, free: bool) {
        let status = ["active", "suspended", "expired", "cancelled", "trial"][status];
        let snapshot = snapshot(|s| {
            let license = &mut s["license"];
            license["status"] = json!(status);
            if not_started { license["starts_at"] = json!("2026-12-01T00:00:00Z"); }
            if expired { license["expires_at"] = json!("2026-02-01T00:00:00Z"); }
            if trial_over { license["trial_ends_at"] = json!("2026-02-01T00:00:00Z"); }
            if archived { license["product"]["status"] = json!("archived"); }
            if outside { license["custom_limits"] = json!({"allowed_cidrs": ["10.0.0.0/8"]}); }
        });
        let wrong = [
            (status == "cancelled", Code::Cancelled),
            (status == "suspended" || local, Code::Suspended),
            (not_started, Code::NotStarted),
            (status == "expired" || expired, Code::Expired),
            (status == "trial" && trial_over, Code::TrialExpired),
            (archived, Code::ProductInactive),
            (outside, Code::IpNotAllowed),
            (!bound && !free, Code::IpLimitReached),
        ];
        let expected = wrong.iter().filter(|(is, _)| *is).map(|(_, code)| *code).min().unwrap_or(Code::Valid);
        prop_assert_eq!(judge(&snapshot, local, Place { bound, free }), expected);
    }

    #[test]
    fn any_text_makes_json(address in ".*", nonce in proptest::option::of(".*"), now: i64) {
        let data = refusal(Code::NotFound, Lang::Es, &address, nonce.as_deref(), now);
        let data: Value = serde_json::from_str(&data).unwrap();
        prop_assert_eq!(&data["address"], &Value::Null);
        prop_assert_eq!(data["nonce"].as_str(), nonce.as_deref());
    }
}

#[test]
fn codes_are_listed_in_order() {
    assert!(Code::ALL.is_sorted());
    assert!(
        Code::ALL
            .iter()
            .all(|code| code.reason(Lang::Es).is_none() == (*code == Code::Valid))
    );
}
