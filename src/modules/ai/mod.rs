//! Module 6, IA-Mesh: one question, six providers, answered by whichever is well. The URLs are in `router.rs`,
//! the rules in `celaest_domain::ai`.

pub mod asking;
pub mod batches;
pub mod chat;
pub mod engine;
pub mod host;
pub mod models;
pub mod openai;
pub mod pool;
pub mod prompts;
pub mod records;
pub mod tasks;
