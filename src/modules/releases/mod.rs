//! Module 8, versions of products: how they are published, what updaters are told, and what changed. The URLs
//! are in `router.rs`.

pub mod changelog;
pub mod create;
pub mod delete;
pub mod latest;
pub mod list;
pub mod model;
pub mod queries;
pub mod read;
pub mod update;
pub mod upload;
