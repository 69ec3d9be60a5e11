//! Who may invite, change and remove whom.
//!
//! Nobody gives what they do not hold, nobody touches somebody who holds more,
//! nobody promotes themselves, and whatever has an administrator keeps one: an
//! organization, and the system as a whole. What an API key makes or ends never
//! goes beyond that key.

use crate::access::{Permission, Permissions, Role, effective};

/// Limits of this value are none: -1, as in every plan.
pub const UNLIMITED: i64 = -1;

/// Who acts.
#[derive(Debug, Clone, Copy)]
pub struct Caller {
    /// Their role.
    pub role: Role,
    /// What they may do, narrowed by the API key if one is used.
    pub permissions: Permissions,
}

/// Who is acted upon.
#[derive(Debug, Clone, Copy)]
pub struct Member<'a> {
    /// Their role.
    pub role: Role,
    /// Their scopes.
    pub scopes: &'a [String],
    /// Whether they came, rather than being only invited.
    pub is_active: bool,
    /// Whether they are the caller.
    pub is_caller: bool,
    /// How many others hold their office and came: of an administrator the
    /// organization's, of a super administrator the system's.
    pub others_in_office: u64,
}

impl Member<'_> {
    /// Whether nobody would hold their office without them.
    fn is_last(&self) -> bool {
        let in_office = matches!(self.role, Role::Admin | Role::SuperAdmin);
        in_office && self.is_active && self.others_in_office == 0
    }

    /// Whether they may leave.
    ///
    /// # Errors
    /// [`Refusal::LastAdmin`].
    pub fn may_leave(&self) -> Result<(), Refusal> {
        match self.is_last() {
            true => Err(Refusal::LastAdmin),
            false => Ok(()),
        }
    }
}

/// What is to become of a member.
#[derive(Debug, Clone, Copy)]
pub enum Wish<'a> {
    /// Something that gives and takes no permission.
    Edit,
    /// This role and these scopes.
    Assign(Role, &'a [String]),
    /// Gone.
    Remove,
}

/// For how long and how often an API key works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Term {
    /// Its end, in milliseconds since the epoch. `None`: until it is deleted.
    pub ends_ms: Option<i64>,
    /// Requests a minute.
    pub per_minute: u32,
}

impl Term {
    /// Whether a caller may make or end a key of this term, when they use a key
    /// of the term `by` themselves.
    ///
    /// # Errors
    /// [`Refusal::BeyondKey`].
    pub fn within(self, by: Option<Term>) -> Result<(), Refusal> {
        let Some(by) = by else { return Ok(()) };
        let as_long = match (self.ends_ms, by.ends_ms) {
            (_, None) => true,
            (Some(own), Some(by)) => own <= by,
            (None, Some(_)) => false,
        };
        match as_long && self.per_minute <= by.per_minute {
            true => Ok(()),
            false => Err(Refusal::BeyondKey),
        }
    }
}

/// An API key that is to be replaced or deleted.
#[derive(Debug, Clone, Copy)]
pub struct Key<'a> {
    /// What it narrows its owner's permissions to.
    pub scopes: &'a [String],
    /// For how long and how often.
    pub term: Term,
    /// Whether it is the one that the caller uses.
    pub is_callers: bool,
    /// Whether it works.
    pub is_active: bool,
    /// Whether another is in its place already.
    pub is_replaced: bool,
}

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It is the caller's own account.
    OwnAccount,
    /// The caller does not hold all of this.
    NotHeld(Permissions),
    /// Nobody could administer the organization, or the system, any more.
    LastAdmin,
    /// The API key does not work any more, or was replaced.
    KeyEnded,
    /// The caller's API key ends earlier, or works less often.
    BeyondKey,
    /// An API key works at most so many times a minute.
    TooOften(u32),
}

impl Caller {
    /// Whether the caller may give somebody a role and, beyond `held`, scopes.
    ///
    /// # Errors
    /// [`Refusal::NotHeld`] with what is missing. A client sees nobody but
    /// themselves, so everything they could give is more than they have.
    pub fn gives(&self, role: Role, scopes: &[String], held: &[String]) -> Result<(), Refusal> {
        let added: Vec<&str> = scopes
            .iter()
            .filter(|scope| !held.contains(scope))
            .map(String::as_str)
            .collect();
        let given = effective::<_, &str>(role, scopes, None).and(Permissions::named(&added));
        if self.role == Role::Client {
            return Err(Refusal::NotHeld(given));
        }
        self.covers(given)
    }

