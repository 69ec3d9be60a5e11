//! Module 7, what vendors sell: their own products, and the catalogue that everybody reads. The URLs are in
//! `router.rs`.

pub mod catalogue;
pub mod create;
pub mod delete;
pub mod list;
pub mod model;
pub mod queries;
pub mod read;
pub mod update;
