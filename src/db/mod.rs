//! What a query may use: a transaction that carries its tenant.
//!
//! There is no way to run a statement outside a [`Tx`], and no way to get a [`Tx`] without a [`Scope`].
//! The scope is set with `set_config(…, true)` in the same trip as BEGIN and the first statement, so
//! row-level security sees it and it ends with the transaction.

pub mod facts;
mod opening;
pub mod outbox;
pub mod page;
mod query;
mod raw;
mod rows;
mod tx;

pub use page::{Listing, Page};
pub use query::{Bind, Query, containing, patched, sql};
pub use raw::Raw;
pub use rows::{Key, Rows, Search, Set};
pub use tx::Tx;

use crate::error::{Error, Result};
use crate::platform::postgres::{Connection, Failure};
use facts::Actor;
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use opening::{Attempt, Opening};
use std::cell::Cell;
use std::rc::Rc;
use uuid::Uuid;
use worker::Env;

/// Keeps the invocation alive for work that outlasts its answer; `waitUntil` of whichever door is open.
pub type Background = Rc<dyn Fn(LocalBoxFuture<'static, ()>)>;

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
}

impl Scope {
    /// The organization for a statement's own WHERE; `None` means all.
    pub fn organization(self) -> Option<Uuid> {
        match self {
            Scope::Tenant { organization, .. } => Some(organization),
            Scope::System => None,
        }
    }

    /// The owner for a statement's own WHERE; `None` means all.
    pub fn owner(self) -> Option<Uuid> {
        match self {
            Scope::Tenant { owner, .. } => owner,
            Scope::System => None,
        }
    }
}

/// The way to PostgreSQL for one request, batch or job. Connects on first use, or a little before it.
#[derive(Clone)]
pub struct Database(Rc<Inner>);

struct Inner {
    env: Env,
    background: Background,
    opening: Opening<Connection>,
    statements: Cell<u32>,
}

impl Database {
    /// A database that has not been connected to yet.
    pub fn new(env: &Env, background: Background) -> Self {
        Self(Rc::new(Inner {
            env: env.clone(),
            background,
            opening: Opening::default(),
            statements: Cell::default(),
        }))
    }

    /// How many statements were run so far, the transaction frame not counted.
    pub fn statements(&self) -> u32 {
        self.0.statements.get()
    }

    fn count(&self, statements: usize) {
        let before = self.0.statements.get();
        self.0.statements.set(before + statements as u32);
    }

    /// A transaction in which nothing has been sent yet.
    pub fn begin(&self, scope: Scope, actor: Actor) -> Tx {
        Tx::new(self.clone(), scope, actor)
    }

    /// Begins to connect, for whoever has something else to wait for before the first statement. If no
    /// statement comes the connection is closed with the last handle; a failure is told to the first
    /// statement.
    pub fn expect_use(&self) {
        if !self.0.opening.begun()
            && let Ok(attempt) = self.attempt()
        {
            (self.0.background)(attempt.map(drop).boxed_local());
        }
    }

    async fn connection(&self) -> Result<Connection> {
        Ok(self.0.opening.outcome(self.attempt()?).await?)
    }

    fn attempt(&self) -> Result<Attempt<Connection>> {
        let hyperdrive = self.0.env.hyperdrive("HYPERDRIVE");
        let hyperdrive = hyperdrive.map_err(Error::internal)?;
        let background = self.0.background.clone();
        Ok(self
            .0
            .opening
            .attempt(|| Connection::open(hyperdrive, background).boxed_local()))
    }

    /// Drops the connection, so that its driver can end.
    pub fn close(&self) {
        self.0.opening.clear();
    }
}

/// What a refusal of the database means to the caller.
impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Unavailable(cause) => Self::unavailable(cause),
            Failure::Refused {
                sqlstate,
                constraint,
                message,
            } => match sqlstate.as_str() {
                // Serialization failure and deadlock: the same request can succeed at once.
                "40001" | "40P01" | "55P03" => Self {
                    retry_after: Some(1),
                    ..Self::unavailable(message)
                },
                _ => Self::internal(format!(
                    "{sqlstate} {} {message}",
                    constraint.unwrap_or_default()
                )),
            },
        }
    }
}
