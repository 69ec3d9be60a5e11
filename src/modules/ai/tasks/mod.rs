//! Module 6, AI tasks: what is handed in now and done later. The URLs are in `router.rs`, the rules in
//! `celaest_domain::ai::task`.
//!
//! What waits is in `ai_task_queue`, and PostgreSQL says who is next ([`turns`]). A message of the queue says
//! nothing but that there is something to do; whoever gets it takes up tasks until there are none ([`drain`]).
//!
//! Statements that hold or change tasks compare `created_at` by `IS NOT DISTINCT FROM`. By `=` PostgreSQL would choose
//! a task's partition while it goes, and version 18 can crash of that (`perform_pruning_base_step`) when a row that it
//! waited for was changed meanwhile. The index on `id` finds the task in each partition.

pub mod asking;
pub mod cancel;
pub mod create;
pub mod drain;
pub mod license;
pub mod list;
pub mod model;
pub mod queries;
pub mod read;
pub mod retry;
pub mod sweep;
pub mod turns;
