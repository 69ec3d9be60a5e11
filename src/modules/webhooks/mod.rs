//! Outgoing webhooks, of module 10. The URLs are in `router.rs`.

pub mod create;
pub mod deliveries;
pub mod events;
pub mod fan_out;
pub mod list;
pub mod model;
pub mod object;
pub mod queries;
pub mod remove;
pub mod replay;
pub mod reports;
pub mod rights;
pub mod rotate;
pub mod secrets;
pub mod send_test;
pub mod update;
