//! Requests to the outside.

use crate::error::{Error, Result};
use futures_util::future::{Either, select};
use serde::de::DeserializeOwned;
use std::time::Duration;
use worker::{
    AbortController, Delay, Fetch, Headers, Method, Request, RequestInit, RequestRedirect, Url,
};

/// How long to wait for another system's answer.
const PATIENCE: Duration = Duration::from_secs(15);

/// What another system answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Seconds of `Retry-After`, if there was one.
    pub retry_after_s: Option<u32>,
    /// The body as text.
    pub text: String,
}

/// Sends a request to another system's API. Redirects are not followed.
///
/// # Errors
/// [`crate::error::Code::Unavailable`] when there is no answer in time; every status is an answer.
pub async fn call(
    method: Method,
    url: &str,
    headers: &[(&str, &str)],
    body: Option<String>,
) -> Result<Answer> {
    let set = Headers::new();
    for (name, value) in headers {
        set.set(name, value).map_err(Error::internal)?;
    }
    let mut init = RequestInit::new();
    init.with_method(method)
        .with_headers(set)
        .with_redirect(RequestRedirect::Manual)
        .with_body(body.map(Into::into));
    let request = Request::new_with_init(url, &init).map_err(Error::internal)?;
    let abort = AbortController::default();
    let signal = abort.signal();
    let answer = async {
        let mut response = Fetch::Request(request)
            .send_with_signal(&signal)
            .await
            .map_err(Error::unavailable)?;
        let retry_after = response.headers().get("retry-after").ok().flatten();
        Ok(Answer {
            status: response.status_code(),
            retry_after_s: retry_after.and_then(|text| text.trim().parse().ok()),
            text: response.text().await.map_err(Error::unavailable)?,
        })
    };
    match select(std::pin::pin!(answer), Delay::from(PATIENCE)).await {
        Either::Left((answer, _)) => answer,
        Either::Right(_) => {
            abort.abort();
            Err(Error::unavailable("no answer in time"))
        }
    }
}

/// GETs a JSON document.
///
/// # Errors
/// [`crate::error::Code::Unavailable`] when the other side does not answer 200 with such a document.
pub async fn json<T: DeserializeOwned>(url: &str) -> Result<T> {
    let url: Url = url.parse().map_err(Error::internal)?;
    let mut response = Fetch::Url(url).send().await.map_err(Error::unavailable)?;
    if response.status_code() != 200 {
        return Err(Error::unavailable(format!(
            "the key set answered {}",
            response.status_code()
        )));
    }
    response.json().await.map_err(Error::unavailable)
}
