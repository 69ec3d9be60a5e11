//! Module 9, coupons. The URLs are in `router.rs`.

pub mod create;
pub mod delete;
pub mod list;
pub mod model;
pub mod queries;
pub mod update;
pub mod validate;
