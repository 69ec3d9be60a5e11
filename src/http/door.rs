//! The front door: every request comes in here and every answer leaves here with its headers, its
//! error body and its log line.

use crate::config::Config;
use crate::error::Error;
use crate::http::call::Call;
use crate::http::reply::{Pieces, StreamedBody};
use crate::log;
use crate::modules::licenses::validate;
use crate::router;
use axum::extract::MatchedPath;
use futures_util::TryStreamExt;
use serde_json::json;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use tower_service::Service;
use worker::send::SendWrapper;
use worker::web_sys::{self, Headers};
use worker::{Env, wasm_bindgen::JsValue};

/// Where a program validates its license. Served without the router's conversions, which cost about as
/// much as the whole validation.
const VALIDATE: &str = "/api/licenses/validate";

/// What goes back to the platform, whichever road the request took.
pub struct Outgoing {
    /// HTTP status.
    pub status: u16,
    /// The body, or what went wrong.
    pub body: std::result::Result<String, Arc<Error>>,
}

/// A file on its way: its headers, and the body that is still being made.
struct File {
    headers: axum::http::HeaderMap,
    pieces: Pieces,
}

/// Answers one request.
///
/// The platform's own types are used on purpose: each conversion costs the hot path a share of its time.
///
/// # Errors
/// Only when the platform itself fails; everything else is a response.
pub async fn answer(
    request: web_sys::Request,
    env: Env,
    context: worker::Context,
) -> worker::Result<web_sys::Response> {
    let config = match Config::get(&env) {
        Ok(config) => config,
        Err(problem) => return misconfigured(&problem),
    };
    let incoming = request.headers();
    let read = |name: &str| incoming.get(name).ok().flatten();
    let background = Rc::new(move |work| context.wait_until(work));
    let call = Arc::new(Call::new(config, env, background, read));
    let (method, url) = (request.method(), request.url());
    let (path, query) = split(&url);
    let origin = read("origin").filter(|origin| config.cors_origins.contains(origin));
    let origin = origin.as_deref();

    if method == "OPTIONS" && read("access-control-request-method").is_some() {
        return preflight(origin);
    }
    if method == "POST" && path == VALIDATE {
        let outgoing = validate::serve(&request, query, &call).await;
        return finish(&call, outgoing, "POST", VALIDATE, origin);
    }

    let mut request: axum::http::Request<worker::Body> =
        worker::Request::from(request).try_into()?;
    request.extensions_mut().insert(call.clone());
    let Ok(response) = router::router()
        .call(request.map(axum::body::Body::new))
        .await;
    // The pattern, not the path: it names no tenant and keeps the log countable.
    let pattern = response
        .extensions()
        .get::<MatchedPath>()
        .map_or("unmatched", |path| path.as_str())
        .to_owned();
    let status = response.status().as_u16();
    let streamed = response.extensions().get::<StreamedBody>();
    if let Some(pieces) = streamed.and_then(StreamedBody::take) {
        let headers = response.headers().clone();
        return stream(&call, File { headers, pieces }, &method, &pattern, origin);
    }
    let body = match response.extensions().get::<Arc<Error>>().cloned() {
        Some(error) => Err(error),
        None => match axum::body::to_bytes(response.into_body(), usize::MAX).await {
            Ok(bytes) => Ok(String::from_utf8(bytes.into()).unwrap_or_default()),
            Err(error) => Err(Arc::new(Error::internal(error))),
        },
    };
    finish(&call, Outgoing { status, body }, &method, &pattern, origin)
}

/// Hands a file to the platform piece by piece.
fn stream(
    call: &Call,
    file: File,
    method: &str,
    pattern: &str,
    origin: Option<&str>,
) -> worker::Result<web_sys::Response> {
    let headers = seal(call, method, pattern, 200, None, origin)?;
    for (name, value) in &file.headers {
        headers.set(name.as_str(), value.to_str().unwrap_or_default())?;
    }
    let request_id = call.request_id.clone();
    let pieces = file.pieces.map_err(move |error| {
        log::error(&request_id, "a file was broken off", &error);
        worker::Error::RustError("the file could not be finished".into())
    });
    let response = worker::Response::from_stream(pieces)?.with_headers(worker::Headers(headers));
    Ok(response.into())
}

fn finish(
    call: &Call,
    outgoing: Outgoing,
    method: &str,
    pattern: &str,
    origin: Option<&str>,
) -> worker::Result<web_sys::Response> {
    let error = outgoing.body.as_ref().err().cloned();
    let headers = seal(
        call,
        method,
        pattern,
        outgoing.status,
        error.as_deref(),
        origin,
    )?;
    let body = match outgoing.body {
        Ok(body) => body,
        Err(error) => {
            if outgoing.status >= 500 {
                log::error(&call.request_id, "request failed", &error);
            }
            if let Some(seconds) = error.retry_after {
                headers.set("retry-after", &seconds.to_string())?;
            }
            headers.set("content-language", call.language.tag())?;
            error.body(call.language, &call.request_id)
        }
    };
    respond(outgoing.status, &headers, &body)
}

