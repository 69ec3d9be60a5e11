//! Module 7, what people say of products, and what vendors answer. The URLs are in `router.rs`.

pub mod create;
pub mod delete;
pub mod list;
pub mod model;
pub mod moderate;
pub mod queries;
pub mod reply;
pub mod update;
pub mod vote;
