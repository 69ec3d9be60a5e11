//! What AI calls used, into PostgreSQL: of each call one row in `license_usage_log` and one in
//! `processed_tasks`, in one transaction, and the counts of its license with them.
//!
//! A record comes from the worker that made the call, or from the license's object when nobody else told of
//! its end; whichever comes first counts, however often either comes.

use crate::db::{Query, sql};
use crate::error::{Error, Result};
use crate::modules::ai::prompts::measure::MEASURED;
use crate::modules::licenses::close_periods;
use crate::run::{self, Run};
use celaest_domain::license_key::LicenseKey;
use celaest_durable::license::{self, Confirmed};
use futures_util::future::join_all;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::{BTreeSet, HashMap};
use uuid::Uuid;

/// Periods that a license may lag behind.
const MOST_PERIODS: usize = 1_200;

#[derive(Deserialize)]
struct Names {
    license_id: Uuid,
}

/// Writes a batch of records in one transaction, and tells the licenses' objects what is stored by now. One
/// that does not hear of it sends a record of its own, which changes nothing.
///
/// # Errors
/// When a record is malformed, the database fails or an object cannot be told; the records come again then.
pub async fn consume(run: &Run, bodies: &[&str]) -> Result<()> {
    let mut licenses = BTreeSet::new();
    let mut records = Vec::new();
    for body in bodies {
        // A worker's come several as a list, an object's one by one.
        let some: Vec<Box<RawValue>> = match body.starts_with('[') {
            true => run::of(body)?,
            false => vec![run::of(body)?],
        };
        for record in &some {
            licenses.insert(run::of::<Names>(record.get())?.license_id);
        }
        records.extend(some);
    }
    let records = serde_json::to_string(&records).map_err(Error::internal)?;
    let licenses: Vec<Uuid> = licenses.into_iter().collect();
    let mut tx = run.begin();
    for _ in 0..MOST_PERIODS {
        let rolled: u64 = tx.value(close_periods::roll_these(&licenses)).await?;
        if rolled == 0 {
            break;
        }
    }
    let stored: HashMap<String, Vec<Confirmed>> = tx.value(store(&records)).await?;
    tx.commit().await?;
    confirm(run, &stored).await
}

async fn confirm(run: &Run, stored: &HashMap<String, Vec<Confirmed>>) -> Result<()> {
    let told = stored
        .iter()
        .map(async |(key, calls)| match LicenseKey::parse(key) {
            Ok(key) => license::confirm_calls(&run.env, &key, calls).await,
            Err(_) => Ok(()),
        });
    let told: worker::Result<Vec<()>> = join_all(told).await.into_iter().collect();
    told.map(drop).map_err(Error::unavailable)
}

