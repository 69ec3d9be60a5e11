//! The call from a worker to an object: `src/entry/objects.mjs` is what answers on the other side.
//!
//! A request that waits for nothing else leaves it to `src/entry/http.mjs`; otherwise it is one step out of
//! WebAssembly. Both go through `src/entry/together.mjs`: what many ask of one object leaves together.

use celaest_domain::json;
use serde::Deserialize;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use worker::js_sys::{Promise, futures::JsFuture};
use worker::{Env, Error, Result};

use crate::turn;

// `src/entry/together.mjs`, by the name that the build gives it.
#[wasm_bindgen(raw_module = "celaest-together")]
extern "C" {
    #[wasm_bindgen(catch, js_name = ask)]
    fn hop(
        env: &JsValue,
        binding: &str,
        name: &str,
        what: &str,
        text: &str,
    ) -> std::result::Result<Promise, JsValue>;
}

/// Asks the object called `name` behind `binding` for `what`.
///
/// # Errors
/// The object could not be reached or threw.
pub async fn ask(env: &Env, binding: &str, name: &str, what: &str, text: &str) -> Result<String> {
    // The text comes last: it may have lines of its own.
    let question = || format!("{binding}\n{name}\n{what}\n{text}");
    if let Some(reply) = turn::reply(question).await {
        return Ok(reply?);
    }
    let reply = JsFuture::from(hop(env.as_ref(), binding, name, what, text)?).await?;
    let text = reply.as_string();
    text.ok_or_else(|| Error::RustError(format!("{binding} did not answer {what} with a text")))
}

/// Like [`ask`], once more when the object was lost on the way (a deployment, a move). Only for calls
/// that may happen twice.
///
/// # Errors
/// The object could not be reached or threw, twice.
pub async fn ask_twice(
    env: &Env,
    binding: &str,
    name: &str,
    what: &str,
    text: &str,
) -> Result<String> {
    match ask(env, binding, name, what, text).await {
        Err(_) => ask(env, binding, name, what, text).await,
        answer => answer,
    }
}

/// Reads what came from the other side, or from storage.
///
/// # Errors
/// When it is something else.
pub fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T> {
    json::read(text).map_err(|misread| Error::RustError(misread.to_string()))
}
