//! Module 6, prompts and their versions. The URLs are in `router.rs`, the rules in `celaest_domain::ai`.
//!
//! A prompt is its slug; what is stored are its versions. Those that are active serve calls, each with the
//! share that its weight gives it.

pub mod activate;
pub mod active;
pub mod create;
pub mod diff;
pub mod list;
pub mod measure;
pub mod model;
pub mod queries;
pub mod read;
pub mod remove;
pub mod render;
pub mod update;
pub mod versions;
pub mod wording;
