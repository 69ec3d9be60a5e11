use super::*;
use proptest::prelude::*;

const USER: Uuid = Uuid::from_u128(1);
const OTHER: Uuid = Uuid::from_u128(2);
const ORGANIZATION: Uuid = Uuid::from_u128(3);

fn flag(target_type: Target) -> Flag {
    Flag {
        flag_key: "new-dashboard".into(),
        is_enabled: true,
        environments: Vec::new(),
        overrides: Overrides::default(),
        target_type,
        target_percentage: None,
        target_users: None,
        target_organizations: None,
    }
}

fn decide(flag: &Flag) -> (bool, Reason) {
    let context = Context {
        environment: "production",
        user_id: Some(USER),
        organization_id: Some(ORGANIZATION),
    };
    let Evaluation { value, reason } = evaluate(flag, &context);
    (value, reason)
}

/// The reference implementation's own results.
#[test]
fn the_hash_is_murmur3() {
    for (text, seed, hash) in [
        ("", 0, 0),
        ("", 1, 0x514e_28b7),
        ("", 0xffff_ffff, 0x81f1_6f39),
        ("\0\0\0\0", 0, 0x2362_f9de),
        ("a", 0x9747_b28c, 0x7fa0_9ea6),
        ("aa", 0x9747_b28c, 0x5d21_1726),
        ("aaa", 0x9747_b28c, 0x283e_0130),
        ("aaaa", 0x9747_b28c, 0x5a97_808a),
        ("abc", 0, 0xb3dd_93fa),
        ("Hello, world!", 0x9747_b28c, 0x2488_4cba),
        ("ππππππππ", 0x9747_b28c, 0xd580_63c1),
        (
            "The quick brown fox jumps over the lazy dog",
            0,
            0x2e4f_f723,
        ),
    ] {
        assert_eq!(
            murmur3_x86_32(text.as_bytes(), seed),
            hash,
            "{text:?} {seed:#x}"
        );
    }
}

/// "Normalized values are the same across node, java, and go clients."
#[test]
fn places_are_unleashs() {
    assert_eq!(normalized("gr1", "123"), 73);
    assert_eq!(normalized("groupX", "999"), 25);
    assert!(in_rollout("gr1", "123", 73) && !in_rollout("gr1", "123", 72));
}

/// The cases of Unleash's client specification that name a user.
#[test]
fn rollouts_are_those_of_the_client_specification() {
    for (group, id, percentage, inside) in [
        ("Feature.flexibleRollout.10", "174", 10, true),
        ("Feature.flexibleRollout.10", "499", 10, false),
        ("Feature.flexibleRollout.userId.55", "25", 55, true),
        ("Feature.flexibleRollout.sessionId.42", "147", 42, true),
        ("AB12A", "123", 100, true),
        ("AB12A", "122", 50, true),
        ("AB12A", "155", 50, false),
        ("AB12A", "122", 0, false),
    ] {
        assert_eq!(
            in_rollout(group, id, percentage),
            inside,
            "{group} {id} {percentage}"
        );
    }
}

#[test]
fn only_a_share_needs_a_size() {
    assert!(!Target::Percentage.is_complete(None) && Target::Percentage.is_complete(Some(0)));
    assert!(Target::All.is_complete(None) && Target::Users.is_complete(None));
}

#[test]
fn the_first_reason_decides() {
    let all = flag(Target::All);
    assert_eq!(decide(&all), (true, Reason::All));

    let mut both = all.clone();
    both.overrides.users.insert(USER, false);
    both.overrides.organizations.insert(ORGANIZATION, true);
    assert_eq!(decide(&both), (false, Reason::UserOverride));
    both.overrides.users.clear();
    both.overrides.users.insert(OTHER, false);
    assert_eq!(decide(&both), (true, Reason::OrganizationOverride));

    both.environments = vec!["staging".into()];
    assert_eq!(decide(&both), (false, Reason::Environment));
    both.environments.push("production".into());
    assert_eq!(decide(&both), (true, Reason::OrganizationOverride));

    both.is_enabled = false;
    assert_eq!(decide(&both), (false, Reason::Disabled));
}

