//! Permission as a handler argument. A handler that takes a `Permit<LicensesWrite>` cannot run for a
//! caller without `licenses:write`, and without a permit there is no tenant and no transaction.

use crate::db::facts::Message;
use crate::db::{Scope, Tx};
use crate::error::{Code, Error, Result};
use crate::http::call::Call;
use crate::http::params::Id;
use crate::http::principal::{self, Principal};
use crate::platform::queues;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use celaest_domain::access::Permission;
use serde_json::json;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;
use uuid::Uuid;

/// A permission as a type.
pub trait Required: Send + Sync + 'static {
    /// The permission.
    const PERMISSION: Permission;
}

macro_rules! permissions {
    ($($name:ident),* $(,)?) => {
        $(
            #[doc = concat!("Requires [`Permission::", stringify!($name), "`].")]
            #[derive(Debug)]
            pub struct $name;

            impl Required for $name {
                const PERMISSION: Permission = Permission::$name;
            }
        )*
    };
}

permissions!(
    LicensesRead,
    LicensesWrite,
    LicensesDelete,
    LicensesRevoke,
    AccountRead,
    AccountWrite,
    UsersRead,
    UsersWrite,
    ApiKeysRead,
    ApiKeysWrite,
    OrganizationsRead,
    OrganizationsWrite,
    OrganizationsCreate,
    OrganizationsDelete,
    SettingsRead,
    SettingsWrite,
    FeatureFlagsRead,
    FeatureFlagsWrite,
    FlagsEvaluate,
    WebhooksRead,
    WebhooksWrite,
    AuditRead,
    AuditExport,
    TelemetryRead,
    TelemetryWrite,
);

/// A caller that may go on, and its way to the data. Only the extractors below make one.
pub struct Access {
    /// The request.
    pub call: Arc<Call>,
    /// Who is calling.
    pub principal: Principal,
    scope: Scope,
}

impl Access {
    /// A transaction that sees the caller's rows and nothing else.
    pub fn begin(&self) -> Tx {
        self.call
            .database
            .begin(self.scope, self.principal.actor(&self.call))
    }

    /// Whose rows the caller sees.
    pub fn scope(&self) -> Scope {
        self.scope
    }

    /// Under whose name idempotency keys are kept: the API key, or the user.
    pub fn caller(&self) -> Uuid {
        self.principal.api_key_id.unwrap_or(self.principal.user_id)
    }

    /// The organization something new is for: the caller's own, or the one a super administrator names.
    ///
    /// # Errors
    /// 422 for the field `organization_id`.
    pub fn organization(&self, named: Option<Uuid>) -> Result<Uuid> {
        match (self.scope, named) {
            (Scope::Tenant { organization, .. }, None) => Ok(organization),
            (Scope::Tenant { organization, .. }, Some(named)) if named == organization => {
                Ok(organization)
            }
            (Scope::Tenant { .. }, Some(_)) => {
                Err(Error::field("organization_id", "does not exist"))
            }
            (Scope::System, Some(named)) => Ok(named),
            (Scope::System, None) => self
                .principal
                .organization_id
                .ok_or_else(|| Error::field("organization_id", "is required for super_admin")),
        }
    }

    /// Commits and sends the outbox messages on their way after the answer.
    ///
    /// # Errors
    /// When the commit fails; nothing remains then.
    pub async fn commit(&self, tx: Tx) -> Result<()> {
        let messages = tx.commit().await?;
        self.publish(messages);
        Ok(())
    }

    fn publish(&self, messages: Vec<Message>) {
        if messages.is_empty() {
            return;
        }
        let call = self.call.clone();
        self.call.background(async move {
            // A failure here is not lost: the sweep finds the rows unsent.
            if let Err(error) = queues::publish(call.env(), &call.database, &messages).await {
                crate::log::warn(
                    &call.request_id,
                    "outbox messages left for the sweep",
                    &error,
                );
            }
        });
    }

    /// Lets somebody in who proved who they are and of whom `may` holds.
    async fn grant(
        parts: &Parts,
        may: impl FnOnce(&Principal) -> std::result::Result<(), Permission>,
    ) -> Result<Self> {
        let call = parts
            .extensions
            .get::<Arc<Call>>()
            .cloned()
            .ok_or_else(|| Error::internal("no call"))?;
        let principal = principal::authenticate(&call, &parts.headers).await?;
        may(&principal).map_err(|required| {
            Error::new(Code::Forbidden).with_details(json!({ "required": required.as_str() }))
        })?;
        let scope = principal.scope()?;
        Ok(Self {
            call,
            principal,
            scope,
        })
    }
}

/// Proof that the caller may do what `P` names.
pub struct Permit<P>(Access, PhantomData<fn() -> P>);

impl<P> Deref for Permit<P> {
    type Target = Access;

    fn deref(&self) -> &Access {
        &self.0
    }
}

impl<S: Send + Sync, P: Required> FromRequestParts<S> for Permit<P> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let required = P::PERMISSION;
        let access = Access::grant(parts, |principal| {
            let may = principal.permissions.has(required);
            may.then_some(()).ok_or(required)
        });
        Ok(Self(access.await?, PhantomData))
    }
}

/// Proof that the caller proved who it is, for what everybody may ask about themselves.
pub struct SignedIn(Access);

impl Deref for SignedIn {
    type Target = Access;

    fn deref(&self) -> &Access {
        &self.0
    }
}

impl<S: Send + Sync> FromRequestParts<S> for SignedIn {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        Access::grant(parts, |_| Ok(())).await.map(Self)
    }
}

/// Proof that the caller may do something to the person `{id}` of the path: to oneself with `Own`, to
/// anybody in reach with `All`.
pub struct Over<Own, All> {
    /// The person of the path.
    pub person: Uuid,
    access: Access,
    required: PhantomData<fn() -> (Own, All)>,
}

impl<Own, All> Over<Own, All> {
    /// Whether the caller is the person.
    pub fn is_self(&self) -> bool {
        self.person == self.principal.user_id
    }
}

impl<Own, All> Deref for Over<Own, All> {
    type Target = Access;

    fn deref(&self) -> &Access {
        &self.access
    }
}

impl<S: Send + Sync, Own: Required, All: Required> FromRequestParts<S> for Over<Own, All> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        // A malformed id is nobody's, so it needs the larger permission; told after the caller is known.
        let person = Id::from_request_parts(parts, state).await.map(|Id(id)| id);
        let access = Access::grant(parts, |principal| {
            let permissions = principal.permissions;
            let own = person.as_ref().is_ok_and(|id| *id == principal.user_id)
                && permissions.has(Own::PERMISSION);
            let may = own || permissions.has(All::PERMISSION);
            may.then_some(()).ok_or(All::PERMISSION)
        });
        Ok(Self {
            access: access.await?,
            person: person?,
            required: PhantomData,
        })
    }
}
