//! Wire shapes of signing in.

use crate::modules::users::model::{Profile, UserRole};
use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

/// How somebody proved who they are.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CredentialKind {
    /// An access token.
    Token,
    /// An API key.
    ApiKey,
}

/// Body of `POST /api/auth/verify`, `POST /api/auth/logout` and `POST /api/users/me/leave`: nothing.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NoFields")]
pub struct Nothing {}

/// What a credential is worth.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Verified {
    /// The person, also when an API key of theirs is used.
    pub user_id: Uuid,
    /// Their organization.
    pub organization_id: Option<Uuid>,
    /// Their role.
    pub role: UserRole,
    /// What the credential may do, `resource:verb`.
    pub permissions: Vec<&'static str>,
    /// What was sent.
    pub kind: CredentialKind,
    /// The sign-in that a token belongs to, as the provider names it.
    pub session_id: Option<Uuid>,
    /// The API key.
    pub api_key_id: Option<Uuid>,
    /// Until when the credential is good; `null` for a key without an end.
    pub expires_at: Option<String>,
}

/// The caller.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Me {
    /// Who they are.
    pub profile: Profile,
    /// The organization they belong to.
    pub organization: Option<Home>,
    /// What they may do, `resource:verb`.
    pub permissions: Vec<String>,
}

/// An organization as its people need it at every start of a front end.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields, rename = "MyOrganization")]
pub struct Home {
    /// Identifier.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// Its name in links.
    pub slug: String,
    /// Settings.
    pub settings: Value,
}

/// Body of `POST /api/auth/accept-invitation`.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "InvitationAcceptance")]
pub struct Acceptance {
    /// What the link of the invitation's e-mail has as `token`.
    #[garde(length(min = 1, max = 200))]
    pub token: String,
}

/// Body of `POST /api/auth/refresh`.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TokenRenewal")]
pub struct Renewal {
    /// What came with the last access token.
    #[garde(length(min = 1, max = 4096))]
    pub refresh_token: String,
}

/// New tokens.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Tokens {
    /// The access token.
    pub access_token: String,
    /// For the next time.
    pub refresh_token: String,
    /// `bearer`.
    pub token_type: String,
    /// Seconds until the access token expires.
    pub expires_in: i64,
    /// When it expires, in seconds since the Unix epoch, as the provider counts.
    pub expires_at: i64,
}
