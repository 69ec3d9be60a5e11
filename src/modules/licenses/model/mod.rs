//! Wire shapes of licensing.

mod action;
mod address;
mod license;
mod validation;

pub use action::*;
pub use address::*;
pub use license::*;
pub use validation::*;
