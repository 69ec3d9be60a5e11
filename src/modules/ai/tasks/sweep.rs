//! What nobody is at any more: tasks whose runners died too often, those that waited for a day, and those that no
//! message tells of.

use super::drain;
use super::turns::{MOST_ATTEMPTS, Settled};
use crate::db::sql;
use crate::error::{Code, Result};
use crate::language::Language;
use crate::run::Run;
use serde::Deserialize;
use uuid::Uuid;

/// Tasks given up in one step.
const STEP: usize = 200;
/// Tasks counted for the runners that are called.
const MOST_COUNTED: u32 = 1_000;

#[derive(Deserialize)]
struct Lost {
    task_id: Uuid,
    lease: Uuid,
    is_old: bool,
}

/// Gives up what is lost, and calls runners for what is due. Returns how many tasks that were.
///
/// # Errors
/// When the database or the queue fails.
pub async fn sweep(run: &Run) -> Result<u64> {
    let mut given_up = 0;
    loop {
        let lost: Vec<Lost> = run.begin().only_rows(take_lost()).await?;
        let settled: Vec<Settled> = lost.iter().map(Lost::settled).collect();
        if !settled.is_empty() {
            drain::settle(run, &settled).await?;
        }
        given_up += settled.len() as u64;
        if settled.len() < STEP {
            break;
        }
    }
    let due: usize = run
        .begin()
        .only_value(
            sql("SELECT to_json(count(*))::text FROM (
                   SELECT FROM ai_task_queue WHERE due_at <= now() LIMIT $1::bigint) due")
            .bind(MOST_COUNTED),
        )
        .await?;
    drain::call(&run.env, drain::runners(due)).await?;
    Ok(given_up + due as u64)
}

fn take_lost() -> crate::db::Query {
    sql("UPDATE ai_task_queue q SET lease = uuid_generate_v4(), due_at = now() + interval '1 minute'
         WHERE q.task_id = ANY (ARRAY(SELECT task_id FROM ai_task_queue
           WHERE due_at <= now() AND (queued_at < now() - interval '1 day'
             OR (lease IS NOT NULL AND (is_cancelled OR attempts >= $1::integer)))
           ORDER BY task_id LIMIT $2::bigint FOR UPDATE SKIP LOCKED))
         RETURNING q.task_id, q.lease, q.queued_at < now() - interval '1 day' AS is_old")
    .bind(MOST_ATTEMPTS)
    .bind(STEP)
}

impl Lost {
    fn settled(&self) -> Settled {
        let code = match self.is_old {
            true => Code::TaskExpired,
            false => Code::TaskAbandoned,
        };
        Settled {
            task_id: self.task_id,
            lease: self.lease,
            status: "failed",
            error_code: Some(code.as_str().to_owned()),
            error_message: Some(code.message(Language::default()).to_owned()),
            ..Settled::default()
        }
    }
}
