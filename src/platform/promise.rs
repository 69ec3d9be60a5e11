//! The way of an answer back to JavaScript.

use futures_util::FutureExt;
use std::future::Future;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::future_to_promise;

/// What `work` makes, at once if nothing has to be waited for: a promise and its turns of the event loop
/// cost more than most refusals.
pub fn now_or_later(work: impl Future<Output = JsValue> + 'static) -> JsValue {
    let mut work = Box::pin(work);
    match work.as_mut().now_or_never() {
        Some(done) => done,
        None => future_to_promise(work.map(Ok)).into(),
    }
}
