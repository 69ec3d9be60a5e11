//! Licenses, what they are worth in a month, and how they were validated.

use super::{PLAN, PRODUCT};
use crate::modules::analytics::report::{Group, Measure, Report, Unit, measure};

/// Validations of an organization, added up.
pub const VALIDATIONS: &str =
    "analytics_validations($6::uuid, '{breakdown}', {range}.from_at, {range}.to_at)";
/// Collisions of an organization, added up.
pub const COLLISIONS: &str =
    "analytics_collisions($6::uuid, '{breakdown}', {range}.from_at, {range}.to_at)";
/// Validations of one person's licenses, one by one.
pub const OWN_VALIDATIONS: &str = "(SELECT l.organization_id, l.product_id, coalesce(v.failure_reason, 'VALID') AS verdict, v.country,
    analytics_version(v.device_info) AS version, 1 AS validations
  FROM licenses l JOIN license_validations v ON v.license_id = l.id AND v.organization_id = l.organization_id
  WHERE l.{mine} AND l.owner_id = $7::uuid AND v.created_at >= {range}.from_at AND v.created_at < {range}.to_at)";
/// Collisions of one person's licenses, one by one.
pub const OWN_COLLISIONS: &str = "(SELECT l.organization_id, l.product_id, 1 AS collisions
  FROM licenses l JOIN license_collisions c ON c.license_id = l.id AND c.organization_id = l.organization_id
  WHERE l.{mine} AND l.owner_id = $7::uuid AND c.detected_at >= {range}.from_at AND c.detected_at < {range}.to_at)";

/// The last there is of a stock.
macro_rules! last {
    ($column:literal) => {
        concat!(
            "(array_agg(f.",
            $column,
            " ORDER BY f.place DESC) FILTER (WHERE f.",
            $column,
            " IS NOT NULL))[1]"
        )
    };
}
/// The first there is of a stock.
macro_rules! first {
    ($column:literal) => {
        concat!(
            "(array_agg(f.",
            $column,
            " ORDER BY f.place) FILTER (WHERE f.",
            $column,
            " IS NOT NULL))[1]"
        )
    };
}
/// What a movement did to the monthly revenue, as a positive number where it took away.
macro_rules! moved {
    ($sign:literal, $movements:literal) => {
        concat!(
            "coalesce(",
            $sign,
            "sum(f.mrr_delta) FILTER (WHERE f.movement IN (",
            $movements,
            ")), 0)"
        )
    };
}

/// Licenses in use.
const ACTIVE: Measure = measure(
    "active",
    Unit::Count,
    concat!("coalesce(", last!("active"), ", 0)"),
);
const NEW: Measure = measure("new", Unit::Count, "count(*) FILTER (WHERE f.what = 'new')");
const EXPIRING: Measure = measure(
    "expiring",
    Unit::Count,
    "count(*) FILTER (WHERE f.what = 'expiring')",
);
const CANCELLED: Measure = measure(
    "cancelled",
    Unit::Count,
    "count(*) FILTER (WHERE f.what = 'cancelled')",
);
const COLLIDED: Measure = measure("collisions", Unit::Count, "coalesce(sum(f.collisions), 0)");
const MRR: Measure = measure(
    "mrr",
    Unit::Money,
    concat!("round(coalesce(", last!("mrr"), ", 0), 2)"),
)
.shared();
const ARR: Measure = measure(
    "arr",
    Unit::Money,
    concat!("round(coalesce(", last!("mrr"), ", 0) * 12, 2)"),
)
.shared();
const SUBSCRIBERS: Measure = measure(
    "subscribers",
    Unit::Count,
    concat!("coalesce(", last!("subscribers"), ", 0)"),
)
.shared();
const NEW_MRR: Measure = measure(
    "new_mrr",
    Unit::Money,
    concat!("round(", moved!("", "'new'"), ", 2)"),
)
.shared();
const REACTIVATED: Measure = measure(
    "reactivation_mrr",
    Unit::Money,
    concat!("round(", moved!("", "'reactivation'"), ", 2)"),
)
.shared();
const EXPANSION: Measure = measure(
    "expansion_mrr",
    Unit::Money,
    concat!("round(", moved!("", "'expansion'"), ", 2)"),
)
.shared();
const CONTRACTION: Measure = measure(
    "contraction_mrr",
    Unit::Money,
    concat!("round(", moved!("-", "'contraction'"), ", 2)"),
)
.shared();
const CHURNED: Measure = measure(
    "churned_mrr",
    Unit::Money,
    concat!("round(", moved!("-", "'churn'"), ", 2)"),
)
.shared();
const GROSS_CHURN: Measure = measure(
    "gross_churn_rate",
    Unit::Ratio,
    concat!(
        "round(",
        moved!("-", "'churn', 'contraction'"),
        " / nullif(",
        first!("mrr_before"),
        ", 0), 6)"
    ),
)
.or("no_mrr_before")
.shared();
const NET_CHURN: Measure = measure(
    "net_churn_rate",
    Unit::Ratio,
    concat!(
        "round(",
        moved!("-", "'churn', 'contraction', 'expansion', 'reactivation'"),
        " / nullif(",
        first!("mrr_before"),
        ", 0), 6)"
    ),
)
.or("no_mrr_before")
.shared();
/// What a subscriber brings in a month, by the part of the monthly revenue that is lost in one.
const LTV: Measure = measure(
    "ltv",
    Unit::Money,
    concat!(
        "round((",
        last!("mrr"),
        " / nullif(",
        last!("subscribers"),
        ", 0)) / nullif(",
        moved!("-", "'churn', 'contraction'"),
        " / nullif(",
        first!("mrr_before"),
        ", 0) / nullif(sum(f.months), 0), 0), 2)"
    ),
)
.or("no_churn")
.shared();
const HELD: Measure = measure("licenses", Unit::Count, "count(*)").timeless();

