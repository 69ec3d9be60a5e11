//! `GET /api/system/status`

use super::model::SystemStatus;
use crate::db::page::MOST_COUNTED;
use crate::db::{Raw, sql};
use crate::error::Result;
use crate::http::permit::{Permit, SystemRead};
use crate::http::reply::Data;

/// Shows what waits, what died, what the jobs did last and what happened.
pub async fn status(permit: Permit<SystemRead>) -> Result<Data<SystemStatus>> {
    let query = sql(format!(
        "WITH waiting AS (
           SELECT attempts, available_at, created_at, last_error, sent_at FROM outbox_messages
           WHERE processed_at IS NULL ORDER BY available_at LIMIT {MOST_COUNTED}
         ), letters AS (
           SELECT queue, count(*) AS waiting FROM (
             SELECT queue FROM dead_letters WHERE status = 'waiting' LIMIT {MOST_COUNTED}) AS d
           GROUP BY queue ORDER BY queue
         ), job AS (
           SELECT name, started_at, finished_at, done, runs, failures, last_failed_at, last_error
           FROM job_runs ORDER BY name
         ), event AS (
           SELECT id, event_type, severity, source, left(message, 2000) AS message, created_at
           FROM system_events ORDER BY created_at DESC, id LIMIT 20)
         SELECT json_build_object(
           'outbox', (SELECT json_build_object('waiting', count(*), 'repeated', count(*) FILTER (WHERE attempts > 1),
               'parked', count(*) FILTER (WHERE available_at = 'infinity'),
               'oldest_at', min(created_at) FILTER (WHERE available_at <> 'infinity'),
               'last_error', (SELECT last_error FROM waiting WHERE last_error IS NOT NULL
                              ORDER BY available_at DESC LIMIT 1)) FROM waiting),
           'dead_letters', (SELECT coalesce(json_agg(letters), '[]') FROM letters),
           'jobs', (SELECT coalesce(json_agg(job), '[]') FROM job),
           'events', (SELECT coalesce(json_agg(event), '[]') FROM event))::text"
    ));
    let found: Raw<SystemStatus> = permit.begin().only_value(query).await?;
    Ok(Data::raw(&found))
}
