//! Who may invite, change and remove whom.
//!
//! Nobody gives what they do not hold, nobody touches somebody who holds more,
//! nobody promotes or removes themselves, and an organization that has an
//! administrator keeps one.

use crate::access::{Permissions, Role, effective};

/// Limits of this value are none: -1, as in every plan.
const UNLIMITED: i64 = -1;

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
    /// How many other administrators of the organization came.
    pub other_admins: u64,
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

/// An API key that is to be replaced.
#[derive(Debug, Clone, Copy)]
pub struct Key<'a> {
    /// What it narrows its owner's permissions to.
    pub scopes: &'a [String],
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
    /// Nobody could administer the organization any more.
    LastAdmin,
    /// The API key does not work any more, or was replaced.
    KeyEnded,
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

    /// Whether the caller may put a new key in the place of one of `owner`'s:
    /// whoever does holds the new one afterwards.
    ///
    /// # Errors
    /// The reason why not.
    pub fn replaces(&self, owner: &Member, key: &Key) -> Result<(), Refusal> {
        self.covers(effective(owner.role, owner.scopes, Some(key.scopes)))?;
        if !key.is_active || key.is_replaced {
            return Err(Refusal::KeyEnded);
        }
        Ok(())
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
        let stays_admin = match wish {
            Wish::Edit => true,
            Wish::Assign(role, scopes) => {
                self.gives(role, scopes, member.scopes)?;
                role == Role::Admin
            }
            Wish::Remove => false,
        };
        let was_admin = member.role == Role::Admin && member.is_active;
        if was_admin && !stays_admin && member.other_admins == 0 {
            return Err(Refusal::LastAdmin);
        }
        Ok(())
    }
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
            other_admins: 1,
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
            other_admins: 0,
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

    #[test]
    fn keys_are_replaced_by_those_who_hold_what_they_may() {
        let wide = owned(&["licenses:*", "account:*"]);
        let key = Key {
            scopes: &wide,
            is_active: true,
            is_replaced: false,
        };
        let owner = member(Role::Developer);
        let narrow = Caller {
            role: Role::Developer,
            permissions: Permissions::named(&["account:write"]),
        };
        assert_eq!(caller(Role::Developer).replaces(&owner, &key), Ok(()));
        assert!(matches!(
            narrow.replaces(&owner, &key),
            Err(Refusal::NotHeld(_))
        ));
        // What the owner lost, the key lost with it.
        assert_eq!(
            caller(Role::Viewer).replaces(&member(Role::Viewer), &key),
            Ok(())
        );
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
            assert_eq!(
                caller(Role::Developer).replaces(&owner, &ended),
                Err(Refusal::KeyEnded)
            );
            // Nobody learns that of a key that they may not touch.
            assert_ne!(narrow.replaces(&owner, &ended), Err(Refusal::KeyEnded));
        }
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
            let member = Member { role: was, scopes: &held, is_active: true, is_caller: false, other_admins: others };
            let before = effective::<_, &str>(was, &held, None);
            let after = effective::<_, &str>(is, &given, None);
            if by.may(&member, Wish::Assign(is, &given)).is_ok() {
                prop_assert!(by.permissions.covers(before) && by.permissions.covers(after));
                prop_assert!(was != Role::Admin || is == Role::Admin || others > 0);
            }
            if by.gives(is, &given, &[]).is_ok() {
                prop_assert!(by.permissions.covers(after));
            }
            if by.may(&member, Wish::Remove).is_ok() {
                prop_assert!(by.permissions.covers(before));
                prop_assert!(was != Role::Admin || others > 0);
            }
        }

        #[test]
        fn nobody_changes_what_they_may_do(by in role(), own in scopes(), is in role(), given in scopes()) {
            let caller = Caller { role: by, permissions: effective::<_, &str>(by, &own, None) };
            let member = Member { role: by, scopes: &own, is_active: true, is_caller: true, other_admins: 1 };
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
