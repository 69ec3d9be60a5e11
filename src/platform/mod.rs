//! The doors to the outside: everything that reaches beyond this worker goes through one of these files.

pub mod clock;
pub mod company;
pub mod exchange;
pub mod fetch;
pub mod ids;
pub mod incoming;
pub mod notice;
pub mod postgres;
pub mod queues;
pub mod random;
pub mod signature;
pub mod storage;
pub mod supabase;
pub mod zone;
