//! Whose rows there are for a transaction.

use uuid::Uuid;

/// Whose rows a transaction may see and touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// One organization; with `owner`, only what that user owns in it.
    Tenant {
        /// The organization.
        organization: Uuid,
        /// Set for callers with the role `client`.
        owner: Option<Uuid>,
    },
    /// Every row: jobs, queue consumers, the look-ups that happen before a tenant is known, and super_admin.
    System,
    /// What everybody may read, and nothing else: no row of any tenant.
    Nobody,
}

impl Scope {
    /// The organization for a statement's own WHERE; `None` means all.
    pub fn organization(self) -> Option<Uuid> {
        match self {
            Scope::Tenant { organization, .. } => Some(organization),
            Scope::System | Scope::Nobody => None,
        }
    }

    /// The owner for a statement's own WHERE; `None` means all.
    pub fn owner(self) -> Option<Uuid> {
        match self {
            Scope::Tenant { owner, .. } => owner,
            Scope::System | Scope::Nobody => None,
        }
    }
}
