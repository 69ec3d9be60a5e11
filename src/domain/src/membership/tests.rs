use super::*;
use proptest::prelude::*;

const ROLES: [Role; 7] = [
    Role::SuperAdmin,
    Role::Admin,
    Role::Manager,
    Role::Developer,
    Role::Operator,
    Role::Client,
    Role::Viewer,
];

fn caller(role: Role) -> Caller {
    Caller {
        role,
        permissions: role.permissions(),
    }
}

fn member(role: Role) -> Member<'static> {
    Member {
        role,
        scopes: &[],
        is_active: true,
        is_caller: false,
        others_in_office: 1,
    }
}

fn owned(scopes: &[&str]) -> Vec<String> {
    scopes.iter().map(|scope| (*scope).to_owned()).collect()
}

#[test]
fn what_roles_may_give() {
    let gives = |by: Role, role: Role| caller(by).gives(role, &[], &[]).is_ok();
    for role in ROLES {
        assert!(gives(Role::SuperAdmin, role));
        assert_eq!(gives(Role::Admin, role), role != Role::SuperAdmin);
        assert!(!gives(Role::Client, role));
    }
    assert!(gives(Role::Manager, Role::Manager) && gives(Role::Manager, Role::Viewer));
    assert!(!gives(Role::Manager, Role::Developer) && !gives(Role::Manager, Role::Admin));
}

#[test]
fn scopes_are_given_by_those_who_hold_them() {
    let gives = |by: Role, scope: &str| caller(by).gives(Role::Viewer, &owned(&[scope]), &[]);
    assert!(gives(Role::Manager, "users:*").is_ok());
    assert_eq!(
        gives(Role::Manager, "licenses:write"),
        Err(Refusal::NotHeld(Permissions::named(&["licenses:write"])))
    );
    // All there is, also what only a super administrator has.
    assert!(gives(Role::Admin, "*").is_err() && gives(Role::SuperAdmin, "*").is_ok());
    assert!(gives(Role::Admin, "settings:write").is_err());
}

#[test]
fn scopes_that_stay_are_not_given() {
    let everything = owned(&["*"]);
    let held = Member {
        scopes: &everything,
        ..member(Role::Viewer)
    };
    let wish = Wish::Assign(Role::Operator, &everything);
    assert_eq!(caller(Role::Admin).may(&held, wish), Ok(()));
    assert!(caller(Role::Manager).may(&held, wish).is_err());
}

#[test]
fn an_organization_keeps_an_administrator() {
    let last = Member {
        others_in_office: 0,
        ..member(Role::Admin)
    };
    for by in [Role::SuperAdmin, Role::Admin] {
        for wish in [Wish::Remove, Wish::Assign(Role::Viewer, &[])] {
            assert_eq!(caller(by).may(&last, wish), Err(Refusal::LastAdmin));
            assert_eq!(caller(by).may(&member(Role::Admin), wish), Ok(()));
            let invited = Member {
                is_active: false,
                ..last
            };
            assert_eq!(caller(by).may(&invited, wish), Ok(()));
        }
        assert_eq!(caller(by).may(&last, Wish::Edit), Ok(()));
    }
}

#[test]
fn the_system_keeps_a_super_administrator() {
    let last = Member {
        others_in_office: 0,
        ..member(Role::SuperAdmin)
    };
    let by = caller(Role::SuperAdmin);
    for wish in [Wish::Remove, Wish::Assign(Role::Admin, &[])] {
        assert_eq!(by.may(&last, wish), Err(Refusal::LastAdmin));
        assert_eq!(by.may(&member(Role::SuperAdmin), wish), Ok(()));
    }
}

#[test]
fn leaving() {
    for role in ROLES {
        let last = Member {
            others_in_office: 0,
            ..member(role)
        };
        let in_office = matches!(role, Role::Admin | Role::SuperAdmin);
        assert_eq!(last.may_leave().is_err(), in_office);
        assert_eq!(member(role).may_leave(), Ok(()));
    }
}

