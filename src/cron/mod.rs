//! What happens by the clock: one file per job. Jobs may run twice and die in the middle; each leaves
//! the rest of its work to the next run.

pub mod expiries;
pub mod outbox;
pub mod partitions;
pub mod seals;
pub mod usage;

use crate::db::facts::Actor;
use crate::db::{Database, Scope, Tx};
use crate::log;
use serde_json::json;
use std::rc::Rc;
use worker::{Env, ScheduleContext, ScheduledEvent};

/// One run of a job.
pub struct Job {
    /// The bindings.
    pub env: Env,
    /// PostgreSQL, one connection for the run.
    pub database: Database,
    /// The job and its scheduled time, for the log and the audit rows.
    pub run: String,
}

impl Job {
    /// A transaction that sees every tenant.
    pub fn begin(&self) -> Tx {
        self.database.begin(Scope::System, Actor::system(&self.run))
    }
}

/// Runs the job that the schedule in `wrangler.toml` means.
pub async fn run(event: ScheduledEvent, env: Env, context: ScheduleContext) {
    let database = Database::new(&env, Rc::new(move |work| context.wait_until(work)));
    let (name, cron) = match event.cron().as_str() {
        "* * * * *" => ("outbox", event.cron()),
        "*/5 * * * *" => ("expiries", event.cron()),
        "2-57/5 * * * *" => ("seals", event.cron()),
        "17 * * * *" => ("usage", event.cron()),
        "37 2 * * *" => ("partitions", event.cron()),
        other => ("unknown", other.to_owned()),
    };
    let job = Job {
        env,
        database,
        run: format!("cron:{name}@{}", event.schedule() as i64),
    };
    let outcome = match name {
        "outbox" => outbox::run(&job).await,
        "expiries" => expiries::run(&job).await,
        "seals" => seals::run(&job).await,
        "usage" => usage::run(&job).await,
        "partitions" => partitions::run(&job).await,
        _ => Err(crate::error::Error::internal(format!(
            "no job for schedule {cron}"
        ))),
    };
    match outcome {
        Ok(done) => log::info(&job.run, "job", json!({ "job": name, "done": done })),
        Err(error) => log::error(&job.run, "job failed", &error),
    }
    job.database.close();
}