    /// Whether the caller holds all of this.
    ///
    /// # Errors
    /// [`Refusal::NotHeld`] with what is missing.
    pub fn covers(&self, permissions: Permissions) -> Result<(), Refusal> {
        let missing = permissions.except(self.permissions);
        if missing == Permissions::default() {
            Ok(())
        } else {
            Err(Refusal::NotHeld(missing))
        }
    }

    /// Whether the caller, who uses a key of the term `by` if any, may end one
    /// of `owner`'s keys. A key may end itself.
    ///
    /// # Errors
    /// The reason why not.
    pub fn ends(&self, owner: &Member, key: &Key, by: Option<Term>) -> Result<(), Refusal> {
        if key.is_callers {
            return Ok(());
        }
        self.covers(effective(owner.role, owner.scopes, Some(key.scopes)))?;
        key.term.within(by)
    }

    /// Whether the caller may put a new key in the place of one of `owner`'s:
    /// whoever does holds the new one afterwards.
    ///
    /// # Errors
    /// The reason why not.
    pub fn replaces(&self, owner: &Member, key: &Key, by: Option<Term>) -> Result<(), Refusal> {
        self.ends(owner, key, by)?;
        if !key.is_active || key.is_replaced {
            return Err(Refusal::KeyEnded);
        }
        Ok(())
    }

    /// Whether the caller may make a key that works `per_minute`: more than is
    /// `usual` takes a permission, and goes up to `most`.
    ///
    /// # Errors
    /// The reason why not.
    pub fn sets_rate(&self, per_minute: u32, usual: u32, most: u32) -> Result<(), Refusal> {
        if per_minute <= usual {
            return Ok(());
        }
        self.covers(Permissions::of(&[Permission::ApiKeysWrite]))?;
        match per_minute <= most {
            true => Ok(()),
            false => Err(Refusal::TooOften(most.max(usual))),
        }
    }

    /// Whether the caller may set the limits of an organization, which are what
    /// it pays for.
    #[must_use]
    pub fn sets_limits(&self) -> bool {
        self.role == Role::SuperAdmin
    }

    /// Whether the caller may do this to a member.
    ///
    /// # Errors
    /// The reason why not.
    pub fn may(&self, member: &Member, wish: Wish) -> Result<(), Refusal> {
        let wish = match wish {
            Wish::Assign(role, scopes) if role == member.role && scopes == member.scopes => {
                Wish::Edit
            }
            other => other,
        };
        if member.is_caller {
            return match wish {
                Wish::Edit => Ok(()),
                Wish::Assign(..) | Wish::Remove => Err(Refusal::OwnAccount),
            };
        }
        self.covers(effective::<_, &str>(member.role, member.scopes, None))?;
        let stays = match wish {
            Wish::Edit => true,
            Wish::Assign(role, scopes) => {
                self.gives(role, scopes, member.scopes)?;
                role == member.role
            }
            Wish::Remove => false,
        };
        match stays {
            true => Ok(()),
            false => member.may_leave(),
        }
    }
}

/// The scopes that somebody keeps who gets another role and no other scopes:
/// all of them, unless the new role may less; then only what it may itself.
#[must_use]
pub fn scopes_kept(was: Role, is: Role, scopes: &[String]) -> Vec<String> {
    let (before, after) = (was.permissions(), is.permissions());
    let fits = |scope: &&String| {
        after.covers(before) || after.covers(Permissions::named(std::slice::from_ref(*scope)))
    };
    scopes.iter().filter(fits).cloned().collect()
}

/// Whether there is room for one more where `there` are there already: people
/// of an organization, or API keys of a person.
#[must_use]
pub fn has_room(max: i64, there: i64) -> bool {
    max == UNLIMITED || there < max
}

#[cfg(test)]
mod tests {
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
    };
    const SHORT: Term = Term {
        ends_ms: Some(5_000),
        per_minute: 100,
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
}
