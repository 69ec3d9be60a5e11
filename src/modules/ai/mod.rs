//! Module 6, IA-Mesh: one question, six providers.

pub mod batches;
pub mod prompts;
pub mod tasks;
