//! The doors to the outside: everything that reaches beyond this worker goes through one of these files.
//!
//! JavaScript futures are not `Send`, axum wants handlers that are. The wrapping is done here, once,
//! so that no handler has to know.

pub mod clock;
pub mod fetch;
pub mod objects;
pub mod postgres;
pub mod queues;
pub mod random;
pub mod signature;
pub mod supabase;
