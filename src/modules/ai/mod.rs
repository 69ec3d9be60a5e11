//! Module 6, IA-Mesh: one question, six providers.

pub mod prompts;
