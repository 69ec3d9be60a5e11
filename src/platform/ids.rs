//! Identifiers that are unique and no secret: one draw of random bits for each isolate, and no step out of
//! WebAssembly for each identifier.

use celaest_durable::ids::Ids;
use std::cell::RefCell;
use uuid::Uuid;

thread_local! {
    static IDS: RefCell<Option<Ids>> = const { RefCell::new(None) };
}

fn with<T>(draw: impl FnOnce(&mut Ids) -> T) -> T {
    let begin = || Ids::new(*Uuid::new_v4().as_bytes());
    IDS.with_borrow_mut(|ids| draw(ids.get_or_insert_with(begin)))
}

/// A random one (version 4).
pub fn v4() -> Uuid {
    with(Ids::v4)
}

/// One that is ordered by time (version 7), in Unix milliseconds.
pub fn v7(now_ms: i64) -> Uuid {
    with(|ids| ids.v7(now_ms))
}