#[test]
fn who_gets_a_smaller_role_keeps_no_more_than_it_has() {
    let all = owned(&["*", "licenses:write", "licenses:read"]);
    let kept = |was, is| scopes_kept(was, is, &all);
    assert_eq!(kept(Role::Admin, Role::Viewer), owned(&["licenses:read"]));
    assert_eq!(
        kept(Role::Manager, Role::Developer),
        owned(&["licenses:write", "licenses:read"])
    );
    assert_eq!(kept(Role::Viewer, Role::Manager), all);
    assert_eq!(kept(Role::Viewer, Role::Operator), all);
}

#[test]
fn ones_own_account() {
    let own = Member {
        is_caller: true,
        ..member(Role::Admin)
    };
    let by = caller(Role::Admin);
    assert_eq!(by.may(&own, Wish::Edit), Ok(()));
    assert_eq!(by.may(&own, Wish::Assign(Role::Admin, &[])), Ok(()));
    for wish in [Wish::Remove, Wish::Assign(Role::SuperAdmin, &[])] {
        assert_eq!(by.may(&own, wish), Err(Refusal::OwnAccount));
    }
}

const LONG: Term = Term {
    ends_ms: None,
    per_minute: 100,
    budget_micro: None,
};
const SHORT: Term = Term {
    ends_ms: Some(5_000),
    per_minute: 100,
    budget_micro: None,
};

#[test]
fn keys_are_ended_by_those_who_hold_what_they_may() {
    let wide = owned(&["licenses:*", "account:*"]);
    let key = Key {
        scopes: &wide,
        term: LONG,
        is_callers: false,
        is_active: true,
        is_replaced: false,
    };
    let owner = member(Role::Developer);
    let narrow = Caller {
        role: Role::Developer,
        permissions: Permissions::named(&["account:write"]),
    };
    let by = caller(Role::Developer);
    assert_eq!(by.replaces(&owner, &key, None), Ok(()));
    for refused in [
        narrow.replaces(&owner, &key, None),
        narrow.ends(&owner, &key, None),
    ] {
        assert!(matches!(refused, Err(Refusal::NotHeld(_))));
    }
    // What the owner lost, the key lost with it.
    let viewer = caller(Role::Viewer);
    assert_eq!(viewer.replaces(&member(Role::Viewer), &key, None), Ok(()));
    for ended in [
        Key {
            is_active: false,
            ..key
        },
        Key {
            is_replaced: true,
            ..key
        },
    ] {
        assert_eq!(by.replaces(&owner, &ended, None), Err(Refusal::KeyEnded));
        assert_eq!(by.ends(&owner, &ended, None), Ok(()));
        // Nobody learns that of a key that they may not touch.
        let refused = narrow.replaces(&owner, &ended, None);
        assert_ne!(refused, Err(Refusal::KeyEnded));
    }
    // A key that ends itself ends one that lives longer only if that is itself.
    assert_eq!(by.ends(&owner, &key, Some(SHORT)), Err(Refusal::BeyondKey));
    assert_eq!(by.ends(&owner, &key, Some(LONG)), Ok(()));
    let own = Key {
        is_callers: true,
        ..key
    };
    assert_eq!(narrow.replaces(&owner, &own, Some(SHORT)), Ok(()));
}

#[test]
fn what_a_key_makes_stays_within_it() {
    assert_eq!(LONG.within(None), Ok(()));
    assert_eq!(LONG.within(Some(SHORT)), Err(Refusal::BeyondKey));
    assert_eq!(SHORT.within(Some(SHORT)), Ok(()));
    assert_eq!(SHORT.within(Some(LONG)), Ok(()));
    let faster = Term {
        per_minute: 101,
        ..SHORT
    };
    assert_eq!(faster.within(Some(LONG)), Err(Refusal::BeyondKey));
    let budget = |micro| Term {
        budget_micro: Some(micro),
        ..LONG
    };
    assert_eq!(budget(5).within(Some(LONG)), Ok(()));
    assert_eq!(budget(5).within(Some(budget(5))), Ok(()));
    for more in [LONG, budget(6)] {
        assert_eq!(more.within(Some(budget(5))), Err(Refusal::BeyondKey));
    }
}

