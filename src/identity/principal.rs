//! A caller that has proved who it is.

use super::token::Token;
use crate::call::Call;
use crate::db::Scope;
use crate::db::facts::Actor;
use crate::error::{Code, Result};
use celaest_domain::access::{Permissions, Role};
use celaest_domain::membership::Caller;
use serde::Deserialize;
use serde_json::value::RawValue;
use uuid::Uuid;

/// A license and the key that its object is found by.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct License {
    /// Which one.
    pub id: Uuid,
    /// Its key.
    pub key: String,
}

/// A caller that has proved who it is.
#[derive(Debug, Clone)]
pub struct Principal {
    /// The user, also when an API key of theirs is used.
    pub user_id: Uuid,
    /// The API key, when one is used.
    pub api_key_id: Option<Uuid>,
    /// What that key may spend on AI calls in a period of a license, in millionths of a dollar.
    pub ai_budget_micro: Option<i64>,
    /// The key whose spending it goes on with; itself, unless it is in another's place.
    pub ai_account: Option<Uuid>,
    /// The license that their AI calls use unless they name one.
    pub license: Option<License>,
    /// The user's organization.
    pub organization_id: Option<Uuid>,
    /// The user's role.
    pub role: Role,
    /// What the caller may do.
    pub permissions: Permissions,
    /// What the token says, when one was used.
    pub token: Option<Token>,
    /// What the person's own profile shows, where the endpoint wants it.
    pub profile: Option<Box<RawValue>>,
}

impl Principal {
    /// Whose rows the caller's transactions see.
    ///
    /// # Errors
    /// 403 for a user without an organization.
    pub fn scope(&self) -> Result<Scope> {
        match (self.role, self.organization_id) {
            (Role::SuperAdmin, _) => Ok(Scope::System),
            (role, Some(organization)) => Ok(Scope::Tenant {
                organization,
                owner: (role == Role::Client).then_some(self.user_id),
            }),
            (_, None) => Err(Code::Forbidden.into()),
        }
    }

    /// What the caller may give to others, and whom they may touch.
    pub fn powers(&self) -> Caller {
        Caller {
            role: self.role,
            permissions: self.permissions,
        }
    }

    /// The caller as the audit log names it.
    pub fn actor(&self, call: &Call) -> Actor {
        Actor {
            kind: if self.api_key_id.is_some() {
                "api_key"
            } else {
                "user"
            },
            user_id: Some(self.user_id),
            api_key_id: self.api_key_id,
            request_id: call.request_id.clone(),
            ip: Some(call.ip.clone()),
            user_agent: call.user_agent.clone(),
        }
    }
}
