//! Modules 7 and 8, what customers own, and how they get it. The URLs are in `router.rs`.

pub mod download;
pub mod follow;
pub mod list;
pub mod model;
pub mod queries;
pub mod transfer;
