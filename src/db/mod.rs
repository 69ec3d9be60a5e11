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
mod reading;
mod refusal;
mod rows;
mod scope;

pub use page::{Listing, Page};
pub use query::{Bind, Query, containing, patched, sql};
pub use raw::Raw;
pub use reading::Reading;
pub use rows::{Key, Rows, Search, Set};
pub use scope::Scope;

use reading::Text;
use refusal::named;

use crate::error::{Code, Error, Result};
use crate::platform::clock;
use crate::platform::postgres::{Connection, Failure, Statement};
use facts::{Action, Actor, Fact, Mail, Message, Subject};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use opening::{Attempt, Opening};
use page::Found;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::cell::Cell;
use std::rc::Rc;
use uuid::Uuid;
use worker::Env;

/// Keeps the invocation alive for work that outlasts its answer; `waitUntil` of whichever door is open.
pub type Background = Rc<dyn Fn(LocalBoxFuture<'static, ()>)>;

/// After so many milliseconds the server gives up on a statement: a little before the worker would, so that
/// nothing runs on that nobody waits for.
const PATIENCE_MS: u32 = 14_000;

/// The way to PostgreSQL for one request, batch or job. Connects on first use, or a little before it.
#[derive(Clone)]
pub struct Database(Rc<Inner>);

struct Inner {
    env: Env,
    background: Background,
    opening: Opening<Connection>,
    statements: Rc<Cell<u32>>,
}

impl Database {
    /// A database that has not been connected to yet.
    pub fn new(env: &Env, background: Background) -> Self {
        Self(Rc::new(Inner {
            env: env.clone(),
            background,
            opening: Opening::default(),
            statements: Rc::default(),
        }))
    }

    /// Another connection, for what runs beside the transactions of this one; its statements count here too.
    pub fn beside(&self) -> Self {
        Self(Rc::new(Inner {
            env: self.0.env.clone(),
            background: self.0.background.clone(),
            opening: Opening::default(),
            statements: Rc::clone(&self.0.statements),
        }))
    }

    /// How many statements were run so far, the transaction frame not counted.
    pub fn statements(&self) -> u32 {
        self.0.statements.get()
    }

    /// A transaction in which nothing has been sent yet.
    pub fn begin(&self, scope: Scope, actor: Actor) -> Tx {
        Tx {
            database: self.clone(),
            scope,
            actor,
            connection: None,
            home: scope.organization(),
            facts: Vec::new(),
            messages: Vec::new(),
            closing: Vec::new(),
            ended: false,
        }
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

/// A transaction. Dropped without [`Tx::commit`], it is rolled back by the server.
#[must_use]
pub struct Tx {
    database: Database,
    scope: Scope,
    actor: Actor,
    connection: Option<Connection>,
    home: Option<Uuid>,
    facts: Vec<(Uuid, Fact)>,
    messages: Vec<Message>,
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
    pub fn rows<T: DeserializeOwned>(&mut self, query: Query) -> Reading<'_, Vec<T>> {
        self.value(query.into_rows())
    }

    /// The only row of the statement, if there is one.
    pub fn row<T: DeserializeOwned>(&mut self, query: Query) -> Reading<'_, Option<T>> {
        self.value(query.into_row())
    }

    /// The JSON document that the statement itself makes in its single text column.
    pub fn value<T: DeserializeOwned>(&mut self, query: Query) -> Reading<'_, T> {
        Reading::new(self.text(query))
    }

    /// Like [`Tx::rows`], and ends the transaction in the same trip.
    pub fn only_rows<T: DeserializeOwned>(self, query: Query) -> Reading<'static, Vec<T>> {
        self.only_value(query.into_rows())
    }

    /// Like [`Tx::row`], and ends the transaction in the same trip.
    pub fn only_row<T: DeserializeOwned>(self, query: Query) -> Reading<'static, Option<T>> {
        self.only_value(query.into_row())
    }

    /// Like [`Tx::value`], and ends the transaction in the same trip.
    pub fn only_value<T: DeserializeOwned>(self, query: Query) -> Reading<'static, T> {
        Reading::new(self.only_text(query))
    }

    fn text(&mut self, query: Query) -> Text<'_> {
        Box::pin(async move { Ok(self.send(vec![query], false).await?.pop().flatten()) })
    }

    fn only_text(mut self, query: Query) -> Text<'static> {
        Box::pin(async move { Ok(self.send(vec![query], true).await?.pop().flatten()) })
    }

    /// Writes down what happened: one audit row and, if the fact is published, one outbox row, both in
    /// this transaction, sent together with COMMIT.
    pub fn record(&mut self, fact: Fact) {
        self.record_as(Uuid::new_v4(), fact);
    }

    /// [`Tx::record`] with the outbox message's id, by which consumers recognise repeats.
    pub fn record_as(&mut self, message: Uuid, fact: Fact) {
        self.facts.push((message, fact));
    }

    /// Writes down that something came to be.
    pub fn record_new<T>(&mut self, subject: &Subject, event: &'static str, after: &Raw<T>) {
        self.record_between(subject, event, &Value::Null, &after.tree());
    }

    /// Writes down that something changed, unless nothing did.
    pub fn record_change<T>(
        &mut self,
        subject: &Subject,
        event: &'static str,
        before: &Raw<T>,
        after: &Raw<T>,
    ) {
        self.record_between(subject, event, &before.tree(), &after.tree());
    }

    /// Writes down that something was ended for good.
    pub fn record_end<T>(&mut self, subject: &Subject, event: &'static str, before: &Raw<T>) {
        self.record_between(subject, event, &before.tree(), &Value::Null);
    }

    /// Writes down that something was ended for good and goes on being there.
    pub fn record_ending<T>(
        &mut self,
        subject: &Subject,
        event: &'static str,
        before: &Raw<T>,
        after: &Raw<T>,
    ) {
        if let Some(fact) = self.fact(subject, event, &before.tree(), &after.tree()) {
            self.record(Fact {
                action: Action::Delete,
                ..fact
            });
        }
    }

    /// Writes down what lies between two rows, `null` for none.
    pub fn record_between(
        &mut self,
        subject: &Subject,
        event: &'static str,
        before: &Value,
        after: &Value,
    ) {
        if let Some(fact) = self.fact(subject, event, before, after) {
            self.record(fact);
        }
    }

    fn fact(
        &self,
        subject: &Subject,
        event: &'static str,
        before: &Value,
        after: &Value,
    ) -> Option<Fact> {
        let mut fact = subject.fact(event, before, after)?;
        fact.organization_id = fact.organization_id.or(self.home);
        Some(fact)
    }

    /// The organization in which things happen that do not say it themselves.
    pub fn happens_in(&mut self, organization: Option<Uuid>) {
        self.home = organization;
    }

    /// One page of `rows`, and ends the transaction in the same trip.
    ///
    /// # Errors
    /// As [`Rows::page`]; 404 when the rows' parent is not there.
    pub fn page<T>(
        self,
        rows: Rows,
        columns: &str,
        by: &str,
        page: &Page,
    ) -> impl Future<Output = Result<Listing<T>>> + use<T> {
        let listing = self.listing(rows, columns, by, page);
        listing.map(|listing| listing.map(Listing::of))
    }

    fn listing(
        self,
        rows: Rows,
        columns: &str,
        by: &str,
        page: &Page,
    ) -> LocalBoxFuture<'static, Result<Listing<()>>> {
        let missing = rows.missing();
        let query = rows.page(columns, by, page);
        let page = page.clone();
        Box::pin(async move {
            let found: Found = self.only_value(query?).or(missing).await?;
            Ok(Listing::new(found, &page))
        })
    }

    /// The only row of the statement.
    ///
    /// # Errors
    /// `missing` when there is none.
    pub fn one<T: DeserializeOwned>(&mut self, query: Query, missing: Code) -> Reading<'_, T> {
        self.value(query.into_row()).or(missing)
    }

    /// Like [`Tx::one`], and ends the transaction in the same trip.
    ///
    /// # Errors
    /// `missing` when there is none.
    pub fn only_one<T: DeserializeOwned>(self, query: Query, missing: Code) -> Reading<'static, T> {
        self.only_value(query.into_row()).or(missing)
    }

    /// Runs a statement whose rows nobody needs.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn execute(&mut self, query: Query) -> LocalBoxFuture<'_, Result<()>> {
        Box::pin(async move { self.send(vec![query], false).await.map(drop) })
    }

    /// Like [`Tx::execute`], and ends the transaction in the same trip.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn only_execute(mut self, query: Query) -> LocalBoxFuture<'static, Result<()>> {
        Box::pin(async move { self.send(vec![query], true).await.map(drop) })
    }

    /// Sends an e-mail once this transaction is committed.
    pub fn post(&mut self, mail: Mail) {
        self.messages.push(mail.message(clock::now()));
    }

    /// Tells the worker itself something once this transaction is committed; nobody outside learns of it.
    pub fn tell(&mut self, topic: &'static str, payload: Value) {
        self.messages.push(Message {
            id: Uuid::new_v4(),
            organization_id: None,
            topic: topic.to_owned(),
            payload,
            created_at: clock::now(),
        });
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
    pub fn commit(self) -> LocalBoxFuture<'static, Result<Vec<Message>>> {
        Box::pin(self.committed())
    }

    async fn committed(mut self) -> Result<Vec<Message>> {
        let facts = std::mem::take(&mut self.facts);
        let mut closing = std::mem::take(&mut self.closing);
        let now = clock::now();
        let messages: Vec<_> = facts
            .iter()
            .filter_map(|(id, fact)| fact.message(*id, now))
            .chain(std::mem::take(&mut self.messages))
            .collect();
        if !facts.is_empty() || !messages.is_empty() {
            let facts: Vec<_> = facts.iter().map(|(_, fact)| fact).collect();
            closing.push(facts::insert(&self.actor, &facts, &messages));
        }
        if self.connection.is_some() || !closing.is_empty() {
            self.send(closing, true).await?;
        }
        Ok(messages)
    }

    async fn send(&mut self, queries: Vec<Query>, last: bool) -> Result<Vec<Option<String>>> {
        let statements = &self.database.0.statements;
        statements.set(statements.get() + queries.len() as u32);
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
            Scope::Nobody => "",
        };
        Statement {
            sql: "SELECT set_config('celaest.access', $1, true), set_config('celaest.organization_id', $2, true), \
                  set_config('celaest.owner_id', $3, true), set_config('celaest.user_id', $4, true), \
                  set_config('statement_timeout', $5, true)"
                .into(),
            params: vec![
                Some(access.into()),
                text(self.scope.organization()),
                text(self.scope.owner()),
                text(self.actor.user_id),
                Some(PATIENCE_MS.to_string()),
            ],
        }
    }
}
