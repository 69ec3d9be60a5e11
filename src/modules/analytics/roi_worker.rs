//! Measures the return on AI: for each organization a row a day, a week and a month in `roi_metrics`, and one for
//! each of its products and people in `roi_metrics_parts`. Days are those of the organization's setting `timezone`,
//! or else UTC's.

use crate::db::{Tx, sql};
use crate::error::{Error, Result};
use crate::run::Run;
use celaest_domain::analytics::roi::{self, Rates, Work};
use celaest_domain::settings::{Key, Stored};
use chrono::NaiveDate;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

/// Days of an organization that are measured in one transaction.
const DAYS: u32 = 31;
/// Transactions a run: the rest is left to the next.
const STEPS: usize = 2_000;

/// What is due of an organization.
#[derive(Deserialize)]
struct Due {
    organization: Uuid,
    timezone: String,
    /// What it has set for itself.
    own: Own,
    /// Days of which something was added up anew.
    days: Vec<NaiveDate>,
}

/// Rates of an organization of its own; the system's count where there are none.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Own {
    manual_minutes_per_task: Option<u64>,
    hourly_rate_usd: Option<u64>,
    infrastructure_cost_usd_per_month: Option<u64>,
}

/// What there is of a period: of all, of a product or of a person.
#[derive(Deserialize)]
struct Facts {
    period_type: String,
    first: NaiveDate,
    last: NaiveDate,
    product_id: Option<Uuid>,
    user_id: Option<Uuid>,
    completed: u64,
    failed: u64,
    tokens: u64,
    cost: String,
    cost_unknown: u64,
    timed: u64,
    execution_ms: u64,
    p95: Option<i64>,
    p99: Option<i64>,
    active_users: u64,
    new_users: u64,
    revenue: String,
}

/// Measures whatever changed since it was measured; returns how many organizations were looked at. Running twice,
/// or two at once, gives the same rows.
pub async fn measure(run: &Run) -> Result<u64> {
    let settings: Stored = run
        .begin()
        .only_value(sql(
            "SELECT coalesce(json_object_agg(key, value), '{}')::text FROM system_config WHERE key LIKE 'analytics.%'",
        ))
        .await?;
    let number = |key| settings.get(key).as_u64().unwrap_or_default();
    let mut done = 0;
    for _ in 0..STEPS {
        let mut tx = run.begin();
        let Some(due) = take(&mut tx).await? else {
            break;
        };
        let own = &due.own;
        let set = |own: Option<u64>, key| own.unwrap_or_else(|| number(key));
        let rates = Rates {
            minutes_per_task: set(
                own.manual_minutes_per_task,
                Key::AnalyticsManualMinutesPerTask,
            ),
            hourly_usd: set(own.hourly_rate_usd, Key::AnalyticsHourlyRateUsd),
        };
        let infrastructure = set(
            own.infrastructure_cost_usd_per_month,
            Key::AnalyticsInfrastructureCostUsdPerMonth,
        );
        let facts = facts(&mut tx, &due).await?;
        let rows = facts
            .iter()
            .map(|facts| measured(facts, &rates, infrastructure, &due.timezone));
        let rows = rows.collect::<Result<Vec<_>>>()?;
        write(&mut tx, due.organization, &rows).await?;
        tx.commit().await?;
        done += 1;
    }
    Ok(done)
}

/// Takes what is due of whoever waits longest. Somebody else at the same organization is waited for: their rows
/// would be of before what is taken here.
async fn take(tx: &mut Tx) -> Result<Option<Due>> {
    tx.execute(sql(
        "SELECT pg_advisory_xact_lock(hashtextextended('roi', 0))::text",
    ))
    .await?;
    tx.value(
        sql("WITH whose AS (
               SELECT o.id, coalesce(o.settings->'analytics', '{}') AS own, coalesce((SELECT z.name FROM pg_timezone_names z WHERE z.name = o.settings->>'timezone'), 'UTC') AS zone
               FROM organizations o WHERE o.id = (SELECT d.organization_id FROM roi_due d ORDER BY d.id LIMIT 1)
             ), day AS (
               SELECT DISTINCT (d.quarter AT TIME ZONE w.zone)::date AS day FROM roi_due d JOIN whose w ON w.id = d.organization_id
               ORDER BY day LIMIT $1::bigint
             ), taken AS (
               DELETE FROM roi_due d USING whose w
               WHERE d.organization_id = w.id AND (d.quarter AT TIME ZONE w.zone)::date IN (SELECT day FROM day)
             )
             SELECT coalesce((SELECT json_build_object('organization', w.id, 'timezone', w.zone, 'own', w.own,
               'days', (SELECT json_agg(day ORDER BY day) FROM day))::text FROM whose w), 'null')")
        .bind(DAYS),
    )
    .await
}

