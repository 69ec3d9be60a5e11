//! The Durable Objects of CELAEST Core.
//!
//! Each folder has the same parts: `rules.rs`, pure functions of state, event and time; `object.rs`, the
//! storage shell around them, entered through `object.rs` (two objects share the one in `shell.rs`); `client.rs`, the
//! typed calls the worker makes.

mod announced;
mod call;
pub mod caller;
mod changes;
pub mod ids;
pub mod key_pool;
pub mod license;
pub mod object;
pub mod seal_head;
mod shell;
pub mod storage;
pub mod task_runner;
pub mod turn;
pub mod webhook;

pub use object::ObjectDoor;
