//! Module 9, saved cards. The URLs are in `router.rs`.

pub mod card;
pub mod create;
pub mod customer;
pub mod default;
pub mod list;
pub mod model;
pub mod queries;
pub mod remove;
pub mod warn;
