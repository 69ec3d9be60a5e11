//! The rules of CELAEST Core.
//!
//! Nothing here knows HTTP, SQL or the Workers platform, and time is always an
//! argument: what a license is worth, who may do what and when something
//! expires can be read and tested on any machine.

pub mod access;
pub mod address;
pub mod ai;
pub mod analytics;
pub mod audit;
pub mod billing;
pub mod calendar;
pub mod contact;
pub mod csv;
pub mod egress;
pub mod email;
pub mod flags;
pub mod hex;
pub mod json;
pub mod key_set;
pub mod license;
pub mod license_key;
pub mod market;
pub mod membership;
pub mod secrets;
pub mod settings;
pub mod telemetry;
pub mod text;
pub mod vault;
pub mod webhook;
pub mod zip;
