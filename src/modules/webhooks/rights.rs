//! What a webhook may carry: what whoever subscribed it could read then, and of that what its owner may
//! read now. Nobody reads through a webhook what they could not look up.

use super::queries::Locked;
use crate::db::{Tx, sql};
use crate::error::{Code, Error, Result};
use crate::http::permit::Access;
use celaest_domain::access::{Permission, Permissions, Role, effective};
use celaest_domain::webhook;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

/// The rights of a webhook, from `webhooks w` and its owner `u`. The owner is gone when the person is, or is
/// in another organization; a super administrator may be in any.
pub const RIGHTS: &str =
    "json_build_object('owner', u.id, 'role', u.role, 'scopes', u.scopes, 'carries', w.carries)";

/// What [`RIGHTS`] are of.
pub const OWNER: &str = "LEFT JOIN users_profile u ON u.id = w.user_id AND u.deleted_at IS NULL
    AND (u.organization_id = w.organization_id OR u.role = 'super_admin')";

/// What [`RIGHTS`] make.
#[derive(Deserialize)]
pub struct Rights {
    owner: Option<Uuid>,
    role: Option<String>,
    scopes: Option<Vec<String>>,
    carries: Vec<String>,
}

impl Rights {
    /// Whether there is nobody any more whose rights it has.
    pub fn is_orphaned(&self) -> bool {
        self.owner.is_none()
    }

    /// Whether it is told of such an event, about a thing of `subject`.
    pub fn carries(&self, event_type: &str, subject: Option<Uuid>) -> bool {
        let role = self.role.as_deref().and_then(Role::parse);
        let (Some(owner), Some(role)) = (self.owner, role) else {
            return false;
        };
        let scopes = self.scopes.as_deref().unwrap_or_default();
        let may = effective::<_, &str>(role, scopes, None);
        let may = may.common(Permissions::named(&self.carries));
        webhook::is_told(role, may, event_type, subject == Some(owner))
    }
}

/// The rights of a webhook that is held.
///
/// # Errors
/// When the database fails.
pub async fn of(tx: &mut Tx, webhook: &Locked) -> Result<Rights> {
    let query = sql(format!(
        "SELECT {RIGHTS}::text FROM webhooks w {OWNER} WHERE w.id = $1::uuid AND w.organization_id = $2::uuid"
    ));
    tx.value(query.bind(webhook.id).bind(webhook.organization_id))
        .await
}

/// What a webhook with these subscriptions may carry that the caller makes, or sends somewhere else.
///
/// # Errors
/// 403 naming what the caller would read that they may not.
pub fn subscribing(access: &Access, events: &[String]) -> Result<serde_json::Value> {
    let permissions = access.principal.permissions;
    let missing = webhook::needed_by(events).except(permissions);
    if missing != Permissions::default() {
        let missing: Vec<_> = missing.iter().map(Permission::as_str).collect();
        return Err(Error::new(Code::NotHeld).with_details(json!({ "missing": missing })));
    }
    Ok(json!(webhook::carriable(permissions)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_has_no_rights() {
        let rights = |role: Option<&str>, carries: &[&str]| Rights {
            owner: role.map(|_| Uuid::nil()),
            role: role.map(str::to_owned),
            scopes: None,
            carries: carries.iter().map(ToString::to_string).collect(),
        };
        assert!(rights(None, &["licenses:read"]).is_orphaned());
        assert!(!rights(None, &["licenses:read"]).carries("license.created", None));
        assert!(rights(Some("admin"), &["licenses:read"]).carries("license.created", None));
        assert!(!rights(Some("admin"), &["licenses:read"]).carries("user.updated", None));
        let client = rights(Some("client"), &["licenses:read"]);
        assert!(client.carries("license.created", Some(Uuid::nil())));
        assert!(
            !client.carries("license.created", Some(Uuid::max()))
                && !client.carries("license.created", None)
        );
    }
}