/// Stores the records of a batch. Of a call whose period is closed, the period's row learns.
fn store(records: &str) -> Query {
    sql(format!("WITH message AS (
  SELECT * FROM jsonb_to_recordset($1::jsonb) AS r(id uuid, license_id uuid, organization_id uuid, user_id uuid,
    caller_key_id uuid, account_id uuid, kind text, task_id uuid, prompt_id uuid, request_id text, started_at bigint, ended jsonb,
    more jsonb)
), locked AS (
  SELECT l.id, l.organization_id, l.license_key, coalesce(l.current_period_start, l.starts_at) AS first,
    coalesce(l.current_period_end, l.starts_at + interval '1 month') AS last
  FROM licenses l WHERE l.id IN (SELECT license_id FROM message) ORDER BY l.id FOR NO KEY UPDATE
), call AS (
  SELECT DISTINCT ON (m.id) m.*, l.license_key, to_timestamp(m.started_at / 1000.0) AS at,
    to_timestamp((m.ended->>'at')::bigint / 1000.0) AS ended_at, (m.ended->>'completed')::boolean AS completed,
    (m.ended->>'counts')::boolean AS counts, (m.ended->>'cost_micro')::numeric / 1000000 AS cost,
    coalesce((m.ended->>'tokens_input')::bigint, 0) AS tokens_input,
    coalesce((m.ended->>'tokens_output')::bigint, 0) AS tokens_output,
    (SELECT k.id FROM user_api_keys k WHERE k.id = m.caller_key_id) AS key_id,
    (SELECT k.id FROM user_api_keys k WHERE k.id = coalesce(m.account_id, m.caller_key_id)) AS account_key_id,
    past.id AS past_id, coalesce(past.period_start, l.first) AS period_start,
    coalesce(past.period_end, l.last) AS period_end
  FROM message m JOIN locked l ON l.id = m.license_id AND l.organization_id = m.organization_id
  LEFT JOIN LATERAL (
    SELECT u.id, u.period_start, u.period_end FROM license_usage_log u
    WHERE u.license_id = l.id AND u.call_id IS NULL AND to_timestamp(m.started_at / 1000.0) < l.first
      AND u.period_start <= to_timestamp(m.started_at / 1000.0) AND u.period_end > to_timestamp(m.started_at / 1000.0)
    LIMIT 1) past ON true
  -- Of two records of a call the one that knows more.
  ORDER BY m.id, m.more IS NULL
), logged AS (
  INSERT INTO license_usage_log AS u (license_id, organization_id, period_start, period_end, ai_requests_count,
    tokens_input, tokens_output, calculated_cost, call_id, user_id, api_key_id, created_at)
  SELECT license_id, organization_id, period_start, period_end, counts::int, tokens_input, tokens_output, cost, id,
    user_id, key_id, at
  FROM call
  ON CONFLICT (call_id) WHERE call_id IS NOT NULL DO NOTHING
  RETURNING u.call_id
), fresh AS (
  -- A set that is looked in, and no join: nobody knows before how many there are.
  SELECT call.* FROM call WHERE (call.id IN (SELECT call_id FROM logged)) IS TRUE
), task AS (
  INSERT INTO processed_tasks AS t (id, organization_id, user_id, license_id, model_id, api_key_id, prompt_id,
    core_request_id, input_type, input_text, output_json, output_raw, status, error_message, error_code, retry_count,
    tokens_input, tokens_output, cost_usd, execution_time_ms, queue_time_ms, ai_time_ms, request_id, user_agent,
    ip_address, metadata, created_at, started_at, completed_at)
  SELECT id, organization_id, user_id, license_id,
    (SELECT m.id FROM ai_models m WHERE m.id = (ended->>'model_id')::uuid),
    (SELECT k.id FROM ai_api_pool k WHERE k.id = (ended->>'pool_key_id')::uuid),
    (SELECT p.id FROM prompts_master p WHERE p.id = prompt_id),
    id, kind, more->>'input_text', more->'output_json', more->>'output_raw',
    CASE WHEN completed THEN 'completed' ELSE 'failed' END::task_status, more->>'error_message', ended->>'error_code',
    coalesce((more->>'retries')::int, 0), tokens_input, tokens_output, cost,
    greatest((ended->>'at')::bigint - started_at, 0), 0, (more->>'ai_ms')::int, request_id,
    more->>'user_agent', (more->>'ip')::inet, coalesce(more->'metadata', '{{}}'), at, at, ended_at
  FROM call WHERE task_id IS NULL
  ON CONFLICT (id, created_at) DO UPDATE SET input_text = excluded.input_text, output_json = excluded.output_json,
    output_raw = excluded.output_raw, ai_time_ms = excluded.ai_time_ms, user_agent = excluded.user_agent,
    ip_address = excluded.ip_address, metadata = excluded.metadata
  WHERE t.input_text IS NULL AND excluded.input_text IS NOT NULL
), charged AS (
  UPDATE licenses l SET ai_requests_used = l.ai_requests_used + n.requests, ai_cost_used = l.ai_cost_used + n.cost,
    ai_tokens_input_used = l.ai_tokens_input_used + n.tokens_input,
    ai_tokens_output_used = l.ai_tokens_output_used + n.tokens_output
  FROM (SELECT license_id, count(*) FILTER (WHERE counts) AS requests, coalesce(sum(cost), 0) AS cost,
          sum(tokens_input) AS tokens_input, sum(tokens_output) AS tokens_output
        FROM fresh WHERE past_id IS NULL GROUP BY 1) n
  WHERE l.id = n.license_id
), late AS (
  UPDATE license_usage_log u SET ai_requests_count = u.ai_requests_count + n.requests,
    tokens_input = u.tokens_input + n.tokens_input, tokens_output = u.tokens_output + n.tokens_output,
    calculated_cost = coalesce(u.calculated_cost, 0) + n.cost
  FROM (SELECT past_id, count(*) FILTER (WHERE counts) AS requests, sum(tokens_input) AS tokens_input,
          sum(tokens_output) AS tokens_output, coalesce(sum(cost), 0) AS cost
        FROM fresh WHERE past_id IS NOT NULL GROUP BY 1) n
  WHERE u.id = n.past_id
), spent AS (
  INSERT INTO license_key_spending AS s (license_id, api_key_id, organization_id, period_start, cost_usd)
  SELECT license_id, account_key_id, organization_id, period_start, coalesce(sum(cost), 0) FROM fresh
  WHERE account_key_id IS NOT NULL GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 4
  ON CONFLICT (license_id, period_start, api_key_id) DO UPDATE SET cost_usd = s.cost_usd + excluded.cost_usd
), measured AS (
  SELECT prompt_id, completed AS succeeded, coalesce((more->>'ai_ms')::bigint, 0) AS ms FROM fresh
), {MEASURED}
SELECT coalesce(json_object_agg(license_key, calls), '{{}}')::text FROM (
  SELECT license_key, json_agg(json_build_object('id', call.id, 'at', started_at, 'counts', counts,
    'cost_micro', coalesce((ended->>'cost_micro')::bigint, 0), 'account_id', account_key_id,
    'fresh', call.id IN (SELECT call_id FROM logged))) AS calls
  FROM call GROUP BY 1) c"))
    .bind(records)
}
