use super::*;
use proptest::prelude::*;
use serde_json::json;

fn right(key: &str, value: Value) -> bool {
    check(Key::parse(key).unwrap(), &value).is_ok()
}

fn stored(values: Value) -> Stored {
    serde_json::from_value(values).unwrap()
}

#[test]
fn names_are_found_and_defaults_are_right() {
    let mut names: Vec<_> = Key::ALL.iter().map(|key| key.as_str()).collect();
    assert!(names.is_sorted());
    names.dedup();
    assert_eq!(names.len(), Key::ALL.len());
    for key in Key::ALL {
        assert_eq!(Key::parse(key.as_str()), Some(key));
        let default = key.default_value();
        assert!(default.is_null() || check(key, &default).is_ok(), "{key:?}");
        assert!(!key.description().is_empty() && !key.kind().as_str().is_empty());
    }
    assert_eq!(Key::parse("license"), None);
}

#[test]
fn numbers_and_switches() {
    for (value, fits) in [
        (json!(1), true),
        (json!(1_000), true),
        (json!(0), false),
        (json!(1_001), false),
        (json!(-1), false),
        (json!(1.5), false),
        (json!("10"), false),
        (json!(null), false),
        (json!([1]), false),
    ] {
        assert_eq!(
            right("license.collision_threshold", value.clone()),
            fits,
            "{value}"
        );
    }
    assert!(right("webhooks.max_per_organization", json!(0)));
    assert!(right("telemetry.enabled", json!(false)));
    assert!(!right("telemetry.enabled", json!(0)));
    assert!(!right("telemetry.enabled", json!("true")));
}

#[test]
fn texts() {
    for url in [
        "https://api.resend.com/emails",
        "https://mail.example.com:8443/v1?x=y",
        "https://a.b",
    ] {
        assert!(right("email.api_url", json!(url)), "{url}");
    }
    let long = format!("https://example.com/{}", "a".repeat(500));
    for url in [
        "http://api.resend.com",
        "https://",
        "https://localhost/",
        "https://10.0.0.1/",
        "https://[::1]/",
        "https://user:pass@example.com/",
        "https://example.com:99999/",
        "https://example.com/a b",
        "javascript:alert(1)",
        "",
        &long,
    ] {
        assert!(!right("email.api_url", json!(url)), "{url}");
    }
    assert!(right("email.from", json!("no-reply@celaest.example")));
    for address in [
        "",
        "a",
        "a@b",
        "@b.c",
        "a b@c.d",
        "a@b.c\n",
        "a@b@c.d",
        "a..b@c.d",
        "A <a@b.c>",
        "a@b..c",
        "a@-b.c",
        "a@1.2.3.4",
    ] {
        assert!(!right("email.from", json!(address)), "{address}");
    }
    assert!(right("email.api_key", json!("re_123")));
    for key in ["", " re", "re\n", &"x".repeat(501)] {
        assert!(!right("email.api_key", json!(key)), "{key}");
    }
}

#[test]
fn what_is_sealed_opens_for_its_own_key_only() {
    let vault = Vault::parse(&"A".repeat(43)).unwrap();
    let stored = seal(&vault, Key::EmailApiKey, "re_hush", [7; NONCE]).unwrap();
    assert!(!stored.to_string().contains("hush"));
    assert_eq!(
        open(&vault, Key::EmailApiKey, &stored).as_deref(),
        Some("re_hush")
    );
    assert_eq!(open(&vault, Key::EmailFrom, &stored), None);
    for nonsense in [
        json!(null),
        json!("re_hush"),
        json!({"version": 1, "sealed": "?"}),
    ] {
        assert_eq!(open(&vault, Key::EmailApiKey, &nonsense), None);
    }
}

#[test]
fn nothing_stored_is_the_default() {
    let nothing = Stored::default();
    assert_eq!(nothing.licenses(), license::Settings::default());
    assert_eq!(nothing.rate_limit_per_min(), None);
    assert_eq!(nothing.api_keys_per_user(), 20);
    assert_eq!(nothing.webhooks_per_organization(), 20);
    assert!(nothing.telemetry_enabled());
    assert_eq!(
        (nothing.email_from(), nothing.email_api_url()),
        (None, None)
    );
}

#[test]
fn what_is_stored_counts_unless_it_is_nonsense() {
    let own = stored(json!({
        "license.collision_threshold": 3, "license.collision_auto_revoke": true,
        "api.rate_limit_per_min": 7, "api_keys.max_per_user": 0, "webhooks.max_per_organization": 1,
        "telemetry.enabled": false, "telemetry.retention_days": 30,
        "email.from": "a@b.example", "email.api_url": "https://b.example/x",
        "ai.max_attempts": 3,
    }));
    assert_eq!(own.licenses().collision_threshold, 3);
    assert!(own.licenses().collision_auto_revoke);
    assert_eq!(own.rate_limit_per_min(), Some(7));
    assert_eq!(
        (own.api_keys_per_user(), own.webhooks_per_organization()),
        (0, 1)
    );
    assert!(!own.telemetry_enabled());
    assert_eq!(own.email_from(), Some("a@b.example"));
    assert_eq!(own.email_api_url(), Some("https://b.example/x"));

    let nonsense = stored(json!({
        "license.collision_threshold": "3", "license.collision_auto_revoke": 1,
        "api.rate_limit_per_min": 0, "api_keys.max_per_user": -1, "telemetry.enabled": null,
        "telemetry.retention_days": 1e9, "webhooks.max_per_organization": {}, "email.from": "x",
        "email.api_url": "http://b.example",
    }));
    assert_eq!(nonsense.rate_limit_per_min(), None);
    assert_eq!(nonsense.email_from(), None);
    for key in Key::ALL {
        assert_eq!(nonsense.get(key), key.default_value(), "{key:?}");
        assert_eq!(nonsense.own(key), None, "{key:?}");
    }
}

#[test]
fn what_is_so_already_is_no_change() {
    let before = stored(json!({
        "telemetry.enabled": true, "email.api_key": {"version": 1, "sealed": "x"},
    }));
    assert!(!before.would_change(Key::TelemetryEnabled, &json!(true)));
    assert!(before.would_change(Key::TelemetryEnabled, &Value::Null));
    assert!(!before.would_change(Key::EmailFrom, &Value::Null));
    assert!(before.would_change(Key::EmailApiKey, &json!("x")));
    assert!(!Stored::default().would_change(Key::EmailApiKey, &Value::Null));
}

proptest! {
    #[test]
    fn no_text_panics_and_none_with_a_line_break_is_right(text in ".*") {
        for key in Key::ALL {
            let fits = check(key, &json!(text)).is_ok();
            prop_assert!(!fits || !text.contains(['\n', '\r', '\0']));
        }
    }

    #[test]
    fn a_number_is_right_exactly_within_its_bounds(number: i64) {
        for key in Key::ALL {
            if let Kind::Integer { min, max } = key.kind() {
                let inside = (i64::from(min)..=i64::from(max)).contains(&number);
                prop_assert_eq!(check(key, &json!(number)).is_ok(), inside);
            }
        }
    }
}