/// Adds up the periods that the days are in.
async fn facts(tx: &mut Tx, due: &Due) -> Result<Vec<Facts>> {
    tx.rows(
        sql("WITH period AS (
               SELECT DISTINCT p.period_type, p.first, p.last, p.first::timestamp AT TIME ZONE $2 AS since,
                 (p.last + 1)::timestamp AT TIME ZONE $2 AS until
               FROM jsonb_array_elements_text($3::jsonb) AS e(text) CROSS JOIN LATERAL (SELECT text::date AS day) AS d
               CROSS JOIN LATERAL (VALUES
                 ('daily', d.day, d.day),
                 ('weekly', date_trunc('week', d.day::timestamp)::date, date_trunc('week', d.day::timestamp)::date + 6),
                 ('monthly', date_trunc('month', d.day::timestamp)::date,
                   (date_trunc('month', d.day::timestamp) + interval '1 month - 1 day')::date)) AS p (period_type, first, last)
             ), part AS (
               SELECT p.*, a.product_id, a.user_id, coalesce(sum(a.completed), 0) AS completed, coalesce(sum(a.failed), 0) AS failed,
                 coalesce(sum(a.tokens_input + a.tokens_output), 0) AS tokens, coalesce(sum(a.cost_usd), 0) AS cost,
                 coalesce(sum(a.cost_unknown), 0) AS cost_unknown, coalesce(sum(a.timed), 0) AS timed,
                 coalesce(sum(a.execution_ms), 0) AS execution_ms, latency_all(a.latency) AS latency
               FROM period p LEFT JOIN LATERAL (
                 SELECT f.*, 'total' AS breakdown FROM analytics_ai($1::uuid, 'total', p.since, p.until) f
                 UNION ALL SELECT f.*, 'product' FROM analytics_ai($1::uuid, 'product', p.since, p.until) f WHERE f.product_id IS NOT NULL
                 UNION ALL SELECT f.*, 'user' FROM analytics_ai($1::uuid, 'user', p.since, p.until) f) a ON true
               GROUP BY p.period_type, p.first, p.last, p.since, p.until, a.product_id, a.user_id
             ), whole AS (
               SELECT p.period_type, p.first,
                 (SELECT count(*) FROM (SELECT FROM analytics_people($1::uuid, 'user', p.since, p.until) f
                    JOIN users_profile m ON m.id = f.user_id AND m.organization_id = f.organization_id
                    GROUP BY f.user_id HAVING sum(f.acts) > 0) u) AS active_users,
                 (SELECT count(*) FROM users_profile u WHERE u.organization_id = $1::uuid AND u.created_at >= p.since
                    AND u.created_at < p.until) AS new_users,
                 (SELECT coalesce(sum(CASE f.kind WHEN 'order' THEN f.total ELSE -f.total END), 0)
                    FROM analytics_sales($1::uuid, 'total', p.since, p.until) f WHERE f.currency = 'USD') AS revenue
               FROM period p
             )
             SELECT t.period_type, t.first, t.last, t.product_id, t.user_id, t.completed, t.failed, t.tokens, t.cost::text AS cost,
               t.cost_unknown, t.timed, t.execution_ms, latency_percentile(t.latency, 0.95) AS p95,
               latency_percentile(t.latency, 0.99) AS p99, w.active_users, w.new_users, w.revenue::text AS revenue
             FROM part t JOIN whole w ON w.period_type = t.period_type AND w.first = t.first
             -- Of a part without tasks there is nothing to say.
             WHERE (t.product_id IS NULL AND t.user_id IS NULL) OR t.completed + t.failed > 0
             ORDER BY t.period_type, t.first, t.product_id, t.user_id")
        .bind(due.organization)
        .bind(&due.timezone)
        .bind(json!(due.days)),
    )
    .await
}

