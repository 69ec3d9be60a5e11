//! `POST /api/licenses/validate`: what the product is for.
//!
//! Warm, this is one call to the license's object and no SQL. The door calls [`serve`] with the
//! platform's own request, past the router.

use super::edge::{self, Check};
use super::model::{Validation, Verdict};
use crate::error::{Code, Error, Result};
use crate::http::body::{Body, parse, validate};
use crate::http::call::Call;
use crate::http::door::Outgoing;
use crate::http::params::no_query;
use crate::http::reply::Data;
use crate::platform::objects::{WINDOW_S, apply};
use celaest_durable::rate_limit::LocalLimiter;
use std::sync::{Arc, Mutex, PoisonError};
use worker::js_sys::Uint8Array;
use worker::js_sys::futures::JsFuture;
use worker::wasm_bindgen::JsValue;
use worker::web_sys::Request;

/// The largest body of a validation, in bytes.
const MAX_BODY_BYTES: usize = 16 * 1024;

/// Validations per address in this isolate. Memory only, and so approximate across isolates: the exact
/// limit is the license's own, in its object, and a second object call per validation would cost more
/// than it protects.
static ADDRESSES: Mutex<Option<LocalLimiter>> = Mutex::new(None);

/// Addresses that are counted at the same time; the oldest make room.
const MAX_ADDRESSES: usize = 10_000;

/// Answers a validation.
pub async fn serve(request: &Request, query: Option<&str>, call: &Call) -> Outgoing {
    match answer(request, query, call).await {
        Ok(data) => Outgoing {
            status: 200,
            body: Ok(format!(r#"{{"success":true,"data":{data}}}"#)),
        },
        Err(error) => Outgoing {
            status: error.code.status().as_u16(),
            body: Err(Arc::new(error)),
        },
    }
}

async fn answer(request: &Request, query: Option<&str>, call: &Call) -> Result<String> {
    no_query(query)?;
    let announced = request.headers().get("content-length").ok().flatten();
    let announced = announced.and_then(|length| length.parse::<usize>().ok());
    if announced.is_some_and(|length| length > MAX_BODY_BYTES) {
        return Err(Code::BodyTooLarge.into());
    }
    let bytes = read(request).await.map_err(|error| Error {
        cause: Some(format!("{error:?}")),
        ..Error::new(Code::InvalidBody)
    })?;
    if bytes.len() > MAX_BODY_BYTES {
        return Err(Code::BodyTooLarge.into());
    }
    count(call)?;
    let body: Validation = parse(&bytes)?;
    validate(&body)?;
    let check = edge::prepare(call, body)?;
    edge::check(call, vec![check])
        .await
        .pop()
        .unwrap_or_else(|| Err(Error::internal("no verdict")))
}

async fn read(request: &Request) -> std::result::Result<Vec<u8>, JsValue> {
    let buffer = JsFuture::from(request.array_buffer()?).await?;
    Ok(Uint8Array::new(&buffer).to_vec())
}

/// Counts a validation from the connection's address.
///
/// # Errors
/// 429 when the address is over its limit.
pub fn count(call: &Call) -> Result<()> {
    let mut addresses = ADDRESSES.lock().unwrap_or_else(PoisonError::into_inner);
    let limiter = addresses.get_or_insert_with(|| LocalLimiter::new(MAX_ADDRESSES));
    apply(
        call,
        limiter.check(
            &call.ip,
            call.config.validate_limit_per_ip,
            WINDOW_S,
            call.started_ms,
        ),
    )
}

/// The route as the router and the documentation know it; requests are served by [`serve`].
pub async fn documented(
    axum::Extension(call): axum::Extension<Arc<Call>>,
    Body(body): Body<Validation>,
) -> Result<Data<Verdict>> {
    count(&call)?;
    let check: Check = edge::prepare(&call, body)?;
    let verdict = edge::check(&call, vec![check]).await.pop();
    verdict
        .unwrap_or_else(|| Err(Error::internal("no verdict")))
        .map(Data::text)
}
