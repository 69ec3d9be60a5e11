//! Module 2, people. The URLs are in `router.rs`.

pub mod api_keys;
pub mod invitation;
pub mod invite;
pub mod leave;
pub mod list;
pub mod model;
pub mod profile;
pub mod queries;
pub mod read;
pub mod remove;
pub mod resend;
pub mod sessions;
pub mod update;