/// The licenses that are asked about; when each came to be used, and when it ceased to be.
macro_rules! licenses {
    () => {
        "l AS MATERIALIZED (
  SELECT l.status::text AS status, l.plan_id, l.product_id, l.created_at, l.expires_at, l.cancelled_at,
    least(l.expires_at, l.cancelled_at, l.suspended_at) AS ends_at
  FROM licenses l WHERE l.{mine} AND ($7 IS NULL OR l.owner_id = $7::uuid)
    AND ($9 IS NULL OR l.product_id = $9::uuid) AND ($10 IS NULL OR l.plan_id = $10::uuid)
)"
    };
}

/// How many licenses were in use at the end of each bucket, or are now.
macro_rules! in_use {
    () => {
        "turns AS (
  SELECT e.which, greatest(width_bucket(t.at, e.cuts), 1)::bigint AS place, sum(t.n) AS n FROM edges e JOIN (
    SELECT created_at AS at, 1 AS n FROM l UNION ALL SELECT greatest(ends_at, created_at), -1 FROM l WHERE ends_at IS NOT NULL) AS t
    ON t.at < least(e.to_at, now())
  GROUP BY 1, 2
), in_use AS (
  SELECT b.which, b.place, sum(coalesce(t.n, 0)) OVER (PARTITION BY b.which ORDER BY b.place) AS active
  FROM buckets b LEFT JOIN turns t ON t.which = b.which AND t.place = b.place
)"
    };
}
pub(super) use {in_use, licenses};

const FACTS: &str = concat!(
    licenses!(),
    ", ",
    in_use!(),
    ", moves AS MATERIALIZED (
  SELECT b.which, b.place, f.currency, f.movement, f.movements, f.mrr_delta FROM buckets b CROSS JOIN LATERAL analytics_subscriptions($6::uuid,
    CASE WHEN $9 IS NULL AND $10 IS NULL THEN 'total' ELSE 'product' END, b.from_at, b.to_at) f
  WHERE $7 IS NULL AND f.{mine} AND ($9 IS NULL OR f.product_id = $9::uuid) AND ($10 IS NULL OR f.plan_id = $10::uuid)
  UNION ALL
  SELECT e.which, 0, f.currency, f.movement, f.movements, f.mrr_delta FROM edges e CROSS JOIN LATERAL analytics_subscriptions($6::uuid,
    CASE WHEN $9 IS NULL AND $10 IS NULL THEN 'total' ELSE 'product' END, '-infinity', e.from_at) f
  WHERE $7 IS NULL AND f.{mine} AND ($9 IS NULL OR f.product_id = $9::uuid) AND ($10 IS NULL OR f.plan_id = $10::uuid)
), steps AS (
  SELECT which, place, sum(mrr_delta) AS mrr,
    sum(CASE movement WHEN 'new' THEN movements WHEN 'reactivation' THEN movements WHEN 'churn' THEN -movements ELSE 0 END) AS subscribers
  FROM moves WHERE currency = $8 GROUP BY which, place
), stocks AS (
  SELECT b.which, b.place, sum(coalesce(s.mrr, 0)) OVER w AS mrr, sum(coalesce(s.mrr, 0)) OVER w - coalesce(s.mrr, 0) AS mrr_before,
    sum(coalesce(s.subscribers, 0)) OVER w AS subscribers,
    CASE WHEN b.place > 0 THEN extract(epoch FROM b.to_at - b.from_at) / 2629746 END AS months
  FROM (SELECT which, place, from_at, to_at FROM buckets UNION ALL SELECT which, 0, NULL, NULL FROM edges) AS b
  LEFT JOIN steps s ON s.which = b.which AND s.place = b.place WINDOW w AS (PARTITION BY b.which ORDER BY b.place)
), facts AS MATERIALIZED (
  SELECT e.which, width_bucket(c.at, e.cuts)::bigint AS place, c.what, NULL::bigint AS collisions, NULL::numeric AS active,
    NULL::numeric AS mrr, NULL::numeric AS mrr_before, NULL::numeric AS subscribers, NULL::numeric AS months,
    NULL::text AS movement, NULL::numeric AS mrr_delta
  FROM edges e JOIN (
    SELECT created_at AS at, 'new' AS what FROM l
    UNION ALL SELECT expires_at, 'expiring' FROM l WHERE expires_at IS NOT NULL AND cancelled_at IS NULL
    UNION ALL SELECT cancelled_at, 'cancelled' FROM l WHERE cancelled_at IS NOT NULL) AS c ON c.at >= e.from_at AND c.at < e.to_at
  UNION ALL
  SELECT b.which, b.place, NULL, f.collisions, NULL, NULL, NULL, NULL, NULL, NULL, NULL
  FROM buckets b CROSS JOIN LATERAL {collisions product b} f WHERE f.{mine} AND ($9 IS NULL OR f.product_id = $9::uuid) AND $10 IS NULL
  UNION ALL
  SELECT u.which, u.place, NULL, NULL, u.active, NULL, NULL, NULL, NULL, NULL, NULL FROM in_use u
  UNION ALL
  SELECT s.which, s.place, NULL, NULL, NULL, s.mrr, s.mrr_before, s.subscribers, s.months, NULL, NULL FROM stocks s WHERE s.place > 0
  UNION ALL
  SELECT m.which, m.place, NULL, NULL, NULL, NULL, NULL, NULL, NULL, m.movement, m.mrr_delta FROM moves m WHERE m.place > 0 AND m.currency = $8)"
);

