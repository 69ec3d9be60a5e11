//! Randomness: what secrets are made of, and identifiers that are none.

use crate::error::{Error, Result};
use celaest_durable::ids::Ids;
use std::cell::RefCell;
use uuid::Uuid;

/// `N` bytes that nobody can guess.
///
/// # Errors
/// When the platform has none, which ends the request rather than make a weak secret.
pub fn bytes<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(Error::internal)?;
    Ok(bytes)
}

thread_local! {
    static IDS: RefCell<Option<Ids>> = const { RefCell::new(None) };
}

/// An identifier, ordered by time, for what has to be told apart and is no secret: this isolate's own, so
/// that it costs no call out of WebAssembly.
pub fn id(now_ms: i64) -> Uuid {
    let draw = || Ids::new(*Uuid::new_v4().as_bytes());
    IDS.with_borrow_mut(|ids| ids.get_or_insert_with(draw).v7(now_ms))
}