#[test]
fn more_than_usual_takes_a_permission_and_has_an_end() {
    let sets = |role: Role, rate| caller(role).sets_rate(rate, 100, 1_000);
    assert_eq!(sets(Role::Viewer, 100), Ok(()));
    assert!(matches!(sets(Role::Viewer, 101), Err(Refusal::NotHeld(_))));
    assert_eq!(sets(Role::Admin, 1_000), Ok(()));
    assert_eq!(sets(Role::Admin, 1_001), Err(Refusal::TooOften(1_000)));
    assert_eq!(
        caller(Role::Admin).sets_rate(101, 100, 50),
        Err(Refusal::TooOften(100))
    );
}

#[test]
fn limits_are_set_by_super_administrators() {
    for role in ROLES {
        assert_eq!(caller(role).sets_limits(), role == Role::SuperAdmin);
    }
}

#[test]
fn room() {
    assert!(has_room(-1, 1_000_000) && has_room(1, 0));
    assert!(!has_room(1, 1) && !has_room(0, 0) && !has_room(1, 2));
}

fn scopes() -> impl Strategy<Value = Vec<String>> {
    proptest::collection::vec(
        "(licenses|users|settings|account):(read|write|\\*)|\\*",
        0..4,
    )
}

fn is_office(role: Role) -> bool {
    matches!(role, Role::Admin | Role::SuperAdmin)
}

fn role() -> impl Strategy<Value = Role> {
    (0..7_usize).prop_map(|at| ROLES[at])
}

proptest! {
    #[test]
    fn nobody_ends_up_with_more_than_the_giver(
        by in role(), own in scopes(), key in proptest::option::of(scopes()),
        was in role(), held in scopes(), is in role(), given in scopes(), others in 0..3_u64,
    ) {
        let by = Caller { role: by, permissions: effective(by, &own, key.as_deref()) };
        let member = Member { role: was, scopes: &held, is_active: true, is_caller: false, others_in_office: others };
        let before = effective::<_, &str>(was, &held, None);
        let after = effective::<_, &str>(is, &given, None);
        if by.may(&member, Wish::Assign(is, &given)).is_ok() {
            prop_assert!(by.permissions.covers(before) && by.permissions.covers(after));
            prop_assert!(!is_office(was) || is == was || others > 0);
        }
        if by.gives(is, &given, &[]).is_ok() {
            prop_assert!(by.permissions.covers(after));
        }
        if by.may(&member, Wish::Remove).is_ok() {
            prop_assert!(by.permissions.covers(before));
            prop_assert!(!is_office(was) || others > 0);
        }
    }

    #[test]
    fn nobody_changes_what_they_may_do(by in role(), own in scopes(), is in role(), given in scopes()) {
        let caller = Caller { role: by, permissions: effective::<_, &str>(by, &own, None) };
        let member = Member { role: by, scopes: &own, is_active: true, is_caller: true, others_in_office: 1 };
        let same = by == is && own == given;
        prop_assert_eq!(caller.may(&member, Wish::Assign(is, &given)).is_ok(), same);
        prop_assert_eq!(caller.may(&member, Wish::Remove), Err(Refusal::OwnAccount));
    }

    #[test]
    fn room_is_never_overrun(max in -1..50_i64, asked in 0..100_i64) {
        let people = (0..asked).fold(0, |people, _| people + i64::from(has_room(max, people)));
        prop_assert_eq!(people, if max == -1 { asked } else { asked.min(max) });
    }
}
