//! What came of what was spent.

use super::PRODUCT;
use crate::modules::analytics::report::{Group, Measure, Report, Unit, measure};

/// What people would have needed less what models needed: as many tasks of the mean length.
macro_rules! saved_minutes {
    () => {
        "(coalesce(sum(f.completed * f.manual_minutes), 0)
      - coalesce(sum(f.completed) * sum(f.execution_ms) / nullif(sum(f.timed), 0), 0) / 60000)"
    };
}

/// A column of all facts together, 0 where there is none.
macro_rules! all {
    ($column:literal) => {
        concat!("coalesce(sum(f.", $column, "), 0)")
    };
}

macro_rules! costs {
    () => {
        concat!(all!("cost_ai"), " + ", all!("cost_infrastructure"))
    };
}

macro_rules! profit {
    () => {
        concat!(
            all!("revenue"),
            " - ",
            all!("cost_ai"),
            " - ",
            all!("cost_infrastructure")
        )
    };
}

/// What people would have cost.
macro_rules! manual_cost {
    () => {
        "coalesce(sum(f.completed * f.manual_minutes * f.hourly_rate), 0) / 60"
    };
}

const REVENUE: Measure = measure("revenue", Unit::Usd, all!("revenue"));
const COSTS: Measure = measure("costs", Unit::Usd, concat!("round(", costs!(), ", 6)"));
const COST_AI: Measure = measure("cost_ai", Unit::Usd, all!("cost_ai"));
const COST_INFRASTRUCTURE: Measure = measure(
    "cost_infrastructure",
    Unit::Usd,
    concat!("round(", all!("cost_infrastructure"), ", 6)"),
);
const PROFIT: Measure = measure("profit", Unit::Usd, concat!("round(", profit!(), ", 6)"));
const RETURN: Measure = measure(
    "roi",
    Unit::Percent,
    concat!(
        "round((",
        profit!(),
        ") * 100 / nullif(",
        costs!(),
        ", 0), 2)"
    ),
)
.or("no_costs");
const TASKS: Measure = measure("tasks_completed", Unit::Count, all!("completed"));
const FAILED: Measure = measure("tasks_failed", Unit::Count, all!("failed"));
const SUCCESS: Measure = measure(
    "success_rate",
    Unit::Percent,
    "round(sum(f.completed) * 100 / nullif(sum(f.completed) + sum(f.failed), 0), 2)",
)
.or("no_tasks");
const TIME_SAVED: Measure = measure(
    "time_saved_hours",
    Unit::Hours,
    concat!("round(", saved_minutes!(), " / 60, 4)"),
);
const MANUAL_COST: Measure = measure(
    "cost_manual_equivalent",
    Unit::Usd,
    concat!("round(", manual_cost!(), ", 2)"),
);
const MONEY_SAVED: Measure = measure(
    "money_saved",
    Unit::Usd,
    concat!("round(", manual_cost!(), " - ", all!("cost_ai"), ", 2)"),
);
const VALUE: Measure = measure(
    "value_generated_usd",
    Unit::Usd,
    concat!(
        "round(",
        saved_minutes!(),
        " * coalesce(sum(f.completed * f.hourly_rate) / nullif(sum(f.completed), 0), 0) / 60, 2)"
    ),
);

