//! Adds up facts: the job takes the marks that changes of facts left, and has their quarters of an hour written
//! anew. How, and why an answer is exact before it ran, is in `migrations/V070__rollups.sql`.

use crate::db::sql;
use crate::error::Result;
use crate::run::Run;

/// Marks a step. Each is a transaction of its own: whatever stops the job, what was done is done, and what was not
/// has its marks.
const STEP: u32 = 500;
/// Steps a run: the rest is left to the next, and is read as it is until then.
const STEPS: usize = 200;

/// Adds up until no mark is left; returns how many quarters were written. Two at once share nothing: the second
/// finds the first at work and ends.
pub async fn aggregate(run: &Run) -> Result<u64> {
    let mut done = 0;
    for _ in 0..STEPS {
        let query = sql("SELECT to_json(analytics_aggregate($1::int))::text").bind(STEP);
        let some: u64 = run.begin().only_value(query).await?;
        done += some;
        if some == 0 {
            break;
        }
    }
    Ok(done)
}