const fn by(by: &'static str, key: &'static str, label: &'static str) -> Group {
    Group::of(by, key, "l AS f", &["licenses"]).called(label)
}

/// `GET /api/analytics/licenses`
pub const LICENSES: Report = Report {
    name: "licenses",
    path: "/api/analytics/licenses",
    is_own: true,
    kinds: "subscriptions,collisions",
    filters: &["product_id", "plan_id"],
    facts: FACTS,
    currencies: Some("moves"),
    measures: &[
        &ACTIVE,
        &NEW,
        &EXPIRING,
        &CANCELLED,
        &COLLIDED,
        &MRR,
        &ARR,
        &SUBSCRIBERS,
        &NEW_MRR,
        &REACTIVATED,
        &EXPANSION,
        &CONTRACTION,
        &CHURNED,
        &GROSS_CHURN,
        &NET_CHURN,
        &LTV,
        &HELD,
    ],
    groups: &[
        by("status", "f.status", "k.key"),
        by("plan", "f.plan_id", PLAN),
        by("product", "f.product_id", PRODUCT),
    ],
    split: None,
};

const VALIDATED_ALL: Measure = measure(
    "validations",
    Unit::Count,
    "coalesce(sum(f.validations), 0)",
);
const ACCEPTED: Measure = measure(
    "valid",
    Unit::Count,
    "coalesce(sum(f.validations) FILTER (WHERE f.verdict = 'VALID'), 0)",
);
const REFUSED: Measure = measure(
    "refused",
    Unit::Count,
    "coalesce(sum(f.validations) FILTER (WHERE f.verdict <> 'VALID'), 0)",
);
const REFUSAL_RATE: Measure = measure(
    "refusal_rate",
    Unit::Ratio,
    "round(coalesce(sum(f.validations) FILTER (WHERE f.verdict <> 'VALID'), 0)::numeric / nullif(sum(f.validations), 0), 6)",
)
.or("no_validations");

const OF_VALIDATIONS: &[&str] = &["validations", "valid", "refused", "refusal_rate"];

/// `GET /api/analytics/licenses/validations`
pub const VALIDATED: Report = Report {
    name: "license_validations",
    path: "/api/analytics/licenses/validations",
    is_own: true,
    kinds: "validations",
    filters: &["product_id"],
    facts: "facts AS MATERIALIZED (
  SELECT b.which, b.place, f.verdict, f.product_id, f.validations FROM buckets b CROSS JOIN LATERAL {validations product b} f
  WHERE f.{mine} AND ($9 IS NULL OR f.product_id = $9::uuid))",
    currencies: None,
    measures: &[&VALIDATED_ALL, &ACCEPTED, &REFUSED, &REFUSAL_RATE],
    groups: &[
        Group::of("verdict", "f.verdict", "facts f WHERE f.which = 0", &["validations"]),
        Group::of("country", "f.country", "spans s CROSS JOIN LATERAL {validations country s} f
              WHERE s.which = 0 AND f.{mine} AND ($9 IS NULL OR f.product_id = $9::uuid)", OF_VALIDATIONS),
        Group::of("version", "f.version", "spans s CROSS JOIN LATERAL {validations version s} f
              WHERE s.which = 0 AND f.{mine} AND ($9 IS NULL OR f.product_id = $9::uuid)", OF_VALIDATIONS),
        Group::of("product", "f.product_id", "facts f WHERE f.which = 0", OF_VALIDATIONS).called(PRODUCT),
    ],
    split: Some("buckets b JOIN facts f ON f.which = b.which AND f.place = b.place WHERE b.which = 0"),
};
