//! Module 4, who is calling. The URLs are in `router.rs`.

pub mod accept;
pub mod logout;
pub mod me;
pub mod model;
pub mod refresh;
pub mod verify;
