//! The Durable Objects of CELAEST Core.
//!
//! Each folder has the same three parts: `rules.rs`, pure functions of state,
//! event and time; `object.rs`, the storage shell around them; `client.rs`, the
//! typed calls the worker makes.

mod call;
pub mod caller;
mod ids;
pub mod license;
pub mod rate_limit;
pub mod seal_head;
pub mod webhook;

pub use license::LicenseObject;
pub use rate_limit::RateLimitObject;
pub use seal_head::SealHeadObject;
pub use webhook::WebhookObject;
