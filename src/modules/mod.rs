//! One folder a module, all of one shape: `mod.rs` names its files, `model.rs` holds wire shapes, one
//! file per endpoint or tight group, `queries.rs` its SQL with the tenant transaction as first argument.

pub mod ai;
pub mod analytics;
pub mod assets;
pub mod audit;
pub mod auth;
pub mod categories;
pub mod coupons;
pub mod feature_flags;
pub mod health;
pub mod invoices;
pub mod licenses;
pub mod orders;
pub mod organizations;
pub mod payment_methods;
pub mod payments;
pub mod plans;
pub mod products;
pub mod releases;
pub mod reviews;
pub mod settings;
pub mod subscriptions;
pub mod system;
pub mod tax_rates;
pub mod telemetry;
pub mod users;
pub mod webhooks;
