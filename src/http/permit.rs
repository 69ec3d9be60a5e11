//! Permission as a handler argument. A handler that takes a `Permit<LicensesWrite>` cannot run for a
//! caller without `licenses:write`, and without a permit there is no tenant and no transaction.

use crate::db::facts::Message;
use crate::db::{Scope, Tx};
use crate::error::{Code, Error, Result};
use crate::http::call::Call;
use crate::http::principal::{self, Principal};
use crate::platform::queues;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use celaest_domain::access::Permission;
use serde_json::json;
use std::marker::PhantomData;
use std::sync::Arc;

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

permissions!(LicensesRead, LicensesWrite, LicensesDelete, LicensesRevoke);

/// Proof that the caller may do what `P` names, and the caller's way to the data.
pub struct Permit<P> {
    /// The request.
    pub call: Arc<Call>,
    /// Who is calling.
    pub principal: Principal,
    scope: Scope,
    required: PhantomData<fn() -> P>,
}

impl<P: Required> Permit<P> {
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
    pub fn caller(&self) -> uuid::Uuid {
        self.principal.api_key_id.unwrap_or(self.principal.user_id)
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
}

impl<S: Send + Sync, P: Required> FromRequestParts<S> for Permit<P> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let call = parts
            .extensions
            .get::<Arc<Call>>()
            .cloned()
            .ok_or_else(|| Error::internal("no call"))?;
        let principal = principal::authenticate(&call, &parts.headers).await?;
        if !principal.permissions.has(P::PERMISSION) {
            return Err(Error::new(Code::Forbidden)
                .with_details(json!({ "required": P::PERMISSION.as_str() })));
        }
        let scope = principal.scope()?;
        Ok(Self {
            call,
            principal,
            scope,
            required: PhantomData,
        })
    }
}
