//! What a batch of messages and a job share: one piece of work that no request waits for.

use crate::config::Config;
use crate::db::facts::{Actor, Message};
use crate::db::{Background, Database, Scope, Tx, outbox};
use crate::error::Result;
use crate::log;
use celaest_domain::json;
use serde::de::DeserializeOwned;
use worker::Env;

/// One piece of work.
pub struct Run {
    /// The bindings.
    pub env: Env,
    /// PostgreSQL, one connection for the whole work.
    pub database: Database,
    /// The queue, or the job and its scheduled time: for the log and the audit rows.
    pub name: String,
    /// Lets work go on that outlasts the batch or the job.
    pub background: Background,
}

impl Run {
    /// Work called `name`.
    pub fn new(env: Env, background: Background, name: String) -> Self {
        // So that the log knows its level where no request has come yet. Whoever needs a variable that is
        // missing says so itself.
        let _ = Config::get(&env);
        Self {
            database: Database::new(&env, background.clone()),
            env,
            name,
            background,
        }
    }

    /// A transaction that sees every tenant.
    pub fn begin(&self) -> Tx {
        self.database
            .begin(Scope::System, Actor::system(&self.name))
    }

    /// Commits and sends the outbox messages on their way.
    ///
    /// # Errors
    /// When the commit fails; nothing remains then.
    pub async fn commit(&self, tx: Tx) -> Result<()> {
        let messages = tx.commit().await?;
        if let Err(error) = outbox::publish(&self.env, &self.database, &messages).await {
            // Not lost: the sweep finds the rows unsent.
            log::warn(&self.name, "outbox messages left for the sweep", &error);
        }
        Ok(())
    }

    /// Notes that messages of the outbox were dealt with.
    ///
    /// # Errors
    /// As [`outbox::processed`].
    pub async fn processed(&self, messages: &[Message]) -> Result<()> {
        outbox::processed(&self.database, &self.name, messages).await
    }
}

/// The bodies of a batch as one JSON array, without looking into them.
///
/// # Errors
/// When one of them is no JSON.
pub fn together(bodies: &[&str]) -> Result<String> {
    for body in bodies {
        of::<serde::de::IgnoredAny>(body)?;
    }
    Ok(format!("[{}]", bodies.join(",")))
}

/// One body.
///
/// # Errors
/// When it is none.
pub fn of<T: DeserializeOwned>(body: &str) -> Result<T> {
    json::parse(body).map_err(crate::error::Error::internal)
}

#[cfg(test)]
mod tests {
    #[test]
    fn bodies_are_joined_as_they_are() {
        assert_eq!(super::together(&["{}", "[1]"]).unwrap(), "[{},[1]]");
        assert!(super::together(&["{}", "{"]).is_err());
    }
}
