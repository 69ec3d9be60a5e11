//! Selling: what an order comes to, what may become of it, and what is written on its invoice.
//!
//! Money is whole minor units of its currency, as many as the gateway counts in; never a float.

pub mod coupon;
pub mod credit;
pub mod document;
pub mod money;
pub mod order;
pub mod pdf;
pub mod signature;
pub mod subscription;
pub mod totals;
