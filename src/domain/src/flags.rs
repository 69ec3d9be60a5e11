//! Feature flags: who gets what, and why.
//!
//! The gradual rollout is Unleash's, bit for bit, so that any client of theirs
//! would put the same person on the same side.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The longest key, in characters.
pub const MAX_KEY_CHARS: usize = 100;

/// Whom a flag is meant for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "FlagTargetType"))]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// Everybody.
    #[default]
    All,
    /// A share of the users, always the same ones.
    Percentage,
    /// The users listed.
    Users,
    /// The members of the organizations listed.
    Orgs,
}

impl Target {
    /// The text in the column.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Percentage => "percentage",
            Self::Users => "users",
            Self::Orgs => "orgs",
        }
    }

    /// Whether a flag that is meant for these says so completely: a share of the users has a size.
    #[must_use]
    pub fn is_complete(self, percentage: Option<u32>) -> bool {
        self != Self::Percentage || percentage.is_some()
    }
}

/// Values that stand before the target.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Overrides {
    /// By user; these stand before those by organization.
    pub users: BTreeMap<Uuid, bool>,
    /// By organization.
    pub organizations: BTreeMap<Uuid, bool>,
}

/// A flag as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flag {
    /// Names the flag, and is the group of the rollout.
    pub flag_key: String,
    /// The kill switch: off is off for everybody.
    pub is_enabled: bool,
    /// Where the flag is known; empty for everywhere.
    #[serde(default)]
    pub environments: Vec<String>,
    /// What stands before the target.
    #[serde(default)]
    pub overrides: Overrides,
    /// Whom it is meant for.
    pub target_type: Target,
    /// The share, in per cent; absent counts as 0.
    #[serde(default)]
    pub target_percentage: Option<u32>,
    /// The users, where they are the target.
    #[serde(default)]
    pub target_users: Option<Vec<Uuid>>,
    /// The organizations, where they are the target.
    #[serde(default)]
    pub target_organizations: Option<Vec<Uuid>>,
}

/// For whom a flag is evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context<'a> {
    /// Where the program runs: `production`.
    pub environment: &'a str,
    /// The user.
    pub user_id: Option<Uuid>,
    /// The user's organization.
    pub organization_id: Option<Uuid>,
}

/// What decided. The order is the precedence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "FlagReason"))]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The kill switch.
    Disabled,
    /// The flag is not known in this environment.
    Environment,
    /// The user's own value.
    UserOverride,
    /// The value of the user's organization.
    OrganizationOverride,
    /// It is for everybody.
    All,
    /// The user is listed.
    UserTarget,
    /// The organization is listed.
    OrganizationTarget,
    /// Users or organizations are listed, and this is none of them.
    NotTargeted,
    /// Within the share.
    Rollout,
    /// Outside the share, or nobody to tell.
    RolloutExcluded,
}

/// A flag's value for somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "schema",
    schemars(deny_unknown_fields, rename = "FlagEvaluation")
)]
pub struct Evaluation {
    /// On or off.
    pub value: bool,
    /// What decided.
    pub reason: Reason,
}

/// The value of `flag` for whoever the context names.
#[must_use]
pub fn evaluate(flag: &Flag, context: &Context<'_>) -> Evaluation {
    let on = |value: bool, reason: Reason| Evaluation { value, reason };
    let listed = |list: &Option<Vec<Uuid>>, id: Option<Uuid>| {
        id.is_some_and(|id| list.iter().flatten().any(|listed| *listed == id))
    };
    let set =
        |map: &BTreeMap<Uuid, bool>, id: Option<Uuid>| id.and_then(|id| map.get(&id).copied());
    if !flag.is_enabled {
        return on(false, Reason::Disabled);
    }
    let environments = &flag.environments;
    if !environments.is_empty() && environments.iter().all(|name| name != context.environment) {
        return on(false, Reason::Environment);
    }
    if let Some(value) = set(&flag.overrides.users, context.user_id) {
        return on(value, Reason::UserOverride);
    }
    if let Some(value) = set(&flag.overrides.organizations, context.organization_id) {
        return on(value, Reason::OrganizationOverride);
    }
    let targeted = |inside: bool, reason: Reason| match inside {
        true => on(true, reason),
        false => on(false, Reason::NotTargeted),
    };
    match flag.target_type {
        Target::All => on(true, Reason::All),
        Target::Users => targeted(
            listed(&flag.target_users, context.user_id),
            Reason::UserTarget,
        ),
        Target::Orgs => targeted(
            listed(&flag.target_organizations, context.organization_id),
            Reason::OrganizationTarget,
        ),
        Target::Percentage => {
            let share = flag.target_percentage.unwrap_or(0);
            // Without a user the organization stands for them, so that at least its people agree.
            let id = context.user_id.or(context.organization_id);
            match id.is_some_and(|id| in_rollout(&flag.flag_key, &id.to_string(), share)) {
                true => on(true, Reason::Rollout),
                false => on(false, Reason::RolloutExcluded),
            }
        }
    }
}

/// Whether `id` is among the `percentage` (0 to 100) of `group`. Whoever is in
/// stays in when the percentage grows.
#[must_use]
pub fn in_rollout(group: &str, id: &str, percentage: u32) -> bool {
    percentage > 0 && normalized(group, id) <= percentage
}

/// The place of `id` in `group`, 1 to 100: Unleash's `normalizedStrategyValue`.
#[must_use]
pub fn normalized(group: &str, id: &str) -> u32 {
    murmur3_x86_32(format!("{group}:{id}").as_bytes(), 0) % 100 + 1
}

/// Whether `text` can be the key of a flag or the name of an environment: words
/// of small letters and digits, joined by single dots, hyphens or underscores.
#[must_use]
pub fn is_key(text: &str) -> bool {
    let word = |word: &str| {
        !word.is_empty()
            && word
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    text.len() <= MAX_KEY_CHARS && text.split(['.', '_', '-']).all(word)
}

/// MurmurHash3, x86, 32 bits (Austin Appleby, public domain).
#[must_use]
pub fn murmur3_x86_32(data: &[u8], seed: u32) -> u32 {
    const C1: u32 = 0xcc9e_2d51;
    const C2: u32 = 0x1b87_3593;
    let scrambled = |block: u32| block.wrapping_mul(C1).rotate_left(15).wrapping_mul(C2);
    let little_endian = |bytes: &[u8]| {
        let places = bytes.iter().zip([0, 8, 16, 24]);
        places.fold(0, |block, (byte, shift)| block | u32::from(*byte) << shift)
    };
    let mut hash = seed;
    let blocks = data.chunks_exact(4);
    let tail = blocks.remainder();
    for block in blocks {
        hash ^= scrambled(little_endian(block));
        hash = hash
            .rotate_left(13)
            .wrapping_mul(5)
            .wrapping_add(0xe654_6b64);
    }
    hash ^= scrambled(little_endian(tail));
    // The length modulo 2^32, as in the original.
    hash ^= data.len() as u32;
    hash ^= hash >> 16;
    hash = hash.wrapping_mul(0x85eb_ca6b);
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(0xc2b2_ae35);
    hash ^ hash >> 16
}

#[cfg(test)]
mod tests;
