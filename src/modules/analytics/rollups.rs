//! Adds up facts: the job takes the marks that changes of facts left, and has their quarters of an hour written
//! anew. How, and why an answer is exact before it ran, is in `migrations/V070__rollups.sql`.

use crate::db::sql;
use crate::error::Result;
use crate::log;
use crate::run::Run;

/// Marks a step. Each is a transaction of its own: whatever stops the job, what was done is done, and what was not
/// has its marks.
const STEP: u32 = 500;
/// By so much a step is made smaller that did not come to its end in time.
const SMALLER: u32 = 10;
/// Steps a run: the rest is left to the next, and is read as it is until then.
const STEPS: usize = 200;

/// Adds up until no mark is left; returns how many quarters were written. Two at once share nothing: the second
/// finds the first at work and ends.
pub async fn aggregate(run: &Run) -> Result<u64> {
    let mut done = 0;
    let mut step = STEP;
    for _ in 0..STEPS {
        let query = sql("SELECT to_json(analytics_aggregate($1::int))::text").bind(step);
        match run.begin().only_value::<u64>(query).await {
            Ok(0) => break,
            Ok(some) => done += some,
            // Quarters with very many facts, perhaps: fewer at a time.
            Err(error) if step > 1 => {
                log::warn(&run.name, "a step of adding up is made smaller", &error);
                step = (step / SMALLER).max(1);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}
