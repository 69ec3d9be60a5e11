//! The system itself, for those who run it. The URLs are in `router.rs`.

pub mod dead_letters;
pub mod discard;
pub mod model;
pub mod queries;
pub mod replay;
pub mod status;
