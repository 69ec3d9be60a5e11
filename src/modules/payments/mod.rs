//! Module 9, payments: what gateways are asked, what they tell, and what comes of it.

pub mod access;
pub mod differences;
pub mod disputes;
pub mod facts;
pub mod fulfil;
pub mod gateway;
pub mod ledger;
pub mod mails;
pub mod manual;
pub mod parked;
pub mod reconcile;
pub mod refunds;
pub mod stripe;
pub mod webhook;