/// A row as it is written.
fn measured(facts: &Facts, rates: &Rates, infrastructure: u64, timezone: &str) -> Result<Value> {
    let amount = |text: &str| {
        roi::micro(text).ok_or_else(|| Error::internal("an amount that is not a number"))
    };
    let work = Work {
        completed: facts.completed,
        timed: facts.timed,
        execution_ms: facts.execution_ms,
        cost_micro: amount(&facts.cost)?,
    };
    let saved = roi::saved(&work, rates);
    let done = facts.completed + facts.failed;
    let each = |sum: u64, count: u64| (count > 0).then(|| (sum + count / 2) / count);
    let mut metadata = json!({
        "timezone": timezone, "cost_unknown": facts.cost_unknown,
        "time_saved_hours": format!("{:.2}", saved.time_saved_ms as f64 / 3_600_000.0),
        "value_generated_usd": roi::cents(saved.value_micro),
        "manual_minutes_per_task": rates.minutes_per_task, "hourly_rate_usd": rates.hourly_usd,
    });
    let is_whole = facts.product_id.is_none() && facts.user_id.is_none();
    if let Some(more) = metadata.as_object_mut().filter(|_| is_whole) {
        let running = roi::infrastructure_micro(infrastructure, facts.first, facts.last);
        let revenue = amount(&facts.revenue)?;
        let percent = roi::roi(revenue, work.cost_micro + running);
        more.insert("revenue_usd".to_owned(), json!(roi::cents(revenue)));
        more.insert("infrastructure_usd".to_owned(), json!(roi::cents(running)));
        let shown = percent.map(|hundredths| roi::cents(hundredths * roi::MICRO / 100));
        more.insert("roi_percent".to_owned(), json!(shown));
        let why = percent.is_none().then_some(roi::NO_COSTS);
        more.insert("roi_reason".to_owned(), json!(why));
    }
    Ok(json!({
        "period_type": facts.period_type, "period_start": facts.first, "period_end": facts.last,
        "product_id": facts.product_id, "user_id": facts.user_id,
        "tasks_completed": facts.completed, "tasks_failed": facts.failed,
        "success_rate": each(facts.completed * 10_000, done).map(|rate| format!("{}.{:02}", rate / 100, rate % 100)),
        "time_saved_minutes": roi::minutes(saved.time_saved_ms) as i64,
        "manual_equivalent_minutes": saved.manual_minutes as i64,
        "cost_ai": roi::cents(work.cost_micro),
        "cost_manual_equivalent": roi::cents(saved.manual_cost_micro),
        "money_saved": roi::cents(saved.money_saved_micro),
        "total_tokens": facts.tokens,
        "avg_tokens_per_task": each(facts.tokens, done),
        "avg_execution_time_ms": each(facts.execution_ms, facts.timed),
        "p95_execution_time_ms": facts.p95, "p99_execution_time_ms": facts.p99,
        "active_users_count": facts.active_users, "new_users_count": facts.new_users,
        "metadata": metadata,
    }))
}

/// What both tables have, as the rows come.
const ROW: &str = "period_type text, period_start date, period_end date, product_id uuid, user_id uuid, tasks_completed bigint,
    tasks_failed bigint, success_rate numeric, time_saved_minutes bigint, manual_equivalent_minutes bigint, cost_ai numeric,
    cost_manual_equivalent numeric, money_saved numeric, total_tokens bigint, avg_tokens_per_task integer,
    avg_execution_time_ms integer, p95_execution_time_ms integer, p99_execution_time_ms integer, active_users_count integer,
    new_users_count integer, metadata jsonb";

/// Names of columns.
const MEASURES: [&str; 16] = [
    "period_end",
    "tasks_completed",
    "tasks_failed",
    "success_rate",
    "time_saved_minutes",
    "manual_equivalent_minutes",
    "cost_ai",
    "cost_manual_equivalent",
    "money_saved",
    "total_tokens",
    "avg_tokens_per_task",
    "avg_execution_time_ms",
    "p95_execution_time_ms",
    "p99_execution_time_ms",
    "metadata",
    "period_type",
];

/// Writes rows that say something new, and leaves the others as they are.
async fn write(tx: &mut Tx, organization: Uuid, rows: &[Value]) -> Result<()> {
    let upsert = |table: &str, key: &str, more: &[&str], those: &str| {
        let measures: Vec<&str> = MEASURES.iter().chain(more).copied().collect();
        let columns = measures.join(", ");
        let qualified = |of: &str| {
            let all: Vec<_> = measures.iter().map(|name| format!("{of}.{name}")).collect();
            all.join(", ")
        };
        format!(
            "INSERT INTO {table} AS t (organization_id, {key}, {columns})
             SELECT $1::uuid, {key}, {columns} FROM jsonb_to_recordset($2::jsonb) AS r ({ROW}) WHERE {those}
             ON CONFLICT (organization_id, period_type, {key}) DO UPDATE SET ({columns}) = ROW ({})
             WHERE ({}) IS DISTINCT FROM ({})",
            qualified("excluded"),
            qualified("t"),
            qualified("excluded"),
        )
    };
    let whole = upsert(
        "roi_metrics",
        "period_start",
        &["active_users_count", "new_users_count"],
        "product_id IS NULL AND user_id IS NULL",
    );
    let parts = upsert(
        "roi_metrics_parts",
        "period_start, product_id, user_id",
        &[],
        "product_id IS NOT NULL OR user_id IS NOT NULL",
    );
    for statement in [whole, parts] {
        let query = sql(statement).bind(organization).bind(json!(rows));
        tx.execute(query).await?;
    }
    Ok(())
}
