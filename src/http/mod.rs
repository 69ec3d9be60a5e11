//! What a handler may ask for in its signature, and what it may answer.

pub mod activation;
pub mod body;
pub mod call;
pub mod checks;
pub mod door;
pub mod idempotency;
pub mod jwt;
pub mod language;
#[cfg(not(target_arch = "wasm32"))]
pub mod openapi;
pub mod params;
pub mod permit;
pub mod principal;
pub mod reply;
pub mod session;
pub mod types;
