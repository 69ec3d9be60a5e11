//! The only source of randomness that secrets are made of.

use crate::error::{Error, Result};

/// `N` bytes that nobody can guess.
///
/// # Errors
/// When the platform has none, which ends the request rather than make a weak secret.
pub fn bytes<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(Error::internal)?;
    Ok(bytes)
}
