//! The catalogue: what everybody may know of products that are on sale. Nothing here needs to know who asks.

pub mod featured;
pub mod filters;
pub mod found;
pub mod list;
pub mod model;
pub mod queries;
pub mod read;
pub mod search;
