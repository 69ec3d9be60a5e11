//! Module 6, the models that can be called. The URLs are in `router.rs`.

pub mod catalogue;

pub use catalogue::{Catalogue, Model, catalogue};
