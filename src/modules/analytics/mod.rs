//! Module 11, analytics. The URLs are in `router.rs`; what each number means is in `docs/metrics.md`.

pub mod roi_worker;
pub mod rollups;
