//! Module 6, the models that can be called, and whose they are. The URLs are in `router.rs`.

pub mod catalogue;
pub mod create;
pub mod list;
pub mod model;
pub mod providers;
pub mod queries;
pub mod remove;
pub mod update;

pub use catalogue::{Catalogue, Model, catalogue};
