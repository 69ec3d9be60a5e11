//! The one file that owns the PostgreSQL driver.
//!
//! Hyperdrive and PgBouncer share a server connection between clients, so nothing may outlive a
//! transaction: every statement is unnamed and typed (one round trip, extended protocol only, also
//! for BEGIN and COMMIT), every parameter is `TEXT` and cast in the SQL, and every result is one row
//! with one text column of JSON. That leaves no catalogue look-up, no prepared statement and no
//! session state behind.

mod greeting;
mod scram;
#[cfg(test)]
mod tests;

use futures_util::future::{LocalBoxFuture, join_all};
use scram::Keyring;
use std::rc::Rc;
use std::sync::Arc;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Config};
use worker::send::{SendFuture, SendWrapper};
use worker::{Hyperdrive, Socket};

/// How long to wait for a connection, in milliseconds. Short, because a validation that could go on
/// without PostgreSQL waits for it.
const CONNECT_PATIENCE_MS: u64 = 3_000;
/// How long to wait for an answer, in milliseconds. Hyperdrive itself gives up on an origin after about
/// the same time; waiting longer only holds the caller.
const ANSWER_PATIENCE_MS: u64 = 15_000;

thread_local! {
    /// Of this isolate, so that one derivation serves all its requests. Nothing of a request is in it.
    static KEYRING: Rc<Keyring> = Rc::default();
}

/// One statement as it goes over the wire.
#[derive(Debug, Clone)]
pub struct Statement {
    /// The SQL text.
    pub sql: String,
    /// Its parameters, all sent as `TEXT`.
    pub params: Vec<Option<String>>,
}

impl Statement {
    /// A statement without parameters.
    pub fn bare(sql: &str) -> Self {
        Self {
            sql: sql.to_owned(),
            params: Vec::new(),
        }
    }
}

/// What the database said when it refused, reduced to what the rest of the code may look at.
#[derive(Debug, Clone)]
pub enum Failure {
    /// The database could not be reached, closed the connection, or is shutting down.
    Unavailable(String),
    /// A statement was refused.
    Refused {
        /// The five-character SQLSTATE.
        sqlstate: String,
        /// The name of the violated constraint, if there was one.
        constraint: Option<String>,
        /// The server's text. For the log only.
        message: String,
    },
}

/// An open connection. Lives for one request, one queue batch or one job, never longer.
#[derive(Clone)]
pub struct Connection(Arc<SendWrapper<Client>>);

impl Connection {
    /// Connects through the Hyperdrive binding. The driver's own loop runs in the background until
    /// the last clone of the connection is dropped; `background` keeps the invocation alive until then.
    pub fn open(
        hyperdrive: Hyperdrive,
        background: Rc<dyn Fn(LocalBoxFuture<'static, ()>)>,
    ) -> SendFuture<impl Future<Output = Result<Self, Failure>>> {
        SendFuture::new(async move {
            let config: Config = hyperdrive.connection_string().parse().map_err(|_| {
                Failure::Unavailable("the connection string of Hyperdrive is malformed".into())
            })?;
            let connecting = async {
                let socket = Socket::builder()
                    .connect(hyperdrive.host(), hyperdrive.port())
                    .map_err(|error| Failure::Unavailable(error.to_string()))?;
                greeting::connect(socket, &config, &KEYRING.with(Rc::clone))
                    .await
                    .map_err(failure)
            };
            let (client, driver) = timely(CONNECT_PATIENCE_MS, connecting).await?;
            background(Box::pin(async move {
                // The caller learns of a broken connection from its own statement.
                let _ = driver.await;
            }));
            Ok(Self(Arc::new(SendWrapper::new(client))))
        })
    }

    /// Sends `statements` in one trip and returns the text of each one's single column, `None` for a
    /// statement that returned no row, NULL, or what is no text: nobody reads that. The first failure is the
    /// answer for all.
    pub fn pipeline(
        &self,
        statements: Vec<Statement>,
    ) -> SendFuture<impl Future<Output = Result<Vec<Option<String>>, Failure>> + use<>> {
        let client = self.0.clone();
        SendFuture::new(async move {
            // Polled in order on one connection, so they leave in order and in one write.
            let running = join_all(statements.iter().map(|statement| run(&client, statement)));
            timely(ANSWER_PATIENCE_MS, async { Ok(running.await) })
                .await?
                .into_iter()
                .collect()
        })
    }
}

async fn run(client: &Client, statement: &Statement) -> Result<Option<String>, Failure> {
    let params: Vec<(&(dyn ToSql + Sync), Type)> = statement
        .params
        .iter()
        .map(|value| (value as &(dyn ToSql + Sync), Type::TEXT))
        .collect();
    let rows = client
        .query_typed(&statement.sql, &params)
        .await
        .map_err(failure)?;
    let text = rows.first().filter(|row| {
        let column = row.columns().first();
        column.is_some_and(|column| matches!(*column.type_(), Type::TEXT | Type::VARCHAR))
    });
    match text {
        Some(row) => row.try_get::<_, Option<String>>(0).map_err(failure),
        None => Ok(None),
    }
}

/// Gives up on `work` after `patience_ms`.
async fn timely<T>(
    patience_ms: u64,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    use futures_util::future::{Either, select};
    let work = std::pin::pin!(work);
    let alarm = std::pin::pin!(worker::Delay::from(std::time::Duration::from_millis(
        patience_ms
    )));
    match select(work, alarm).await {
        Either::Left((done, _)) => done,
        Either::Right(_) => Err(Failure::Unavailable(
            "PostgreSQL did not answer in time".into(),
        )),
    }
}

fn failure(error: tokio_postgres::Error) -> Failure {
    match error.as_db_error() {
        Some(db) => {
            let sqlstate = db.code().code().to_owned();
            // 08 connection, 53 resources, 57P shutdown, 58 system error: nothing the caller did.
            if ["08", "53", "57P", "58"]
                .iter()
                .any(|class| sqlstate.starts_with(class))
            {
                Failure::Unavailable(db.message().to_owned())
            } else {
                Failure::Refused {
                    sqlstate,
                    constraint: db.constraint().map(str::to_owned),
                    message: db.message().to_owned(),
                }
            }
        }
        None => Failure::Unavailable(match std::error::Error::source(&error) {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        }),
    }
}
