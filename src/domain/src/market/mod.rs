//! What is sold: the catalogue and how it is searched, releases and their order,
//! and what owners may do with what they own.

pub mod asset;
pub mod category;
pub mod notes;
pub mod product;
pub mod release;
pub mod search;
