//! Module 7, what customers own.

pub mod queries;
