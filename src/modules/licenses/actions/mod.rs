//! What can be done to a license besides changing its fields.

pub mod bind;
pub mod renew;
pub mod revoke;
