//! OpenAI's API for programs that are written for it: `/v1/chat/completions` and `/v1/models`, with our keys in
//! the place of theirs. Errors have OpenAI's shape too (`src/error/openai.rs`).

pub mod chat;
mod events;
pub mod model;
pub mod models;
