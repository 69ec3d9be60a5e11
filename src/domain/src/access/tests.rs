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
const NONE: Option<&[&str]> = None;
const NO_SCOPES: &[&str] = &[];

#[test]
fn the_roles_table() {
    for role in ROLES {
        assert_eq!(Role::parse(role.as_str()), Some(role));
        let may = effective(role, NO_SCOPES, NONE);
        let writes = matches!(role, Role::SuperAdmin | Role::Admin | Role::Developer);
        assert!(may.has(Permission::LicensesRead));
        assert_eq!(may.has(Permission::LicensesWrite), writes);
        assert_eq!(may.has(Permission::LicensesDelete), writes);
        assert_eq!(may.has(Permission::LicensesRevoke), writes);
    }
    assert_eq!(Role::parse("root"), None);
}

#[test]
fn profile_scopes_add_and_key_scopes_narrow() {
    let may = effective(Role::Viewer, &["licenses:revoke"], NONE);
    assert!(may.has(Permission::LicensesRevoke) && !may.has(Permission::LicensesWrite));
    let may = effective(Role::Developer, NO_SCOPES, Some(&["licenses:read"]));
    assert_eq!(may, Permissions::of(&[Permission::LicensesRead]));
    assert_eq!(
        effective(Role::Admin, &["*"], Some(NO_SCOPES)),
        Permissions::default()
    );
    let may = effective(Role::Viewer, NO_SCOPES, Some(&["*"]));
    assert_eq!(may, Role::Viewer.permissions());
    let may = effective(Role::Viewer, &["licenses:*"], NONE);
    assert!(may.has(Permission::LicensesDelete) && !may.has(Permission::UsersRead));
    let may = effective(Role::Viewer, &["*"], NONE);
    assert_eq!(may, Role::Admin.permissions());
}

#[test]
fn whoever_sees_all_numbers_sees_the_own_ones() {
    let both = Permissions::of(&[Permission::AnalyticsRead, Permission::AnalyticsOwn]);
    let may = effective(Role::Manager, NO_SCOPES, Some(&["analytics:read"]));
    assert_eq!(may, both);
    let may = effective(Role::Manager, NO_SCOPES, Some(&["analytics:own"]));
    assert_eq!(may, Permissions::of(&[Permission::AnalyticsOwn]));
    // A key has no more than whoever made it.
    let may = effective(Role::Client, NO_SCOPES, Some(&["analytics:read"]));
    assert_eq!(may, Permissions::of(&[Permission::AnalyticsOwn]));
}

#[test]
fn scopes_are_matched_whole() {
    for scope in ["*", "licenses:*", "licenses:read"] {
        assert!(is_known_scope(scope), "{scope}");
    }
    for scope in [
        "",
        "license:*",
        "licenses",
        "licenses:",
        "*:read",
        ":*",
        "LICENSES:READ",
    ] {
        assert!(!is_known_scope(scope), "{scope}");
    }
}

#[test]
fn what_only_a_super_administrator_may() {
    for permission in SUPER_ONLY {
        for role in ROLES {
            let may = effective(role, &["*", permission.as_str()], Some(&["*"]));
            assert_eq!(
                may.has(*permission),
                role == Role::SuperAdmin,
                "{permission}"
            );
        }
    }
}

#[test]
fn roles_cover_each_other_as_people_expect() {
    let covers = |one: Role, other: Role| one.permissions().covers(other.permissions());
    for role in ROLES {
        assert!(covers(Role::SuperAdmin, role) && covers(role, Role::Viewer));
        assert_eq!(covers(Role::Admin, role), role != Role::SuperAdmin);
    }
    assert!(!covers(Role::Manager, Role::Developer) && !covers(Role::Developer, Role::Manager));
}

proptest! {
    #[test]
    fn a_key_never_widens(role in 0..7_usize, key in proptest::collection::vec("(licenses:)?(read|write|\\*)", 0..4)) {
        let role = ROLES[role];
        let narrowed = effective(role, NO_SCOPES, Some(&key[..]));
        prop_assert!(narrowed.iter().all(|one| role.permissions().has(one)));
    }
}
