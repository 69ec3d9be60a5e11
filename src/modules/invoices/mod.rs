//! Module 9, invoices and credit notes. The URLs are in `router.rs`.

pub mod issue;
pub mod list;
pub mod model;
pub mod pdf;
pub mod queries;
pub mod send;
