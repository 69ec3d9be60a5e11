//! What a query may use: a transaction that carries its tenant.
//!
//! There is no way to run a statement outside a [`Tx`], and no way to get a [`Tx`] without a [`Scope`].
//! The scope is set with `set_config(…, true)` in the same trip as BEGIN and the first statement, so
//! row-level security sees it and it ends with the transaction.

pub mod facts;
mod query;

pub use query::{Bind, Query, containing, patched, sql};

use crate::error::{Error, Result};
use crate::platform::clock;
use crate::platform::postgres::{Connection, Failure, Statement};
use facts::{Actor, Fact, Mail, Message};
use futures_util::future::LocalBoxFuture;
use serde::de::DeserializeOwned;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use uuid::Uuid;
use worker::Env;
use worker::send::SendWrapper;

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

/// The way to PostgreSQL for one request, batch or job. Connects on first use.
#[derive(Clone)]
pub struct Database(Arc<Inner>);

struct Inner {
    env: SendWrapper<Env>,
    background: SendWrapper<Background>,
    connection: Mutex<Option<Connection>>,
    statements: AtomicU32,
}

impl Database {
    /// A database that has not been connected to yet.
    pub fn new(env: &Env, background: Background) -> Self {
        Self(Arc::new(Inner {
            env: SendWrapper::new(env.clone()),
            background: SendWrapper::new(background),
            connection: Mutex::new(None),
            statements: AtomicU32::new(0),
        }))
    }

    /// How many statements were run so far, the transaction frame not counted.
    pub fn statements(&self) -> u32 {
        self.0.statements.load(Ordering::Relaxed)
    }

    /// A transaction in which nothing has been sent yet.
    pub fn begin(&self, scope: Scope, actor: Actor) -> Tx {
        Tx {
            database: self.clone(),
            scope,
            actor,
            connection: None,
            facts: Vec::new(),
            mails: Vec::new(),
            closing: Vec::new(),
            ended: false,
        }
    }

    async fn connection(&self) -> Result<Connection> {
        if let Some(open) = self
            .0
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
        {
            return Ok(open);
        }
        let hyperdrive = self
            .0
            .env
            .hyperdrive("HYPERDRIVE")
            .map_err(Error::internal)?;
        let opened = Connection::open(hyperdrive, self.0.background.0.clone()).await?;
        *self
            .0
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(opened.clone());
        Ok(opened)
    }

    /// Drops the connection, so that its driver can end.
    pub fn close(&self) {
        self.0
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }
}

/// A transaction. Dropped without [`Tx::commit`], it is rolled back by the server.
#[must_use]
pub struct Tx {
    database: Database,
    scope: Scope,
    actor: Actor,
    connection: Option<Connection>,
    facts: Vec<Fact>,
    mails: Vec<Mail>,
    closing: Vec<Query>,
    ended: bool,
}

/// An unfinished transaction must not be continued by the next one on the same connection: the
/// connection goes, and the server rolls back.
impl Drop for Tx {
    fn drop(&mut self) {
        if self.connection.is_some() && !self.ended {
            self.database.close();
        }
    }
}

impl Tx {
    /// Whose rows this transaction sees.
    pub fn scope(&self) -> Scope {
        self.scope
    }

    /// Every row of the statement, as a list.
    pub async fn rows<T: DeserializeOwned>(&mut self, query: Query) -> Result<Vec<T>> {
        self.value(query.into_rows()).await
    }

    /// The only row of the statement, if there is one.
    pub async fn row<T: DeserializeOwned>(&mut self, query: Query) -> Result<Option<T>> {
        self.value(query.into_row()).await
    }

    /// The JSON document that the statement itself makes in its single text column.
    pub async fn value<T: DeserializeOwned>(&mut self, query: Query) -> Result<T> {
        let mut answers = self.send(vec![query], false).await?;
        parse(answers.pop().flatten())
    }

    /// Like [`Tx::rows`], and ends the transaction in the same trip.
    pub async fn only_rows<T: DeserializeOwned>(self, query: Query) -> Result<Vec<T>> {
        self.only_value(query.into_rows()).await
    }

