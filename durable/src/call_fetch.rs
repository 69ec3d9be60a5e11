//! The call from a worker to an object, on the shortest road: the stub's own
//! `fetch` with a string body, without building a `worker::Request` first.

use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use worker::js_sys::{Promise, futures::JsFuture};
use worker::{ObjectNamespace, Result, web_sys};

#[wasm_bindgen]
extern "C" {
    /// A Durable Object stub, seen as something that fetches.
    type Fetcher;

    #[wasm_bindgen(method, catch, js_name = fetch)]
    fn fetch(
        this: &Fetcher,
        url: &str,
        init: &web_sys::RequestInit,
    ) -> std::result::Result<Promise, JsValue>;
}

/// What an object answered.
pub struct Reply {
    /// HTTP status; each client gives it its meaning.
    pub status: u16,
    /// Body as text.
    pub text: String,
}

/// Sends one request to the object called `name`.
///
/// # Errors
/// The object could not be reached or threw.
pub async fn send(
    namespace: &ObjectNamespace,
    name: &str,
    url: &str,
    body: Option<&str>,
) -> Result<Reply> {
    let stub: Fetcher = namespace.id_from_name(name)?.get_stub()?.into_rpc();
    let init = web_sys::RequestInit::new();
    if let Some(body) = body {
        init.set_method("POST");
        init.set_body(&JsValue::from_str(body));
    }
    let response = JsFuture::from(stub.fetch(url, &init)?).await?;
    let response: web_sys::Response = response.dyn_into()?;
    let text = JsFuture::from(response.text()?).await?;
    Ok(Reply {
        status: response.status(),
        text: text.as_string().unwrap_or_default(),
    })
}

/// Like [`send`], once more when the object was lost on the way (a deployment,
/// a move). Only for calls that may happen twice.
///
/// # Errors
/// The object could not be reached or threw, twice.
pub async fn send_idempotent(
    namespace: &ObjectNamespace,
    name: &str,
    url: &str,
    body: Option<&str>,
) -> Result<Reply> {
    match send(namespace, name, url, body).await {
        // A stub that failed once may stay broken: `send` makes a new one.
        Err(_) => send(namespace, name, url, body).await,
        reply => reply,
    }
}