#[test]
fn targets() {
    let mut users = flag(Target::Users);
    assert_eq!(decide(&users), (false, Reason::NotTargeted));
    users.target_users = Some(vec![OTHER]);
    assert_eq!(decide(&users), (false, Reason::NotTargeted));
    users.target_users = Some(vec![OTHER, USER]);
    assert_eq!(decide(&users), (true, Reason::UserTarget));

    let mut organizations = flag(Target::Orgs);
    // A user's id in the wrong list means nothing.
    organizations.target_users = Some(vec![USER]);
    organizations.target_organizations = Some(vec![OTHER]);
    assert_eq!(decide(&organizations), (false, Reason::NotTargeted));
    organizations.target_organizations = Some(vec![ORGANIZATION]);
    assert_eq!(decide(&organizations), (true, Reason::OrganizationTarget));

    let mut share = flag(Target::Percentage);
    assert_eq!(decide(&share), (false, Reason::RolloutExcluded));
    share.target_percentage = Some(0);
    assert_eq!(decide(&share), (false, Reason::RolloutExcluded));
    share.target_percentage = Some(100);
    assert_eq!(decide(&share), (true, Reason::Rollout));
}

#[test]
fn nobody_is_in_no_share() {
    let mut share = flag(Target::Percentage);
    share.target_percentage = Some(100);
    let nobody = Context {
        environment: "production",
        user_id: None,
        organization_id: None,
    };
    assert_eq!(evaluate(&share, &nobody).reason, Reason::RolloutExcluded);
    let somebody = Context {
        organization_id: Some(ORGANIZATION),
        ..nobody
    };
    assert_eq!(evaluate(&share, &somebody).reason, Reason::Rollout);
}

#[test]
fn keys() {
    for key in ["a", "new-dashboard", "v2.billing_page", "1"] {
        assert!(is_key(key), "{key}");
    }
    let long = "a".repeat(MAX_KEY_CHARS + 1);
    for key in [
        "", "-a", "a-", "a--b", "a..b", "A", "á", "a b", "a/b", &long,
    ] {
        assert!(!is_key(key), "{key}");
    }
}

#[test]
fn a_stored_row_is_read() {
    let row = r#"{"flag_key":"x","is_enabled":true,"environments":[],"overrides":{"users":
        {"00000000-0000-0000-0000-000000000001":true}},"target_type":"orgs","target_percentage":null,
        "target_users":null,"target_organizations":[],"name":"more"}"#;
    let flag: Flag = serde_json::from_str(row).unwrap();
    assert_eq!(decide(&flag), (true, Reason::UserOverride));
}

#[test]
fn shares_are_as_large_as_they_say() {
    let ids: Vec<String> = (0..20_000_u128)
        .map(|n| {
            Uuid::from_u128(n.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)).to_string()
        })
        .collect();
    for percentage in [1, 10, 25, 50, 90] {
        let inside = ids
            .iter()
            .filter(|id| in_rollout("some.flag", id, percentage))
            .count();
        let expected = ids.len() * percentage as usize / 100;
        // Five standard deviations of a fair draw.
        let spread = (expected as f64 * (1.0 - f64::from(percentage) / 100.0)).sqrt() * 5.0;
        assert!(
            (inside as f64 - expected as f64).abs() <= spread,
            "{percentage} per cent let {inside} in"
        );
    }
}

proptest! {
    #[test]
    fn whoever_is_in_stays_in(group in "[a-z]{1,12}", id in ".{0,40}", low in 0_u32..=100, more in 0_u32..=100) {
        let high = (low + more).min(100);
        prop_assert!(!in_rollout(&group, &id, low) || in_rollout(&group, &id, high));
        prop_assert!(!in_rollout(&group, &id, 0));
        prop_assert!(in_rollout(&group, &id, 100));
        prop_assert!((1..=100).contains(&normalized(&group, &id)));
    }

    #[test]
    fn the_kill_switch_and_overrides_always_win(
        target in prop_oneof![Just(Target::All), Just(Target::Percentage), Just(Target::Users), Just(Target::Orgs)],
        percentage in proptest::option::of(0_u32..=100),
        value: bool,
    ) {
        let mut flag = flag(target);
        flag.target_percentage = percentage;
        flag.target_users = Some(vec![USER]);
        flag.target_organizations = Some(vec![ORGANIZATION]);
        flag.overrides.users.insert(USER, value);
        prop_assert_eq!(decide(&flag), (value, Reason::UserOverride));
        flag.is_enabled = false;
        prop_assert_eq!(decide(&flag), (false, Reason::Disabled));
    }
}