    /// Like [`Tx::row`], and ends the transaction in the same trip.
    pub async fn only_row<T: DeserializeOwned>(self, query: Query) -> Result<Option<T>> {
        self.only_value(query.into_row()).await
    }

    /// Like [`Tx::value`], and ends the transaction in the same trip.
    pub async fn only_value<T: DeserializeOwned>(mut self, query: Query) -> Result<T> {
        let mut answers = self.send(vec![query], true).await?;
        parse(answers.pop().flatten())
    }

    /// Writes down what happened: one audit row and, if the fact is published, one outbox row, both in
    /// this transaction, sent together with COMMIT.
    pub fn record(&mut self, fact: Fact) {
        self.facts.push(fact);
    }

    /// Sends an e-mail once this transaction is committed.
    pub fn post(&mut self, mail: Mail) {
        self.mails.push(mail);
    }

    /// A statement to run right before COMMIT, in the same trip.
    pub fn finally(&mut self, query: Query) {
        self.closing.push(query);
    }

    /// Writes the recorded facts and commits. Returns the messages to send now; if that never happens,
    /// the sweep sends them.
    ///
    /// # Errors
    /// When anything fails, nothing of the transaction remains.
    pub async fn commit(mut self) -> Result<Vec<Message>> {
        let facts = std::mem::take(&mut self.facts);
        let mut closing = std::mem::take(&mut self.closing);
        let now = clock::now();
        let messages: Vec<_> = facts
            .iter()
            .filter_map(|fact| fact.message(now))
            .chain(self.mails.iter().map(|mail| mail.message(now)))
            .collect();
        if !facts.is_empty() || !messages.is_empty() {
            closing.push(facts::insert(&self.actor, &facts, &messages));
        }
        self.send(closing, true).await?;
        Ok(messages)
    }

    async fn send(&mut self, queries: Vec<Query>, last: bool) -> Result<Vec<Option<String>>> {
        self.database
            .0
            .statements
            .fetch_add(queries.len() as u32, Ordering::Relaxed);
        let mut statements = Vec::with_capacity(queries.len() + 3);
        let connection = match &self.connection {
            Some(connection) => connection.clone(),
            None => {
                statements.push(Statement::bare("BEGIN"));
                statements.push(self.settings());
                let connection = self.database.connection().await?;
                self.connection = Some(connection.clone());
                connection
            }
        };
        let framed = statements.len();
        let constraints: Vec<_> = queries
            .iter()
            .flat_map(|query| query.constraints().to_vec())
            .collect();
        let count = queries.len();
        statements.extend(queries.into_iter().map(Query::into_statement));
        if last {
            statements.push(Statement::bare("COMMIT"));
        }
        // Whatever becomes of the statement, COMMIT ends the transaction.
        self.ended = last;
        match connection.pipeline(statements).await {
            Ok(answers) => Ok(answers.into_iter().skip(framed).take(count).collect()),
            Err(failure) => {
                if matches!(failure, Failure::Unavailable(_)) {
                    self.database.close();
                }
                Err(named(failure, &constraints))
            }
        }
    }

    fn settings(&self) -> Statement {
        let text = |id: Option<Uuid>| Some(id.map(|id| id.to_string()).unwrap_or_default());
        let access = match self.scope {
            Scope::Tenant { .. } => "tenant",
            Scope::System => "system",
        };
        Statement {
            sql: "SELECT set_config('celaest.access', $1, true), set_config('celaest.organization_id', $2, true), \
                  set_config('celaest.owner_id', $3, true), set_config('celaest.user_id', $4, true)"
                .into(),
            params: vec![
                Some(access.into()),
                text(self.scope.organization()),
                text(self.scope.owner()),
                text(self.actor.user_id),
            ],
        }
    }
}

/// The client error that the violated constraint stands for, or the general one.
fn named(failure: Failure, constraints: &[(&'static str, Error)]) -> Error {
    if let Failure::Refused {
        constraint: Some(name),
        ..
    } = &failure
        && let Some((_, error)) = constraints.iter().find(|(known, _)| known == name)
    {
        return error.clone();
    }
    failure.into()
}

fn parse<T: DeserializeOwned>(text: Option<String>) -> Result<T> {
    serde_json::from_str(text.as_deref().unwrap_or("null")).map_err(Error::internal)
}
