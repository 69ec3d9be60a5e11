//! Requests to the outside.

use crate::error::{Error, Result};
use celaest_domain::json;
use futures_util::StreamExt;
use futures_util::future::{Either, select};
use serde::de::DeserializeOwned;
use std::time::Duration;
use worker::{
    AbortController, Delay, Fetch, Headers, Method, Request, RequestInit, RequestRedirect,
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
    /// `Stripe-Should-Retry`, where the other side says it.
    pub should_retry: Option<bool>,
    /// `Request-Id`: what the other side calls the request.
    pub request_id: Option<String>,
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
    send(method, url, headers, body, PATIENCE).await
}

/// The beginning of what another system answered.
#[derive(Debug, Clone)]
pub struct Beginning {
    /// HTTP status.
    pub status: u16,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, or as much of it as was wanted.
    pub body: Vec<u8>,
}

/// Sends a request and reads at most `most` bytes of the answer, within `patience`: for those who may answer
/// anything. Redirects are not followed.
///
/// # Errors
/// [`crate::error::Code::Unavailable`] when there is no answer in time; every status is an answer.
pub async fn beginning(
    method: Method,
    url: &str,
    headers: &[(&str, String)],
    body: Option<String>,
    patience: Duration,
    most: usize,
) -> Result<Beginning> {
    let request = prepared(method, url, headers, body)?;
    let abort = AbortController::default();
    let signal = abort.signal();
    let answer = async {
        let mut response = Fetch::Request(request)
            .send_with_signal(&signal)
            .await
            .map_err(Error::unavailable)?;
        let status = response.status_code();
        let headers = response.headers().entries().collect();
        let mut body = Vec::new();
        if let Ok(mut pieces) = response.stream() {
            while let Some(piece) = pieces.next().await {
                body.extend(piece.map_err(Error::unavailable)?);
                if body.len() >= most {
                    body.truncate(most);
                    break;
                }
            }
        }
        Ok(Beginning {
            status,
            headers,
            body,
        })
    };
    let answer = match select(std::pin::pin!(answer), Delay::from(patience)).await {
        Either::Left((answer, _)) => answer,
        Either::Right(_) => Err(Error::unavailable("no answer in time")),
    };
    // Whatever else would come is not waited for.
    abort.abort();
    answer
}

/// GETs a JSON document, within `patience`.
///
/// # Errors
/// [`crate::error::Code::Unavailable`] when the other side does not answer 200 with such a document in time.
pub async fn json<T: DeserializeOwned>(url: &str, patience: Duration) -> Result<T> {
    let answer = send(Method::Get, url, &[], None, patience).await?;
    match answer.status {
        200 => json::parse(&answer.text).map_err(Error::unavailable),
        status => Err(Error::unavailable(format!("{url} answered {status}"))),
    }
}

/// A request whose redirects are not followed.
fn prepared(
    method: Method,
    url: &str,
    headers: &[(&str, impl AsRef<str>)],
    body: Option<String>,
) -> Result<Request> {
    let set = Headers::new();
    for (name, value) in headers {
        set.set(name, value.as_ref()).map_err(Error::internal)?;
    }
    let mut init = RequestInit::new();
    init.with_method(method)
        .with_headers(set)
        .with_redirect(RequestRedirect::Manual)
        .with_body(body.map(Into::into));
    Request::new_with_init(url, &init).map_err(Error::internal)
}

async fn send(
    method: Method,
    url: &str,
    headers: &[(&str, &str)],
    body: Option<String>,
    patience: Duration,
) -> Result<Answer> {
    let request = prepared(method, url, headers, body)?;
    let abort = AbortController::default();
    let signal = abort.signal();
    let answer = async {
        let mut response = Fetch::Request(request)
            .send_with_signal(&signal)
            .await
            .map_err(Error::unavailable)?;
        let header = |name| response.headers().get(name).ok().flatten();
        let retry_after = header("retry-after");
        let (should_retry, request_id) = (header("stripe-should-retry"), header("request-id"));
        Ok(Answer {
            status: response.status_code(),
            retry_after_s: retry_after.and_then(|text| text.trim().parse().ok()),
            should_retry: should_retry.map(|text| text == "true"),
            request_id,
            text: response.text().await.map_err(Error::unavailable)?,
        })
    };
    match select(std::pin::pin!(answer), Delay::from(patience)).await {
        Either::Left((answer, _)) => answer,
        Either::Right(_) => {
            abort.abort();
            Err(Error::unavailable("no answer in time"))
        }
    }
}
