//! Where money is written down: in transactions of the system, because a payment gives its buyer what its
//! seller has, and is told by neither of them.

use crate::call::Call;
use crate::config::Config;
use crate::db::facts::Actor;
use crate::db::{Database, Scope, Tx, outbox};
use crate::error::{Error, Result};
use crate::log;
use crate::modules::licenses::notices;
use crate::run::Run;
use worker::Env;

/// The way to write money down.
pub struct Ledger {
    /// Variables and secrets.
    pub config: &'static Config,
    env: Env,
    database: Database,
    actor: Actor,
    name: String,
    /// The connection is nobody else's.
    is_own: bool,
}

impl Ledger {
    /// For a request, beside its own transaction. `actor` is who the audit log names.
    pub fn of_call(call: &Call, actor: Actor) -> Self {
        Self {
            config: call.config,
            env: call.env().clone(),
            database: call.another_database(),
            name: call.request_id.clone(),
            actor,
            is_own: true,
        }
    }

    /// For a job.
    ///
    /// # Errors
    /// 503 when the variables are missing.
    pub fn of_run(run: &Run) -> Result<Self> {
        Ok(Self {
            config: Config::get(&run.env).map_err(Error::unavailable)?,
            env: run.env.clone(),
            database: run.database.clone(),
            name: run.name.clone(),
            actor: Actor::system(&run.name),
            is_own: false,
        })
    }

    /// A transaction that sees every tenant.
    pub fn begin(&self) -> Tx {
        self.database.begin(Scope::System, self.actor.clone())
    }

    /// Commits what concerns the licenses with these keys: their objects are told before and after.
    ///
    /// # Errors
    /// When the commit fails, or an object cannot be told before it; nothing remains then.
    pub async fn commit(&self, tx: Tx, keys: &[String]) -> Result<()> {
        let messages = notices::around(&self.env, keys, tx.commit()).await?;
        if let Err(error) = outbox::publish(&self.env, &self.database, &messages).await {
            // Not lost: the sweep finds the rows unsent.
            log::warn(&self.name, "outbox messages left for the sweep", &error);
        }
        Ok(())
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        if self.is_own {
            self.database.close();
        }
    }
}
