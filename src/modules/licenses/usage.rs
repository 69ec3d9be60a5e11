//! `GET /api/licenses/{id}/usage`

use super::model::Usage;
use super::queries::mine;
use crate::db::Raw;
use crate::error::{Code, Result};
use crate::http::params::Id;
use crate::http::permit::{LicensesRead, Permit};
use crate::http::reply::Data;

const COLUMNS: &str = "l.id AS license_id,
               p.limits || coalesce(l.custom_limits, '{}') AS limits,
               json_build_object(
                 'period_start', coalesce(l.current_period_start, l.starts_at),
                 'period_end', coalesce(l.current_period_end, l.starts_at + interval '1 month'),
                 'ai_requests_count', l.ai_requests_used,
                 'tokens_input', l.ai_tokens_input_used, 'tokens_output', l.ai_tokens_output_used,
                 'storage_bytes', l.storage_used_bytes,
                 'validations_count', coalesce((SELECT c.validations FROM license_usage_counts c
                   WHERE c.license_id = l.id AND c.period_start = coalesce(l.current_period_start, l.starts_at)), 0),
                 'calculated_cost', l.ai_cost_used) AS current,
               (SELECT coalesce(json_agg(u), '[]') FROM (
                 SELECT period_start, period_end, ai_requests_count, tokens_input, tokens_output, storage_bytes,
                   validations_count, calculated_cost
                 FROM license_usage_log WHERE license_id = l.id AND call_id IS NULL ORDER BY period_start DESC LIMIT 24) u) AS history";

const JOINS: &str = "JOIN subscription_plans p ON p.id = l.plan_id";

/// What a license consumed: the running period and up to 24 past ones.
pub async fn usage(permit: Permit<LicensesRead>, Id(id): Id) -> Result<Data<Usage>> {
    let tx = permit.begin();
    let query = mine(&tx).id(id).joined(JOINS).read(COLUMNS);
    let usage: Raw<Usage> = tx.only_one(query, Code::LicenseNotFound).await?;
    Ok(Data::raw(&usage))
}
