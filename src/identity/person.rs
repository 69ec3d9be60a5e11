//! A person, as the rest of the house sees them.

use crate::db::facts::Subject;
use serde_json::{Map, Value, json};

/// The columns of a person, from alias `u` of `users_profile`.
pub const COLUMNS: &str = "u.id, u.organization_id, u.email, u.first_name, u.last_name, u.display_name, u.avatar_url,
    u.role, u.scopes,
    CASE WHEN u.invited_at IS NOT NULL AND u.activated_at IS NULL THEN 'invited' ELSE 'active' END AS status,
    u.timezone, u.locale, u.last_login_at, u.login_count, u.invited_by, u.invited_at, u.invitation_expires_at,
    u.activated_at,
    u.created_at, u.updated_at";

/// Whether the person of alias `u` came, rather than being only invited.
pub const CAME: &str = "(u.invited_at IS NULL OR u.activated_at IS NOT NULL)";

/// The columns that only the person themselves sees, beyond [`COLUMNS`].
pub const MORE_COLUMNS: &str = "u.phone, u.preferences, u.onboarding_completed, u.onboarding_step";

/// What the log and the outside learn of a person.
pub const USER: Subject = Subject {
    kind: "user",
    tenant: "organization_id",
    secret: &[],
    told: Some(told),
};

fn told(user: &Value) -> Value {
    const SHOWN: [&str; 9] = [
        "id",
        "organization_id",
        "email",
        "first_name",
        "last_name",
        "display_name",
        "role",
        "scopes",
        "status",
    ];
    let fields: Map<_, _> = SHOWN
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), user.get(*name)?.clone())))
        .collect();
    json!({ "user": fields })
}