/// What each organization has set in its own settings, or else the system's, or else the defaults; and what running
/// everything costs all of them that are asked about.
macro_rules! rates {
    () => {
        "settings AS MATERIALIZED (
  SELECT coalesce(sum(v.n) FILTER (WHERE v.key = 'analytics.manual_minutes_per_task'), {manual_minutes}) AS manual_minutes,
    coalesce(sum(v.n) FILTER (WHERE v.key = 'analytics.hourly_rate_usd'), {hourly_rate}) AS hourly_rate,
    coalesce(sum(v.n) FILTER (WHERE v.key = 'analytics.infrastructure_cost_usd_per_month'), {infrastructure}) AS infrastructure
  FROM (SELECT c.key, (c.value #>> '{}')::numeric AS n FROM system_config c WHERE c.key LIKE 'analytics.%'
          AND jsonb_typeof(c.value) = 'number') AS v
), rates AS MATERIALIZED (
  SELECT o.id AS organization_id, o.deleted_at,
    coalesce((o.settings #>> '{analytics,manual_minutes_per_task}')::numeric, s.manual_minutes) AS manual_minutes,
    coalesce((o.settings #>> '{analytics,hourly_rate_usd}')::numeric, s.hourly_rate) AS hourly_rate,
    coalesce((o.settings #>> '{analytics,infrastructure_cost_usd_per_month}')::numeric, s.infrastructure) AS infrastructure
  FROM settings s CROSS JOIN organizations o WHERE $6 IS NULL OR o.id = $6::uuid
), running AS MATERIALIZED (
  SELECT coalesce(sum(r.infrastructure), 0) AS infrastructure FROM rates r WHERE r.deleted_at IS NULL OR $6 IS NOT NULL
)"
    };
}

/// Of each month of the zone the share that lies in a bucket. What has not happened yet costs nothing yet.
const WHOLE: &str = concat!(
    rates!(),
    ", facts AS MATERIALIZED (
  SELECT b.which, b.place, CASE f.kind WHEN 'order' THEN f.total ELSE -f.total END AS revenue, NULL::numeric AS cost_ai,
    NULL::numeric AS cost_infrastructure, NULL::bigint AS completed, NULL::bigint AS failed, NULL::bigint AS execution_ms, NULL::bigint AS timed,
    NULL::numeric AS manual_minutes, NULL::numeric AS hourly_rate
  FROM buckets b CROSS JOIN LATERAL analytics_sales($6::uuid, 'total', b.from_at, b.to_at) f WHERE f.{mine} AND f.currency = 'USD'
  UNION ALL
  SELECT b.which, b.place, NULL, f.cost_usd, NULL, f.completed, f.failed, f.execution_ms, f.timed, r.manual_minutes, r.hourly_rate
  FROM buckets b CROSS JOIN LATERAL analytics_ai($6::uuid, 'total', b.from_at, b.to_at) f
  JOIN rates r ON r.organization_id = f.organization_id WHERE f.{mine}
  UNION ALL
  SELECT b.which, b.place, NULL, NULL, r.infrastructure * sum(extract(epoch FROM least(b.to_at, now(), m.to_at) - greatest(b.from_at, m.from_at))
      / extract(epoch FROM m.to_at - m.from_at)), NULL, NULL, NULL, NULL, NULL, NULL
  FROM running r, buckets b CROSS JOIN LATERAL (
    SELECT q AT TIME ZONE $4 AS from_at, (q + interval '1 month') AT TIME ZONE $4 AS to_at FROM generate_series(
      date_trunc('month', b.from_at AT TIME ZONE $4), least(b.to_at, now()) AT TIME ZONE $4 - interval '1 second', interval '1 month') AS q) AS m
  WHERE b.from_at < now() AND r.infrastructure > 0 GROUP BY b.which, b.place, r.infrastructure)"
);

/// What is told apart by product; infrastructure is no product's.
const PRODUCTS: &str = concat!(
    rates!(),
    ", facts AS MATERIALIZED (
  SELECT b.which, b.place, f.product_id, CASE f.kind WHEN 'order' THEN f.total ELSE -f.total END AS revenue, NULL::numeric AS cost_ai,
    NULL::numeric AS cost_infrastructure, NULL::bigint AS completed, NULL::bigint AS failed, NULL::bigint AS execution_ms, NULL::bigint AS timed,
    NULL::numeric AS manual_minutes, NULL::numeric AS hourly_rate
  FROM buckets b CROSS JOIN LATERAL analytics_sales($6::uuid, 'product', b.from_at, b.to_at) f
  WHERE f.{mine} AND f.currency = 'USD' AND ($9 IS NULL OR f.product_id = $9::uuid)
  UNION ALL
  SELECT b.which, b.place, f.product_id, NULL, f.cost_usd, NULL, f.completed, f.failed, f.execution_ms, f.timed, r.manual_minutes, r.hourly_rate
  FROM buckets b CROSS JOIN LATERAL analytics_ai($6::uuid, 'product', b.from_at, b.to_at) f
  JOIN rates r ON r.organization_id = f.organization_id
  WHERE f.{mine} AND ($9 IS NULL OR f.product_id = $9::uuid))"
);

/// `GET /api/analytics/roi`
pub const ROI: Report = Report {
    name: "roi",
    path: "/api/analytics/roi",
    is_own: false,
    kinds: "sales,ai",
    filters: &[],
    facts: WHOLE,
    currencies: None,
    measures: &[
        &REVENUE,
        &COSTS,
        &COST_AI,
        &COST_INFRASTRUCTURE,
        &PROFIT,
        &RETURN,
        &TASKS,
        &FAILED,
        &SUCCESS,
        &TIME_SAVED,
        &MANUAL_COST,
        &MONEY_SAVED,
        &VALUE,
    ],
    groups: &[],
    split: None,
};

/// `GET /api/analytics/roi/by-product`
pub const BY_PRODUCT: Report = Report {
    name: "roi_by_product",
    path: "/api/analytics/roi/by-product",
    filters: &["product_id"],
    facts: PRODUCTS,
    measures: &[
        &REVENUE,
        &COSTS,
        &COST_AI,
        &PROFIT,
        &RETURN,
        &TASKS,
        &FAILED,
        &SUCCESS,
        &TIME_SAVED,
        &MANUAL_COST,
        &MONEY_SAVED,
        &VALUE,
    ],
    groups: &[Group::of(
        "product",
        "f.product_id",
        "facts f WHERE f.which = 0",
        &[
            "revenue",
            "costs",
            "cost_ai",
            "profit",
            "roi",
            "tasks_completed",
            "tasks_failed",
            "success_rate",
            "time_saved_hours",
            "cost_manual_equivalent",
            "money_saved",
            "value_generated_usd",
        ],
    )
    .called(PRODUCT)
    .of_nobody()],
    split: Some(
        "buckets b JOIN facts f ON f.which = b.which AND f.place = b.place WHERE b.which = 0",
    ),
    ..ROI
};
