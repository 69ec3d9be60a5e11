//! What a call of a provider needs of the place where it is made: a request or a run.

use crate::call::Call;
use crate::config::Config;
use crate::db::{Background, Database};
use crate::error::{Error, Result};
use crate::run::Run;
use worker::Env;

/// A request, or the work of a queue or a job.
pub trait Host {
    /// The bindings.
    fn env(&self) -> &Env;

    /// Variables and secrets.
    ///
    /// # Errors
    /// 503 when a variable is missing.
    fn config(&self) -> Result<&'static Config>;

    /// PostgreSQL, on the place's own connection.
    fn database(&self) -> &Database;

    /// For log lines: the request's id, or the run's name.
    fn name(&self) -> &str;

    /// What lets work go on after the answer has left.
    fn background(&self) -> Background;

    /// Counts one call to a Durable Object, where somebody counts them.
    fn count_object_call(&self);

    /// Another connection, for work beside the place's own.
    fn another_database(&self) -> Database {
        Database::new(self.env(), self.background())
    }
}

impl Host for Call {
    fn env(&self) -> &Env {
        Call::env(self)
    }

    fn config(&self) -> Result<&'static Config> {
        Ok(self.config)
    }

    fn database(&self) -> &Database {
        &self.database
    }

    fn name(&self) -> &str {
        &self.request_id
    }

    fn background(&self) -> Background {
        self.in_background()
    }

    fn count_object_call(&self) {
        Call::count_object_call(self);
    }
}

impl Host for Run {
    fn env(&self) -> &Env {
        &self.env
    }

    fn config(&self) -> Result<&'static Config> {
        Config::get(&self.env).map_err(Error::unavailable)
    }

    fn database(&self) -> &Database {
        &self.database
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn background(&self) -> Background {
        self.background.clone()
    }

    fn count_object_call(&self) {}
}
