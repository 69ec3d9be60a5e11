//! What is measured of a version: written behind, with the record of the call.

/// The end of a statement that records calls: adds what was measured to the versions that served them. It
/// follows a part of a `WITH` called `measured`, with a row for each call that was recorded just now and was
/// not before: `prompt_id uuid`, `succeeded boolean`, `ms bigint` from asking to the answer. The versions are held
/// in one order, so that two recorders do not wait for each other.
pub const MEASURED: &str = "
versions AS (
  SELECT p.id FROM prompts_master p WHERE p.id IN (SELECT prompt_id FROM measured) ORDER BY p.id FOR NO KEY UPDATE
), counted AS (
  UPDATE prompts_master p SET usage_count = p.usage_count + m.calls, success_count = p.success_count + m.good,
    response_ms_total = p.response_ms_total + m.ms,
    success_rate = round(100.0 * (p.success_count + m.good) / (p.usage_count + m.calls), 2),
    avg_response_time_ms = (p.response_ms_total + m.ms) / NULLIF(p.success_count + m.good, 0)
  FROM versions v JOIN (
    SELECT prompt_id, count(*) AS calls, count(*) FILTER (WHERE succeeded) AS good,
      coalesce(sum(ms) FILTER (WHERE succeeded), 0)::bigint AS ms
    FROM measured WHERE prompt_id IS NOT NULL GROUP BY prompt_id) m ON m.prompt_id = v.id
  WHERE p.id = v.id RETURNING p.id
)";
