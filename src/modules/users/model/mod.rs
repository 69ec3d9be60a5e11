//! Wire shapes of people.

mod api_key;
mod session;
mod user;

pub use api_key::*;
pub use session::*;
pub use user::*;
