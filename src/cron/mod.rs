//! What happens by the clock. Jobs may run twice and die in the middle; each leaves the rest of its work to
//! the next run.

mod clean;
mod sweep;

use crate::error::Result;
use crate::log;
use crate::modules::{audit, licenses};
use crate::run::Run;
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
    "*/5 * * * *",    "expiries"   => licenses::expire::expire;
    "2-57/5 * * * *", "seals"      => audit::seal::seal_all;
    "17 * * * *",     "usage"      => licenses::close_periods::close;
    "37 2 * * *",     "partitions" => clean::clean;
}

/// Runs the jobs of a schedule.
pub async fn run(event: ScheduledEvent, env: Env, context: ScheduleContext) {
    let (schedule, at) = (event.cron(), event.schedule() as i64);
    let background: crate::db::Background = Rc::new(move |work| context.wait_until(work));
    for job in JOBS.iter().filter(|job| job.schedule == schedule) {
        let name = format!("cron:{}@{at}", job.name);
        let run = Run::new(env.clone(), background.clone(), name);
        match (job.work)(&run).await {
            Ok(done) => log::info(&run.name, "job", json!({ "job": job.name, "done": done })),
            Err(error) => log::error(&run.name, "job failed", &error),
        }
        run.database.close();
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_schedules_are_those_of_the_worker() {
        let manifest = include_str!("../../wrangler.toml");
        for job in super::JOBS {
            let quoted = format!("\"{}\"", job.schedule);
            assert!(manifest.contains(&quoted), "{} is not in wrangler.toml", job.name);
        }
        let crons = manifest.split("crons = [").nth(1).and_then(|rest| rest.split(']').next());
        assert_eq!(crons.unwrap_or_default().matches("  \"").count(), super::JOBS.len());
    }
}
