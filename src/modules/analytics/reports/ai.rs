//! What models were asked.

use super::PRODUCT;
use crate::modules::analytics::report::{Group, Measure, Report, Unit, measure};

const REQUESTS: Measure = measure("requests", Unit::Count, "coalesce(sum(f.requests), 0)");
const COMPLETED: Measure = measure("completed", Unit::Count, "coalesce(sum(f.completed), 0)");
const FAILED: Measure = measure("failed", Unit::Count, "coalesce(sum(f.failed), 0)");
const ERROR_RATE: Measure = measure(
    "error_rate",
    Unit::Ratio,
    "round(sum(f.failed) / nullif(sum(f.requests), 0), 6)",
)
.or("no_requests");
const TOKENS_INPUT: Measure = measure(
    "tokens_input",
    Unit::Tokens,
    "coalesce(sum(f.tokens_input), 0)",
);
const TOKENS_OUTPUT: Measure = measure(
    "tokens_output",
    Unit::Tokens,
    "coalesce(sum(f.tokens_output), 0)",
);
const COST: Measure = measure("cost_usd", Unit::Usd, "coalesce(sum(f.cost_usd), 0)");
const UNKNOWN: Measure = measure(
    "cost_unknown",
    Unit::Count,
    "coalesce(sum(f.cost_unknown), 0)",
);
const PER_REQUEST: Measure = measure(
    "cost_per_request_usd",
    Unit::Usd,
    "round(sum(f.cost_usd) / nullif(sum(f.requests - f.cost_unknown), 0), 9)",
)
.or("no_requests");
const PER_TOKENS: Measure = measure(
    "cost_per_1k_tokens_usd",
    Unit::Usd,
    "round(sum(f.cost_usd) * 1000 / nullif(sum(f.tokens_input + f.tokens_output), 0), 9)",
)
.or("no_tokens");
const MEAN: Measure = measure(
    "avg_ms",
    Unit::Ms,
    "round(sum(f.execution_ms) / nullif(sum(f.timed), 0), 1)",
)
.or("no_requests");
const P50: Measure = measure(
    "p50_ms",
    Unit::Ms,
    "latency_percentile(latency_all(f.latency), 0.5)",
)
.or("no_requests");
const P95: Measure = measure(
    "p95_ms",
    Unit::Ms,
    "latency_percentile(latency_all(f.latency), 0.95)",
)
.or("no_requests");
const P99: Measure = measure(
    "p99_ms",
    Unit::Ms,
    "latency_percentile(latency_all(f.latency), 0.99)",
)
.or("no_requests");

/// The facts of buckets, with the least that tells them apart.
const ASKED: &str = "facts AS MATERIALIZED (
  SELECT b.which, b.place, f.requests, f.completed, f.failed, f.tokens_input, f.tokens_output, f.cost_usd, f.cost_unknown,
    f.timed, f.execution_ms, f.latency
  FROM buckets b CROSS JOIN LATERAL analytics_ai($6::uuid,
    CASE WHEN $7 IS NOT NULL THEN 'user' WHEN $9 IS NOT NULL THEN 'product' ELSE 'total' END, b.from_at, b.to_at) f
  WHERE f.{mine} AND ($7 IS NULL OR f.user_id = $7::uuid) AND ($9 IS NULL OR f.product_id = $9::uuid)
    AND ($11 IS NULL OR f.provider::text = $11))";

/// The facts of the whole period by something.
macro_rules! by {
    ($breakdown:literal) => {
        concat!(
            "spans s CROSS JOIN LATERAL analytics_ai($6::uuid, ",
            $breakdown,
            ", s.from_at, s.to_at) f
  WHERE s.which = 0 AND f.{mine} AND ($7 IS NULL OR f.user_id = $7::uuid) AND ($9 IS NULL OR f.product_id = $9::uuid)
    AND ($11 IS NULL OR f.provider::text = $11)"
        )
    };
}

const IN_BUCKETS: &str = "buckets b CROSS JOIN LATERAL analytics_ai($6::uuid,
    CASE WHEN $7 IS NOT NULL THEN 'user' WHEN $9 IS NOT NULL THEN 'product' ELSE 'total' END, b.from_at, b.to_at) f
  WHERE b.which = 0 AND f.{mine} AND ($7 IS NULL OR f.user_id = $7::uuid) AND ($9 IS NULL OR f.product_id = $9::uuid)
    AND ($11 IS NULL OR f.provider::text = $11)";

