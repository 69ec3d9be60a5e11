//! Everything at a glance.

use super::licenses::{in_use, licenses};
use super::{PRODUCT, sales};
use crate::modules::analytics::report::{Group, Measure, Report, Unit, measure};

const REVENUE: Measure = sales::REVENUE.shared();
const ORDERS: Measure = sales::ORDERS.shared();
const ACTIVE_LICENSES: Measure = measure(
    "active_licenses",
    Unit::Count,
    "coalesce((array_agg(f.active ORDER BY f.place DESC) FILTER (WHERE f.active IS NOT NULL))[1], 0)",
);
const NEW_USERS: Measure = measure("new_users", Unit::Count, "count(f.came)").shared();
const REQUESTS: Measure = measure("ai_requests", Unit::Count, "coalesce(sum(f.requests), 0)");
const ERROR_RATE: Measure = measure(
    "error_rate",
    Unit::Ratio,
    "round(sum(f.failed) / nullif(sum(f.requests), 0), 6)",
)
.or("no_requests");

const FACTS: &str = concat!(
    licenses!(),
    ", ",
    in_use!(),
    ", sold AS MATERIALIZED (
  SELECT b.which, b.place, f.currency, f.kind, f.orders, f.total
  FROM buckets b CROSS JOIN LATERAL analytics_sales($6::uuid, 'total', b.from_at, b.to_at) f WHERE $7 IS NULL AND f.{mine}
), facts AS MATERIALIZED (
  SELECT s.which, s.place, s.kind, s.orders, s.total, NULL::numeric AS active, NULL::uuid AS came, NULL::bigint AS requests,
    NULL::bigint AS failed
  FROM sold s WHERE s.currency = $8
  UNION ALL
  SELECT u.which, u.place, NULL, NULL, NULL, u.active, NULL, NULL, NULL FROM in_use u
  UNION ALL
  SELECT e.which, width_bucket(coalesce(u.activated_at, u.created_at), e.cuts)::bigint, NULL, NULL, NULL, NULL, u.id, NULL, NULL
  FROM edges e JOIN users_profile u ON coalesce(u.activated_at, u.created_at) >= e.from_at AND coalesce(u.activated_at, u.created_at) < e.to_at
  WHERE $7 IS NULL AND u.{mine} AND (u.invited_at IS NULL OR u.activated_at IS NOT NULL)
  UNION ALL
  SELECT b.which, b.place, NULL, NULL, NULL, NULL, NULL, f.requests, f.failed
  FROM buckets b CROSS JOIN LATERAL analytics_ai($6::uuid, CASE WHEN $7 IS NULL THEN 'total' ELSE 'user' END, b.from_at, b.to_at) f
  WHERE f.{mine} AND ($7 IS NULL OR f.user_id = $7::uuid))"
);

/// `GET /api/analytics/dashboard`
pub const DASHBOARD: Report = Report {
    name: "dashboard",
    path: "/api/analytics/dashboard",
    is_own: true,
    kinds: "sales,ai",
    filters: &[],
    facts: FACTS,
    currencies: Some("sold"),
    measures: &[
        &REVENUE,
        &ORDERS,
        &ACTIVE_LICENSES,
        &NEW_USERS,
        &REQUESTS,
        &ERROR_RATE,
    ],
    groups: &[Group::of(
        "top_product",
        "f.product_id",
        "spans s CROSS JOIN LATERAL (
            SELECT p.currency, p.kind, p.product_id, p.lines AS orders, p.total
            FROM analytics_sales($6::uuid, 'product', s.from_at, s.to_at) p WHERE p.{mine}) f
          WHERE s.which = 0 AND f.currency = $8",
        &["revenue", "orders"],
    )
    .called(PRODUCT)
    .of_nobody()],
    split: None,
};
