//! What happens by the clock. Jobs may run twice and die in the middle; each leaves the rest of its work to
//! the next run.

mod clean;
mod sweep;

use crate::db::sql;
use crate::error::Result;
use crate::log;
use crate::modules::{
    ai, analytics, audit, licenses, orders, payment_methods, payments, subscriptions,
};
use crate::platform::clock;
use crate::run::Run;
use chrono::{DateTime, Utc};
use futures_util::future::LocalBoxFuture;
use serde_json::json;
use std::rc::Rc;
use worker::{Env, ScheduleContext, ScheduledEvent};

/// A job: when, what it is called, and what it does; it returns how many things it dealt with.
struct Job {
    schedule: &'static str,
    name: &'static str,
    work: for<'a> fn(&'a Run) -> LocalBoxFuture<'a, Result<u64>>,
}

macro_rules! jobs {
    ($($schedule:literal, $name:literal => $work:path;)*) => {
        /// The schedules are those of `wrangler.toml`.
        const JOBS: &[Job] = &[$(Job { schedule: $schedule, name: $name, work: |run| Box::pin($work(run)) },)*];
    };
}

jobs! {
    "* * * * *",      "outbox"     => sweep::sweep;
    "* * * * *",      "ai-tasks"   => ai::tasks::sweep::sweep;
    "* * * * *",      "rollups"    => analytics::rollups::aggregate;
    "27 * * * *",     "roi"        => analytics::roi_worker::measure;
    "*/5 * * * *",    "expiries"   => licenses::expire::expire;
    "2-57/5 * * * *", "seals"      => audit::seal::seal_all;
    "4-59/5 * * * *", "ai-keys"    => ai::pool::health::check;
    "17 * * * *",     "usage"      => licenses::close_periods::close;
    "37 2 * * *",     "partitions" => clean::clean;
    "1-59/5 * * * *", "payments"   => payments_due;
    "3-58/5 * * * *", "renewals"   => subscriptions::renew::renew;
    "47 * * * *",     "reconcile"  => payments::reconcile::reconcile;
    "7 9 * * *",      "cards"      => payment_methods::warn::warn;
}

/// What waits for a payment: events that did not fit, refunds that were asked for, orders whose time is over. One
/// that fails holds up no other.
async fn payments_due(run: &Run) -> Result<u64> {
    let done = [
        payments::parked::retry(run).await,
        orders::refund::resume(run).await,
        orders::expire::expire(run).await,
    ];
    done.into_iter().try_fold(0, |sum, one| Ok(sum + one?))
}

/// Runs the jobs of a schedule.
pub async fn run(event: ScheduledEvent, env: Env, context: ScheduleContext) {
    let (schedule, at) = (event.cron(), event.schedule() as i64);
    let background: crate::db::Background = Rc::new(move |work| context.wait_until(work));
    for job in JOBS.iter().filter(|job| job.schedule == schedule) {
        let name = format!("cron:{}@{at}", job.name);
        let run = Run::new(env.clone(), background.clone(), name);
        let began = clock::now();
        let outcome = (job.work)(&run).await;
        match &outcome {
            Ok(done) => log::info(&run.name, "job", json!({ "job": job.name, "done": done })),
            Err(error) => log::error(&run.name, "job failed", error),
        }
        if let Err(error) = note(&run, job.name, began, &outcome).await {
            log::warn(&run.name, "the run was not noted", &error);
        }
        run.database.close();
    }
}

/// Writes down what became of a run, for operators; one that failed is an event of the system as well.
async fn note(run: &Run, job: &str, began: DateTime<Utc>, outcome: &Result<u64>) -> Result<()> {
    let error = outcome.as_ref().err();
    let problem = error.map(|error| error.cause.as_deref().unwrap_or(error.code.as_str()));
    let query = sql(
        "WITH failed AS (
           INSERT INTO system_events (event_type, severity, source, message, request_id)
           SELECT 'job.failed', 'error', 'cron:' || $1, left($4, 2000), left($5, 100) WHERE $4 IS NOT NULL)
         INSERT INTO job_runs AS j (name, started_at, finished_at, done, failures, last_failed_at, last_error)
         SELECT $1, $2::timestamptz, now(), $3::bigint, ($4 IS NOT NULL)::int, CASE WHEN $4 IS NOT NULL THEN now() END,
           left($4, 2000)
         ON CONFLICT (name) DO UPDATE SET started_at = excluded.started_at, finished_at = now(), done = excluded.done,
           runs = j.runs + 1, failures = j.failures + excluded.failures,
           last_failed_at = coalesce(excluded.last_failed_at, j.last_failed_at),
           last_error = coalesce(excluded.last_error, j.last_error)",
    );
    let query = query
        .bind(job)
        .bind(began)
        .bind(outcome.as_ref().ok())
        .bind(problem)
        .bind(&run.name);
    run.begin().only_execute(query).await
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_schedules_are_those_of_the_worker() {
        let manifest = include_str!("../../wrangler.toml");
        for job in super::JOBS {
            let quoted = format!("\"{}\"", job.schedule);
            assert!(
                manifest.contains(&quoted),
                "{} is not in wrangler.toml",
                job.name
            );
        }
        let crons = manifest
            .split("crons = [")
            .nth(1)
            .and_then(|rest| rest.split(']').next());
        let schedules: std::collections::BTreeSet<_> =
            super::JOBS.iter().map(|job| job.schedule).collect();
        assert_eq!(
            crons.unwrap_or_default().matches("  \"").count(),
            schedules.len()
        );
    }
}
