//! Module 11, analytics. The URLs are in `router.rs`; what each number means is in `docs/metrics.md`.
//!
//! A report is an entry of [`reports::ALL`]: its SQL and its measures. One handler reads any of them, and the
//! export takes the same entries. What they read is added up by the jobs in [`rollups`] and [`roi_worker`].

pub mod export;
pub mod model;
pub mod question;
pub mod read;
pub mod report;
pub mod reports;
pub mod roi_worker;
pub mod rollups;