/// Writes the log line, and returns the headers of the answer.
fn seal(
    call: &Call,
    method: &str,
    pattern: &str,
    status: u16,
    error: Option<&Error>,
    origin: Option<&str>,
) -> worker::Result<Headers> {
    let headers = common()?;
    headers.set("x-request-id", &call.request_id)?;
    let (db, objects) = (call.database.statements(), call.object_calls());
    headers.set(
        "server-timing",
        &format!("db;desc=\"{db}\", do;desc=\"{objects}\""),
    )?;
    share(&headers, origin)?;
    if let Some(quota) = call.quota() {
        headers.set("ratelimit-limit", &quota.limit.to_string())?;
        headers.set("ratelimit-remaining", &quota.remaining.to_string())?;
        headers.set("ratelimit-reset", &quota.reset_s.to_string())?;
    }
    if call.config.logs("info") {
        let caller = call.caller();
        let code = error.map(|error| error.code.as_str());
        log::info(
            &call.request_id,
            "request",
            json!({
                "method": method, "route": pattern, "status": status, "code": code, "db": db, "do": objects,
                "principal": caller.kind, "organization_id": caller.organization,
            }),
        );
    }
    Ok(headers)
}

/// The platform's response; without a body when there is nothing to say.
fn respond(status: u16, headers: &Headers, body: &str) -> worker::Result<web_sys::Response> {
    let init = web_sys::ResponseInit::new();
    init.set_status(status);
    init.set_headers(headers);
    let body = if body.is_empty() {
        None
    } else {
        headers.set("content-type", "application/json; charset=utf-8")?;
        Some(body)
    };
    Ok(web_sys::Response::new_with_opt_str_and_init(body, &init)?)
}

/// Path and query of an absolute URL.
fn split(url: &str) -> (&str, Option<&str>) {
    let after_scheme = url.find("://").map_or(0, |at| at + 3);
    let rest = url[after_scheme..]
        .find('/')
        .map_or("/", |at| &url[after_scheme + at..]);
    match rest.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (rest, None),
    }
}

/// The headers that every answer has, copied from one set per isolate: one call into JavaScript instead
/// of one for each.
fn common() -> worker::Result<Headers> {
    static COMMON: OnceLock<SendWrapper<Headers>> = OnceLock::new();
    if let Some(headers) = COMMON.get() {
        return Ok(Headers::new_with_headers(headers)?);
    }
    let headers = Headers::new()?;
    secure(&headers)?;
    let kept = COMMON.get_or_init(|| SendWrapper::new(headers));
    Ok(Headers::new_with_headers(kept)?)
}

/// Headers that keep browsers from doing harm with an answer.
fn secure(headers: &Headers) -> Result<(), JsValue> {
    headers.set("x-content-type-options", "nosniff")?;
    headers.set("x-frame-options", "DENY")?;
    headers.set("referrer-policy", "no-referrer")?;
    headers.set(
        "content-security-policy",
        "default-src 'none'; frame-ancestors 'none'",
    )?;
    headers.set(
        "strict-transport-security",
        "max-age=31536000; includeSubDomains",
    )?;
    headers.set("vary", "Origin, Accept-Language")?;
    headers.set("cache-control", "no-store")
}

/// Lets a configured dashboard read the answer (Fetch standard, CORS protocol).
fn share(headers: &Headers, origin: Option<&str>) -> Result<(), JsValue> {
    if let Some(origin) = origin {
        headers.set("access-control-allow-origin", origin)?;
        headers.set("access-control-allow-credentials", "true")?;
        headers.set(
            "access-control-expose-headers",
            "X-Request-Id, Server-Timing, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, Retry-After",
        )?;
    }
    Ok(())
}

fn preflight(origin: Option<&str>) -> worker::Result<web_sys::Response> {
    let headers = common()?;
    share(&headers, origin)?;
    if origin.is_some() {
        headers.set("access-control-allow-methods", "GET, POST, PATCH, DELETE")?;
        headers.set(
            "access-control-allow-headers",
            "Authorization, X-API-Key, Content-Type, Accept-Language, Idempotency-Key, X-Request-Id",
        )?;
        headers.set("access-control-max-age", "7200")?;
    }
    respond(204, &headers, "")
}

/// A worker without its variables can answer nothing; the operator finds the name in the log.
fn misconfigured(problem: &str) -> worker::Result<web_sys::Response> {
    let error = Error::unavailable(problem);
    log::error("start", "the worker is not configured", &error);
    let headers = common()?;
    headers.set("retry-after", "5")?;
    respond(
        503,
        &headers,
        &error.body(crate::http::language::Language::Es, "start"),
    )
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn path_and_query() {
        assert_eq!(split("http://h:1/api/x"), ("/api/x", None));
        assert_eq!(split("https://h/api?a=/b?c"), ("/api", Some("a=/b?c")));
        assert_eq!(split("https://h"), ("/", None));
    }
}
