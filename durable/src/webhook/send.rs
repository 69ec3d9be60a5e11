//! One attempt, on the wire.

use std::time::Duration;

use celaest_domain::text::clip_bytes;
use celaest_domain::webhook::{SigningSecret, signature};
use futures_util::future::{Either, select};
use wasm_bindgen::{JsCast, JsValue};
use worker::js_sys::{self, Reflect, Uint8Array, futures::JsFuture};
use worker::{Delay, Result, Url, web_sys};

use super::rules::{Due, Outcome};

/// How long a receiver may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// How much of an answer is kept, in bytes.
const MAX_ANSWER: usize = 1_024;
/// Longest description of a failure.
const MAX_ERROR: usize = 200;

/// Sends one event to `url` and waits for the answer; `now` is the platform's
/// clock. Never fails: a failure is an outcome.
pub async fn attempt(url: &Url, due: &Due, secrets: &[SigningSecret], now: fn() -> i64) -> Outcome {
    let started_at = now();
    let mut outcome = Outcome {
        started_at,
        ..Outcome::default()
    };
    let Ok(abort) = web_sys::AbortController::new() else {
        outcome.error = Some("the request could not be made".to_owned());
        return outcome;
    };
    let signal = abort.signal();
    let exchange = Box::pin(exchange(url, due, secrets, &signal, &mut outcome));
    let done = match select(exchange, Delay::from(PATIENCE)).await {
        Either::Left((done, _)) => Some(done),
        Either::Right(_) => None,
    };
    // What was not read is not wanted.
    abort.abort();
    // Once there is a status the receiver has answered, whatever became of the rest.
    if outcome.status.is_none() {
        outcome.error = Some(match done {
            Some(Err(error)) => clip_bytes(&format!("the request failed: {error}"), MAX_ERROR),
            _ => format!("no answer within {} seconds", PATIENCE.as_secs()),
        });
    }
    outcome
}

async fn exchange(
    url: &Url,
    due: &Due,
    secrets: &[SigningSecret],
    signal: &web_sys::AbortSignal,
    outcome: &mut Outcome,
) -> Result<()> {
    let id = due.event_id.to_string();
    let timestamp_s = outcome.started_at / 1_000;
    let headers = web_sys::Headers::new()?;
    headers.set("content-type", "application/json")?;
    headers.set("user-agent", "CELAEST-Webhooks/1.0")?;
    headers.set("webhook-id", &id)?;
    headers.set("webhook-timestamp", &timestamp_s.to_string())?;
    let signed = signature(secrets, &id, timestamp_s, &due.body);
    headers.set("webhook-signature", &signed)?;
    let init = web_sys::RequestInit::new();
    init.set_method("POST");
    init.set_headers(&headers);
    init.set_body(&JsValue::from_str(&due.body));
    init.set_redirect(web_sys::RequestRedirect::Manual);
    init.set_signal(Some(signal));
    let global: web_sys::WorkerGlobalScope = js_sys::global().unchecked_into();
    let response = JsFuture::from(global.fetch_with_str_and_init(url.as_str(), &init)).await?;
    let response: web_sys::Response = response.dyn_into()?;
    outcome.retry_after = response.headers().get("retry-after")?;
    outcome.status = Some(response.status());
    if let Some(stream) = response.body() {
        let reader: web_sys::ReadableStreamDefaultReader = stream.get_reader().unchecked_into();
        let mut bytes = Vec::new();
        while bytes.len() < MAX_ANSWER {
            let part = JsFuture::from(reader.read()).await?;
            if Reflect::get(&part, &"done".into())?.is_truthy() {
                break;
            }
            let part: Uint8Array = Reflect::get(&part, &"value".into())?.dyn_into()?;
            let wanted = part.length().min((MAX_ANSWER - bytes.len()) as u32);
            bytes.extend(part.subarray(0, wanted).to_vec());
            // Kept as it comes: the rest may never come.
            outcome.body = Some(text(&bytes));
        }
        // Not awaited: a stream that never ends need not agree.
        let _ = reader.cancel();
    }
    Ok(())
}

/// What the log takes: text of at most [`MAX_ANSWER`] bytes, without NUL.
pub fn text(bytes: &[u8]) -> String {
    clip_bytes(&String::from_utf8_lossy(bytes), MAX_ANSWER)
}
