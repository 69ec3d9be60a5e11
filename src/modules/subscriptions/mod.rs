//! Module 9, subscriptions. The URLs are in `router.rs`.

pub mod change;
pub mod charge;
pub mod list;
pub mod model;
pub mod paid;
pub mod queries;
pub mod renew;
