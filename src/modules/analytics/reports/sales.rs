//! What was sold.

use super::{PLAN, PRODUCT};
use crate::modules::analytics::report::{Group, Measure, Report, Unit, measure};

/// Orders less refunds.
pub const REVENUE: Measure = measure(
    "revenue",
    Unit::Money,
    "coalesce(sum(CASE f.kind WHEN 'order' THEN f.total WHEN 'refund' THEN -f.total END), 0)",
);
const GROSS: Measure = measure(
    "gross_revenue",
    Unit::Money,
    "coalesce(sum(f.total) FILTER (WHERE f.kind = 'order'), 0)",
);
const REFUNDED: Measure = measure(
    "refunds",
    Unit::Money,
    "coalesce(sum(f.total) FILTER (WHERE f.kind = 'refund'), 0)",
);
const NET_OF_TAX: Measure = measure(
    "net_of_tax",
    Unit::Money,
    "coalesce(sum(CASE f.kind WHEN 'order' THEN f.total - f.tax WHEN 'refund' THEN f.tax - f.total END), 0)",
);
const TAX: Measure = measure(
    "tax",
    Unit::Money,
    "coalesce(sum(CASE f.kind WHEN 'order' THEN f.tax WHEN 'refund' THEN -f.tax END), 0)",
);
const DISCOUNT: Measure = measure(
    "discounts",
    Unit::Money,
    "coalesce(sum(f.discount) FILTER (WHERE f.kind = 'order'), 0)",
);
/// Orders that were paid.
pub const ORDERS: Measure = measure(
    "orders",
    Unit::Count,
    "coalesce(sum(f.orders) FILTER (WHERE f.kind = 'order'), 0)",
);
const REFUNDS: Measure = measure(
    "refund_count",
    Unit::Count,
    "coalesce(sum(f.orders) FILTER (WHERE f.kind = 'refund'), 0)",
);
const UNITS: Measure = measure(
    "units",
    Unit::Count,
    "coalesce(sum(f.units) FILTER (WHERE f.kind = 'order'), 0)",
);
const AVERAGE: Measure = measure(
    "average_order",
    Unit::Money,
    "round(sum(f.total) FILTER (WHERE f.kind = 'order') / nullif(sum(f.orders) FILTER (WHERE f.kind = 'order'), 0), 2)",
)
.or("no_orders");
const REFUND_RATE: Measure = measure(
    "refund_rate",
    Unit::Ratio,
    "round(coalesce(sum(f.total) FILTER (WHERE f.kind = 'refund'), 0) / nullif(sum(f.total) FILTER (WHERE f.kind = 'order'), 0), 6)",
)
.or("no_orders");
const PLACED: Measure = measure(
    "coupon_orders",
    Unit::Count,
    "count(*) FILTER (WHERE f.kind = 'placed')",
);
const PAID: Measure = measure(
    "coupon_orders_paid",
    Unit::Count,
    "count(*) FILTER (WHERE f.kind = 'placed' AND f.orders > 0)",
);
const CONVERSION: Measure = measure(
    "coupon_conversion",
    Unit::Ratio,
    "round(count(*) FILTER (WHERE f.kind = 'placed' AND f.orders > 0)::numeric / nullif(count(*) FILTER (WHERE f.kind = 'placed'), 0), 6)",
)
.or("no_coupon_orders");

/// All that was sold, by currency; an order counts for each product it has where products are asked about.
macro_rules! sold {
    () => {
        "sold AS MATERIALIZED (
  SELECT b.which, b.place, f.currency, f.kind,
    CASE WHEN $9 IS NULL AND $10 IS NULL THEN f.orders ELSE f.lines END AS orders, f.units, f.discount, f.tax, f.total
  FROM buckets b CROSS JOIN LATERAL analytics_sales($6::uuid,
    CASE WHEN $9 IS NULL AND $10 IS NULL THEN 'total' ELSE 'product' END, b.from_at, b.to_at) f
  WHERE f.{mine} AND ($9 IS NULL OR f.product_id = $9::uuid) AND ($10 IS NULL OR f.plan_id = $10::uuid)
)"
    };
}

const SOLD: &str = concat!(
    sold!(),
    ", facts AS MATERIALIZED (SELECT * FROM sold f WHERE f.currency = $8)"
);

/// The same, and orders with coupons when they were placed, paid or not.
const SOLD_WITH_COUPONS: &str = concat!(
    sold!(),
    ", placed AS MATERIALIZED (
  SELECT e.which, width_bucket(o.created_at, e.cuts)::bigint AS place, o.currency, o.coupon_id, o.completed_at
  FROM edges e JOIN orders o ON o.created_at >= e.from_at AND o.created_at < e.to_at
  WHERE o.{seller} AND o.coupon_id IS NOT NULL AND $9 IS NULL AND $10 IS NULL
), facts AS MATERIALIZED (
  SELECT * FROM sold f WHERE f.currency = $8
  UNION ALL
  SELECT o.which, o.place, o.currency, 'placed', (o.completed_at IS NOT NULL)::integer, 0, 0, 0, 0
  FROM placed o WHERE o.currency = $8
)"
);

