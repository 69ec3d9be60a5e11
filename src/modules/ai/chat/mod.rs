//! `POST /api/ai/chat`, and what the other doors to the engine share with it.

pub mod asking;
pub mod completions;
pub mod conversation;
pub mod events;
pub mod model;
pub mod process;
