//! Module 9, orders. The URLs are in `router.rs`.

pub mod cancel;
pub mod create;
pub mod expire;
pub mod items;
pub mod licenses;
pub mod list;
pub mod model;
pub mod offers;
pub mod pay;
pub mod pricing;
pub mod queries;
pub mod read;
pub mod refund;
pub mod settle;