const OF_THINGS: &[&str] = &[
    "requests",
    "completed",
    "failed",
    "error_rate",
    "tokens_input",
    "tokens_output",
    "cost_usd",
    "cost_unknown",
    "avg_ms",
    "p50_ms",
    "p95_ms",
    "p99_ms",
];
const COSTS_OF_THINGS: &[&str] = &[
    "cost_usd",
    "cost_unknown",
    "requests",
    "tokens_input",
    "tokens_output",
    "cost_per_request_usd",
    "cost_per_1k_tokens_usd",
];

const fn by_provider(measures: &'static [&'static str]) -> Group {
    Group::of(
        "provider",
        "f.provider",
        by!(
            "CASE WHEN $7 IS NOT NULL THEN 'user' WHEN $9 IS NOT NULL THEN 'product' ELSE 'total' END"
        ),
        measures,
    )
}

const fn by_model(measures: &'static [&'static str]) -> Group {
    Group::of("model", "f.model_id", by!(
            "CASE WHEN $7 IS NOT NULL THEN 'user' WHEN $9 IS NOT NULL THEN 'product' ELSE 'model' END"
        ), measures).called("SELECT m.model_id FROM ai_models m WHERE m.id = k.key::uuid")
}

const fn by_prompt(measures: &'static [&'static str]) -> Group {
    Group::of("prompt", "f.prompt_id", by!("'prompt'"), measures)
        .called("SELECT p.slug || ' v' || p.version FROM prompts_master p WHERE p.id = k.key::uuid")
        .of_nobody()
        .of_no_product()
}

const fn by_key(measures: &'static [&'static str]) -> Group {
    Group::of("key", "f.api_key_id", by!("'key'"), measures)
        .called("SELECT a.key_name FROM ai_api_pool a WHERE a.id = k.key::uuid")
        .of_nobody()
        .of_no_product()
}

const fn by_product(measures: &'static [&'static str]) -> Group {
    Group::of("product", "f.product_id", by!("'product'"), measures)
        .called(PRODUCT)
        .of_nobody()
}

/// `GET /api/analytics/ai-usage`
pub const USAGE: Report = Report {
    name: "ai_usage",
    path: "/api/analytics/ai-usage",
    is_own: true,
    kinds: "ai",
    filters: &["product_id", "provider"],
    facts: ASKED,
    currencies: None,
    measures: &[
        &REQUESTS,
        &COMPLETED,
        &FAILED,
        &ERROR_RATE,
        &TOKENS_INPUT,
        &TOKENS_OUTPUT,
        &COST,
        &UNKNOWN,
        &MEAN,
        &P50,
        &P95,
        &P99,
    ],
    groups: &[
        by_model(OF_THINGS),
        by_prompt(OF_THINGS),
        by_key(OF_THINGS),
        by_product(OF_THINGS),
    ],
    split: None,
};

/// `GET /api/analytics/ai-usage/by-provider`
pub const BY_PROVIDER: Report = Report {
    name: "ai_usage_by_provider",
    path: "/api/analytics/ai-usage/by-provider",
    groups: &[by_provider(OF_THINGS), by_model(OF_THINGS)],
    split: Some(IN_BUCKETS),
    ..USAGE
};

/// `GET /api/analytics/ai-usage/costs`
pub const COSTS: Report = Report {
    name: "ai_costs",
    path: "/api/analytics/ai-usage/costs",
    measures: &[
        &COST,
        &UNKNOWN,
        &REQUESTS,
        &TOKENS_INPUT,
        &TOKENS_OUTPUT,
        &PER_REQUEST,
        &PER_TOKENS,
    ],
    groups: &[
        by_provider(COSTS_OF_THINGS),
        by_model(COSTS_OF_THINGS),
        by_prompt(COSTS_OF_THINGS),
        by_key(COSTS_OF_THINGS),
        by_product(COSTS_OF_THINGS),
    ],
    ..USAGE
};
