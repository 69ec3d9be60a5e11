//! Every report: where its facts are, and what its numbers are made of.

pub mod ai;
pub mod dashboard;
pub mod licenses;
pub mod people;
pub mod roi;
pub mod sales;

use super::report::Report;

/// All of them, in the order in which an archive has them.
pub const ALL: &[&Report] = &[
    &dashboard::DASHBOARD,
    &licenses::LICENSES,
    &licenses::VALIDATED,
    &sales::SALES,
    &sales::BY_PRODUCT,
    &sales::BY_PERIOD,
    &ai::USAGE,
    &ai::BY_PROVIDER,
    &ai::COSTS,
    &roi::ROI,
    &roi::BY_PRODUCT,
    &people::USERS,
    &people::ACTIVE,
];

/// What a product is called.
pub const PRODUCT: &str = "SELECT p.name FROM products p WHERE p.id = k.key::uuid";
/// What a plan is called.
pub const PLAN: &str = "SELECT p.name FROM subscription_plans p WHERE p.id = k.key::uuid";
