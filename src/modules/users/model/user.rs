//! A person, how they are invited and how they are changed.

use crate::http::checks;
use crate::http::types::{Patch, not_null};
use celaest_domain::access::Role;
use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

/// What somebody is in their organization.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema, Validate,
)]
#[serde(rename_all = "snake_case")]
#[garde(allow_unvalidated)]
pub enum UserRole {
    /// Every tenant.
    SuperAdmin,
    /// Everything of the own organization.
    Admin,
    /// People and reports.
    Manager,
    /// Products, releases, licenses and AI.
    Developer,
    /// Uses the software; no administration.
    Operator,
    /// Only what they own.
    Client,
    /// Reads dashboards.
    #[default]
    Viewer,
}

impl From<UserRole> for Role {
    fn from(role: UserRole) -> Self {
        match role {
            UserRole::SuperAdmin => Self::SuperAdmin,
            UserRole::Admin => Self::Admin,
            UserRole::Manager => Self::Manager,
            UserRole::Developer => Self::Developer,
            UserRole::Operator => Self::Operator,
            UserRole::Client => Self::Client,
            UserRole::Viewer => Self::Viewer,
        }
    }
}

impl UserRole {
    /// The value of the `user_role` enum.
    pub fn as_str(self) -> &'static str {
        Role::from(self).as_str()
    }
}

/// Whether somebody came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UserStatus {
    /// Not yet: the invitation waits to be accepted.
    Invited,
    /// Yes.
    Active,
}

impl UserStatus {
    /// As the statements spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invited => "invited",
            Self::Active => "active",
        }
    }
}

/// A person as the API shows them.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct User {
    /// Identifier.
    pub id: Uuid,
    /// The organization they belong to.
    pub organization_id: Option<Uuid>,
    /// E-mail address.
    pub email: String,
    /// First name.
    pub first_name: Option<String>,
    /// Last name.
    pub last_name: Option<String>,
    /// How they want to be called.
    pub display_name: Option<String>,
    /// Their picture.
    pub avatar_url: Option<String>,
    /// Their role.
    pub role: UserRole,
    /// What they may do beyond their role.
    pub scopes: Vec<String>,
    /// Whether they came.
    pub status: UserStatus,
    /// A time zone of the IANA database.
    pub timezone: String,
    /// Their language.
    pub locale: String,
    /// When they last signed in.
    pub last_login_at: Option<String>,
    /// How often they signed in.
    pub login_count: i64,
    /// Who invited them.
    pub invited_by: Option<Uuid>,
    /// When they were invited.
    pub invited_at: Option<String>,
    /// Until when the invitation can be accepted.
    pub invitation_expires_at: Option<String>,
    /// When they came.
    pub activated_at: Option<String>,
    /// When the profile was made.
    pub created_at: String,
    /// When it last changed.
    pub updated_at: String,
}

/// A person with what concerns only themselves.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Profile {
    /// Identifier.
    pub id: Uuid,
    /// The organization they belong to.
    pub organization_id: Option<Uuid>,
    /// E-mail address.
    pub email: String,
    /// First name.
    pub first_name: Option<String>,
    /// Last name.
    pub last_name: Option<String>,
    /// How they want to be called.
    pub display_name: Option<String>,
    /// Their picture.
    pub avatar_url: Option<String>,
    /// Their role.
    pub role: UserRole,
    /// What they may do beyond their role.
    pub scopes: Vec<String>,
    /// Whether they came.
    pub status: UserStatus,
    /// A time zone of the IANA database.
    pub timezone: String,
    /// Their language.
    pub locale: String,
    /// When they last signed in.
    pub last_login_at: Option<String>,
    /// How often they signed in.
    pub login_count: i64,
    /// Who invited them.
    pub invited_by: Option<Uuid>,
    /// When they were invited.
    pub invited_at: Option<String>,
    /// Until when the invitation can be accepted.
    pub invitation_expires_at: Option<String>,
    /// When they came.
    pub activated_at: Option<String>,
    /// When the profile was made.
    pub created_at: String,
    /// When it last changed.
    pub updated_at: String,
    /// Telephone number.
    pub phone: Option<String>,
    /// What the user interface keeps for them.
    pub preferences: Map<String, Value>,
    /// Whether they finished the introduction.
    pub onboarding_completed: bool,
    /// How far they are in it.
    pub onboarding_step: i64,
}

