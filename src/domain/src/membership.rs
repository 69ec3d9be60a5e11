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

/// For how long and how often an API key works, and what it may spend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Term {
    /// Its end, in milliseconds since the epoch. `None`: until it is deleted.
    pub ends_ms: Option<i64>,
    /// Requests a minute.
    pub per_minute: u32,
    /// Money for AI calls in a month, in millionths of a dollar. `None`: as much as the license.
    pub budget_micro: Option<i64>,
}

/// Whether `own` goes no further than `by`, where nothing is no end.
fn is_within(own: Option<i64>, by: Option<i64>) -> bool {
    by.is_none_or(|by| own.is_some_and(|own| own <= by))
}

impl Term {
    /// Whether a caller may make or end a key of this term, when they use a key
    /// of the term `by` themselves.
    ///
    /// # Errors
    /// [`Refusal::BeyondKey`].
    pub fn within(self, by: Option<Term>) -> Result<(), Refusal> {
        let Some(by) = by else { return Ok(()) };
        let is_no_more = is_within(self.ends_ms, by.ends_ms)
            && self.per_minute <= by.per_minute
            && is_within(self.budget_micro, by.budget_micro);
        match is_no_more {
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
mod tests;
