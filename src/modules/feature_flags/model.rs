//! A feature flag, how it is made and changed, and what an evaluation answers.

use crate::db::Bind;
use crate::http::checks;
use crate::http::types::{Patch, not_null};
pub use celaest_domain::flags::{Evaluation, Target as TargetType};
use celaest_domain::flags::{MAX_KEY_CHARS, is_key};
use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Entries that one list of a flag may have.
const MAX_ENTRIES: usize = 1_000;
/// Environments that a flag may name.
const MAX_ENVIRONMENTS: usize = 20;
/// The most JSON that can be kept with a flag, in bytes.
const MAX_METADATA_BYTES: usize = 16 * 1024;
/// Keys that would be hidden behind a route.
const RESERVED: [&str; 1] = ["evaluate"];

/// A feature flag as the API shows it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct FeatureFlag {
    /// Identifier.
    pub id: Uuid,
    /// Its name for programs; decides, with a user's id, who is in a rollout.
    pub flag_key: String,
    /// Its name for people.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// The kill switch: off is off for everybody.
    pub is_enabled: bool,
    /// Whom it is meant for.
    pub target_type: TargetType,
    /// The share of users, in per cent.
    pub target_percentage: Option<i32>,
    /// The users, where they are the target.
    pub target_users: Vec<Uuid>,
    /// The organizations, where they are the target.
    pub target_organizations: Vec<Uuid>,
    /// Where it is known; empty for everywhere.
    pub environments: Vec<String>,
    /// Values for single users and organizations, before the target.
    pub overrides: Overrides,
    /// Anything worth keeping with it.
    pub metadata: Map<String, Value>,
    /// When it was created.
    pub created_at: String,
    /// When it last changed.
    pub updated_at: String,
    /// Who changed it last.
    pub updated_by: Option<Uuid>,
}

/// Values for single users and organizations. A user's stands before an organization's.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "FlagOverrides")]
pub struct Overrides {
    /// On or off, by user.
    #[garde(length(max = MAX_ENTRIES), custom(each_once))]
    #[schemars(with = "BTreeMap<Uuid, bool>")]
    pub users: BTreeMap<Spelt, bool>,
    /// On or off, by organization.
    #[garde(length(max = MAX_ENTRIES), custom(each_once))]
    #[schemars(with = "BTreeMap<Uuid, bool>")]
    pub organizations: BTreeMap<Spelt, bool>,
}

/// An id with the spelling that it came in: two spellings of one id are two names in JSON. It leaves in the usual one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spelt {
    id: Uuid,
    text: String,
}

impl<'de> Deserialize<'de> for Spelt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let id = Uuid::try_parse(&text).map_err(serde::de::Error::custom)?;
        Ok(Self { id, text })
    }
}

impl Serialize for Spelt {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.id.serialize(serializer)
    }
}

/// Body of `POST /api/feature-flags`.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct NewFeatureFlag {
    /// Words of small letters and digits, joined by dots, hyphens or underscores. Stays for good.
    #[garde(custom(key))]
    pub flag_key: String,
    /// Its name for people.
    #[garde(length(chars, min = 1, max = 200), custom(checks::line::<200>))]
    pub name: String,
    /// What it is for.
    #[serde(default)]
    #[garde(length(chars, max = 2000))]
    pub description: Option<String>,
    /// Whether it is on at once. Default false.
    #[serde(default)]
    pub is_enabled: bool,
    /// Whom it is meant for. Default `all`.
    #[serde(default)]
    pub target_type: TargetType,
    /// Required for the target type `percentage`.
    #[serde(default)]
    #[garde(range(max = 100))]
    pub target_percentage: Option<u32>,
    /// For the target type `users`.
    #[serde(default)]
    #[garde(length(max = MAX_ENTRIES))]
    pub target_users: Vec<Uuid>,
    /// For the target type `orgs`.
    #[serde(default)]
    #[garde(length(max = MAX_ENTRIES))]
    pub target_organizations: Vec<Uuid>,
    /// Where it is known: values of APP_ENV. Default everywhere.
    #[serde(default)]
    #[garde(custom(known_places))]
    pub environments: Vec<String>,
    /// Values for single users and organizations.
    #[serde(default)]
    #[garde(dive)]
    pub overrides: Overrides,
    /// Anything, up to 16 KB.
    #[serde(default)]
    #[garde(custom(small))]
    pub metadata: Map<String, Value>,
}