/// Body of `POST /api/users` and `POST /api/organizations/{id}/members`.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct Invitation {
    /// Where the invitation goes. Whoever accepts it has to be confirmed as its owner by the sign-in
    /// provider. Stored in small letters, composed, with the domain as in DNS.
    #[garde(custom(checks::email))]
    pub email: String,
    /// Only for super_admin: the organization. Everybody else invites into their own.
    #[serde(default)]
    pub organization_id: Option<Uuid>,
    /// First name.
    #[serde(default)]
    #[garde(custom(checks::line::<100>))]
    pub first_name: Option<String>,
    /// Last name.
    #[serde(default)]
    #[garde(custom(checks::line::<100>))]
    pub last_name: Option<String>,
    /// Their role. Nobody gives a role that may do more than they may themselves.
    #[serde(default)]
    pub role: UserRole,
    /// What they may do beyond their role. Nobody gives a scope that they do not hold.
    #[serde(default)]
    #[garde(custom(checks::scopes))]
    pub scopes: Vec<String>,
    /// Their language. Default: the organization's.
    #[serde(default)]
    #[garde(custom(checks::locale))]
    pub locale: Option<String>,
    /// A time zone of the IANA database. Default: the organization's.
    #[serde(default)]
    #[garde(custom(checks::line::<50>))]
    pub timezone: Option<String>,
}

/// Body of `PATCH /api/users/{id}`. Left out: stays; null: cleared.
#[derive(Debug, Default, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
#[garde(allow_unvalidated)]
pub struct UserChanges {
    /// Another role.
    #[garde(custom(not_null))]
    #[schemars(with = "UserRole")]
    pub role: Patch<UserRole>,
    /// Other scopes.
    #[garde(custom(checks::scopes))]
    pub scopes: Patch<Vec<String>>,
    /// First name.
    #[garde(custom(checks::line::<100>))]
    pub first_name: Patch<String>,
    /// Last name.
    #[garde(custom(checks::line::<100>))]
    pub last_name: Patch<String>,
    /// How they want to be called.
    #[garde(custom(checks::line::<200>))]
    pub display_name: Patch<String>,
}

/// Body of `PATCH /api/organizations/{id}/members/{inner_id}`.
#[derive(Debug, Default, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
#[garde(allow_unvalidated)]
pub struct MemberChanges {
    /// Another role.
    #[garde(custom(not_null))]
    #[schemars(with = "UserRole")]
    pub role: Patch<UserRole>,
    /// Other scopes.
    #[garde(custom(checks::scopes))]
    pub scopes: Patch<Vec<String>>,
}

/// Body of `PATCH /api/users/{id}/profile`. Left out: stays; null: cleared.
#[derive(Debug, Default, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
#[garde(allow_unvalidated)]
pub struct ProfileChanges {
    /// First name.
    #[garde(custom(checks::line::<100>))]
    pub first_name: Patch<String>,
    /// Last name.
    #[garde(custom(checks::line::<100>))]
    pub last_name: Patch<String>,
    /// How they want to be called.
    #[garde(custom(checks::line::<200>))]
    pub display_name: Patch<String>,
    /// Their picture, an `https` address.
    #[garde(custom(checks::https_url))]
    pub avatar_url: Patch<String>,
    /// Telephone number.
    #[garde(custom(checks::phone))]
    pub phone: Patch<String>,
    /// A time zone of the IANA database.
    #[garde(custom(not_null), custom(checks::line::<50>))]
    #[schemars(with = "String")]
    pub timezone: Patch<String>,
    /// Their language.
    #[garde(custom(not_null), custom(checks::locale))]
    #[schemars(with = "String")]
    pub locale: Patch<String>,
    /// What the user interface keeps for them, up to 16 KB.
    #[garde(custom(checks::small_object))]
    pub preferences: Patch<Map<String, Value>>,
    /// Whether they finished the introduction.
    #[garde(custom(not_null))]
    #[schemars(with = "bool")]
    pub onboarding_completed: Patch<bool>,
    /// How far they are in it.
    #[garde(custom(not_null), custom(step))]
    #[schemars(with = "u32")]
    pub onboarding_step: Patch<u32>,
}

fn step(step: &Patch<u32>, _: &()) -> garde::Result {
    if step.value().is_none_or(|step| *step <= 1000) {
        Ok(())
    } else {
        Err(garde::Error::new("must be 0 to 1000"))
    }
}