/// By product: an order counts for each product that it has.
const OF_PRODUCTS: &str = "spans s CROSS JOIN LATERAL (
  SELECT p.currency, p.kind, p.product_id, p.plan_id, p.lines AS orders, p.units, p.discount, p.tax, p.total
  FROM analytics_sales($6::uuid, 'product', s.from_at, s.to_at) p WHERE p.{mine}) f
  WHERE s.which = 0 AND f.currency = $8 AND ($9 IS NULL OR f.product_id = $9::uuid) AND ($10 IS NULL OR f.plan_id = $10::uuid)";

const PRODUCTS_IN_BUCKETS: &str = "buckets b CROSS JOIN LATERAL (
  SELECT p.currency, p.kind, p.product_id, p.plan_id, p.lines AS orders, p.units, p.discount, p.tax, p.total
  FROM analytics_sales($6::uuid, 'product', b.from_at, b.to_at) p WHERE p.{mine}) f
  WHERE b.which = 0 AND f.currency = $8 AND ($9 IS NULL OR f.product_id = $9::uuid) AND ($10 IS NULL OR f.plan_id = $10::uuid)";

const OF_COUPONS: &str = "(
  SELECT c.kind, c.coupon_id, c.orders, c.units, c.discount, c.tax, c.total
  FROM spans s CROSS JOIN LATERAL analytics_sales($6::uuid, 'coupon', s.from_at, s.to_at) c
  WHERE s.which = 0 AND c.{mine} AND c.coupon_id IS NOT NULL AND c.currency = $8
  UNION ALL
  SELECT 'placed', o.coupon_id, (o.completed_at IS NOT NULL)::integer, 0, 0, 0, 0 FROM placed o WHERE o.which = 0 AND o.currency = $8) f";

const COUPON: &str = "SELECT c.code FROM coupons c WHERE c.id = k.key::uuid";

const SALES_OF_THINGS: &[&str] = &[
    "revenue",
    "gross_revenue",
    "refunds",
    "net_of_tax",
    "tax",
    "discounts",
    "orders",
    "refund_count",
    "units",
    "refund_rate",
];

const BY_PRODUCTS: Group = Group::of("product", "f.product_id", OF_PRODUCTS, SALES_OF_THINGS)
    .called(PRODUCT)
    .of_nobody();
const BY_PLANS: Group = Group::of("plan", "f.plan_id", OF_PRODUCTS, SALES_OF_THINGS)
    .called(PLAN)
    .of_nobody();
const BY_COUPONS: Group = Group::of(
    "coupon",
    "f.coupon_id",
    OF_COUPONS,
    &[
        "coupon_orders",
        "coupon_orders_paid",
        "coupon_conversion",
        "revenue",
        "discounts",
        "orders",
    ],
)
.called(COUPON)
.of_nobody()
.of_no_product();

/// `GET /api/analytics/sales`
pub const SALES: Report = Report {
    name: "sales",
    path: "/api/analytics/sales",
    is_own: false,
    kinds: "sales",
    filters: &["product_id", "plan_id"],
    facts: SOLD,
    currencies: Some("sold"),
    measures: &[
        &REVENUE,
        &GROSS,
        &REFUNDED,
        &NET_OF_TAX,
        &TAX,
        &DISCOUNT,
        &ORDERS,
        &REFUNDS,
        &UNITS,
        &AVERAGE,
        &REFUND_RATE,
    ],
    groups: &[BY_PRODUCTS, BY_PLANS],
    split: None,
};

/// `GET /api/analytics/sales/by-product`
pub const BY_PRODUCT: Report = Report {
    name: "sales_by_product",
    path: "/api/analytics/sales/by-product",
    facts: SOLD_WITH_COUPONS,
    measures: &[
        &REVENUE,
        &GROSS,
        &REFUNDED,
        &NET_OF_TAX,
        &TAX,
        &DISCOUNT,
        &ORDERS,
        &REFUNDS,
        &UNITS,
        &REFUND_RATE,
        &PLACED,
        &PAID,
        &CONVERSION,
    ],
    groups: &[BY_PRODUCTS, BY_PLANS, BY_COUPONS],
    split: Some(PRODUCTS_IN_BUCKETS),
    ..SALES
};

/// `GET /api/analytics/sales/by-period`
pub const BY_PERIOD: Report = Report {
    name: "sales_by_period",
    path: "/api/analytics/sales/by-period",
    groups: &[],
    ..SALES
};