/// Body of `PATCH /api/feature-flags/{key}`. Left out: stays; null: cleared.
#[derive(Debug, Default, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
#[garde(allow_unvalidated)]
pub struct FeatureFlagChanges {
    /// Another name; cannot be cleared.
    #[garde(custom(not_null), custom(checks::line::<200>))]
    #[schemars(with = "String")]
    pub name: Patch<String>,
    /// Another description.
    #[garde(custom(description_if_set))]
    pub description: Patch<String>,
    /// On or off; cannot be cleared.
    #[garde(custom(not_null))]
    #[schemars(with = "bool")]
    pub is_enabled: Patch<bool>,
    /// Another target; cannot be cleared.
    #[garde(custom(not_null))]
    #[schemars(with = "TargetType")]
    pub target_type: Patch<TargetType>,
    /// Another share.
    #[garde(custom(percentage_if_set))]
    pub target_percentage: Patch<u32>,
    /// Other users.
    #[garde(custom(ids_if_set))]
    pub target_users: Patch<Vec<Uuid>>,
    /// Other organizations.
    #[garde(custom(ids_if_set))]
    pub target_organizations: Patch<Vec<Uuid>>,
    /// Other environments; null for everywhere.
    #[garde(custom(environments_if_set))]
    pub environments: Patch<Vec<String>>,
    /// Other values for single users and organizations, in place of all there were.
    #[garde(dive)]
    pub overrides: Patch<Overrides>,
    /// Anything, up to 16 KB.
    #[garde(custom(small_if_set))]
    pub metadata: Patch<Map<String, Value>>,
}

/// Body of `POST /api/feature-flags/{key}/toggle`.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(rename = "FeatureFlagToggle")]
pub struct Toggle {
    /// On or off. Left out: the other of the two.
    #[serde(default)]
    pub enabled: Option<bool>,
}

impl Bind for TargetType {
    fn text(&self) -> Option<String> {
        Some(self.as_str().into())
    }
}

fn key(text: &str, (): &()) -> garde::Result {
    if !is_key(text) {
        return Err(garde::Error::new(format!(
            "must be words of small letters and digits, joined by . _ or -, at most {} characters",
            MAX_KEY_CHARS
        )));
    }
    if RESERVED.contains(&text) {
        return Err(garde::Error::new("is reserved"));
    }
    Ok(())
}

fn each_once(map: &BTreeMap<Spelt, bool>, (): &()) -> garde::Result {
    let mut pairs = map.keys().zip(map.keys().skip(1));
    match pairs.find(|(one, next)| one.id == next.id) {
        Some((one, _)) => Err(garde::Error::new(format!("has {} twice", one.id))),
        None => Ok(()),
    }
}

fn known_places(list: &[String], (): &()) -> garde::Result {
    if list.len() <= MAX_ENVIRONMENTS && list.iter().all(|name| is_key(name)) {
        Ok(())
    } else {
        Err(garde::Error::new(format!(
            "must be at most {MAX_ENVIRONMENTS} names of small letters, digits and . _ -"
        )))
    }
}

fn small(map: &Map<String, Value>, (): &()) -> garde::Result {
    let size = celaest_domain::json::fields_len(map);
    if size <= MAX_METADATA_BYTES {
        Ok(())
    } else {
        Err(garde::Error::new("is larger than 16 KB as it is stored"))
    }
}

fn unless(wrong: bool, problem: &str) -> garde::Result {
    if wrong {
        Err(garde::Error::new(problem))
    } else {
        Ok(())
    }
}

fn description_if_set(patch: &Patch<String>, (): &()) -> garde::Result {
    let fits = patch
        .value()
        .is_none_or(|text| text.chars().count() <= 2000);
    unless(!fits, "is longer than 2000 characters")
}

fn percentage_if_set(patch: &Patch<u32>, (): &()) -> garde::Result {
    let fits = patch.value().is_none_or(|share| *share <= 100);
    unless(!fits, "must be 0 to 100")
}

fn ids_if_set(patch: &Patch<Vec<Uuid>>, (): &()) -> garde::Result {
    let fits = patch.value().is_none_or(|ids| ids.len() <= MAX_ENTRIES);
    unless(!fits, "has more than 1000 entries")
}

fn environments_if_set(patch: &Patch<Vec<String>>, context: &()) -> garde::Result {
    patch
        .value()
        .map_or(Ok(()), |list| known_places(list, context))
}

fn small_if_set(patch: &Patch<Map<String, Value>>, context: &()) -> garde::Result {
    patch.value().map_or(Ok(()), |map| small(map, context))
}
