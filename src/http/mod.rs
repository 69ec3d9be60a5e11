//! What a handler may ask for in its signature, and what it may answer.

pub mod body;
pub mod change;
pub mod checks;
pub mod endpoint;
pub mod idempotency;
#[cfg(not(target_arch = "wasm32"))]
pub mod openapi;
pub mod params;
pub mod permit;
pub mod problem;
pub mod reply;
pub mod strict;
pub mod types;
