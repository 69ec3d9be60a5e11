//! The front door: every request comes in here and every answer leaves here with its headers, its
//! error body and its log line.
//!
//! What goes back to the platform is one text, as the head that came in was one: the status, a line for
//! each header that is not the same in all answers, an empty line, the body. `src/entry/http.mjs` makes
//! the response of it.

use crate::call::Call;
use crate::config::Config;
use crate::error::{Code, Error, Result, openai};
use crate::http::reply::{Answer, Content, Events, Pieces, Streamed};
use crate::language::Language;
use crate::log;
use crate::platform::incoming::{Head, Incoming};
use crate::router;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::TryStreamExt;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::fmt::{Display, Write};
use std::rc::Rc;
use wasm_bindgen::JsValue;
use worker::js_sys::Array;
use worker::{Context, Env, web_sys};

/// What the route of a request is called in the log when there is none.
const UNMATCHED: &str = "unmatched";

/// Answers one request: with a text, or for a file with its head and the response that has its body.
pub async fn answer(head: Head, incoming: Incoming, env: Env, context: Context) -> JsValue {
    let config = match Config::get(&env) {
        Ok(config) => config,
        Err(problem) => return misconfigured(&problem),
    };
    let background = Rc::new(move |work| context.wait_until(work));
    let call = Rc::new(Call::new(config, head, incoming, env, background));
    if call.head.method() == "OPTIONS" && call.head.requested_method().is_some() {
        return preflight(&call);
    }
    let (pattern, outcome) = match router::find(call.head.method(), call.head.path()) {
        Ok((endpoint, params)) => (endpoint.pattern, endpoint.answer(&call, params).await),
        Err(error) => (UNMATCHED, Err(error)),
    };
    match outcome {
        Ok(Answer {
            content: Content::File(file),
            ..
        }) => stream(&call, pattern, file),
        Ok(Answer {
            content: Content::Events(events),
            ..
        }) => tell(&call, pattern, events),
        Ok(Answer {
            content: Content::Shared(body),
            ..
        }) => share(&call, pattern, &body),
        Ok(Answer {
            status,
            content: Content::Moved(path),
        }) => {
            let mut outgoing = Outgoing::new(status);
            outgoing.seal(&call, pattern, status, None);
            outgoing.header("location", path);
            outgoing.json("")
        }
        Ok(Answer {
            status,
            content: Content::Json(body),
        }) => finish(&call, pattern, status, Ok(body)),
        Err(error) => finish(&call, pattern, error.code.status(), Err(error)),
    }
}

/// Ends a request that is answered whole.
fn finish(call: &Call, pattern: &str, status: u16, body: Result<String>) -> JsValue {
    let status = match &body {
        Err(error) if is_openai(call) => error.openai_status(),
        _ => status,
    };
    let mut outgoing = Outgoing::new(status);
    outgoing.seal(call, pattern, status, body.as_ref().err());
    let body = match body {
        Ok(body) => body,
        Err(error) => {
            if status >= 500 {
                log::error(&call.request_id, "request failed", &error);
            }
            outgoing.refusal(&error);
            outgoing.header("content-language", call.language.tag());
            match is_openai(call) {
                true => error.openai(call.language, &call.request_id),
                false => error.body(call.language, &call.request_id),
            }
        }
    };
    outgoing.json(&body)
}

/// Whether a request speaks OpenAI's API, in which errors have another shape.
fn is_openai(call: &Call) -> bool {
    openai::is_at(call.head.path())
}

/// Answers with what is the same for everybody; only that it is, to whoever has it.
fn share(call: &Call, pattern: &str, body: &str) -> JsValue {
    let hash = Sha256::digest(body);
    let tag = format!("W/\"{}\"", URL_SAFE_NO_PAD.encode(&hash[..16]));
    let asked = call.head.if_none_match().unwrap_or_default();
    let known = asked.split(',').map(str::trim);
    let (status, body) = match known.into_iter().any(|one| one == "*" || same(one, &tag)) {
        true => (304, ""),
        false => (200, body),
    };
    let mut outgoing = Outgoing::new(status);
    outgoing.seal(call, pattern, status, None);
    outgoing.header("etag", &tag);
    // Kept by whoever wants to, and asked for again each time: what is taken off is gone at once.
    outgoing.header("cache-control", "public, no-cache");
    outgoing.json(body)
}

/// Whether two tags name the same content (RFC 9110, 8.8.3.2).
fn same(one: &str, other: &str) -> bool {
    let opaque = |tag: &str| tag.trim_start_matches("W/").to_owned();
    opaque(one) == opaque(other)
}

/// Hands a file to the platform piece by piece.
fn stream(call: &Call, pattern: &str, file: Streamed) -> JsValue {
    let (kind, name) = (file.content_type, file.file_name);
    in_pieces(call, pattern, file.pieces, |outgoing| {
        outgoing.header("content-type", kind);
        outgoing.header(
            "content-disposition",
            format_args!("attachment; filename=\"{name}\""),
        );
    })
}

/// Hands events to the platform as they happen.
fn tell(call: &Call, pattern: &str, events: Events) -> JsValue {
    in_pieces(call, pattern, events.0, |outgoing| {
        outgoing.header("content-type", Events::CONTENT_TYPE);
        // Whoever stands between may not wait until there is more of it.
        outgoing.header("x-accel-buffering", "no");
    })
}

fn in_pieces(
    call: &Call,
    pattern: &str,
    pieces: Pieces,
    describe: impl FnOnce(&mut Outgoing),
) -> JsValue {
    let request_id = call.request_id.clone();
    let pieces = pieces.map_err(move |error| {
        log::error(&request_id, "an answer was broken off", &error);
        worker::Error::RustError("the answer could not be finished".into())
    });
    match worker::Response::from_stream(pieces) {
        Ok(response) => {
            let mut outgoing = Outgoing::new(200);
            outgoing.seal(call, pattern, 200, None);
            describe(&mut outgoing);
            let response: web_sys::Response = response.into();
            Array::of2(&outgoing.0.into(), &response).into()
        }
        Err(error) => finish(call, pattern, 500, Err(Error::internal(error))),
    }
}

/// Answers what a browser asks before the request itself (Fetch standard, CORS protocol).
fn preflight(call: &Call) -> JsValue {
    let mut outgoing = Outgoing::new(204);
    if outgoing.share(call) {
        outgoing.header("access-control-allow-methods", "GET, POST, PATCH, DELETE");
        outgoing.header(
            "access-control-allow-headers",
            "Authorization, X-API-Key, Content-Type, Accept-Language, Idempotency-Key, X-Request-Id",
        );
        outgoing.header("access-control-max-age", 7200);
    }
    outgoing.json("")
}

/// A worker without its variables can answer nothing; the operator finds the name in the log.
fn misconfigured(problem: &str) -> JsValue {
    let error = Error::unavailable(problem);
    log::error("start", "the worker is not configured", &error);
    let mut outgoing = Outgoing::new(error.code.status());
    outgoing.refusal(&error);
    outgoing.json(&error.body(Language::Es, "start"))
}

/// The text of an answer while it is written.
struct Outgoing(String);

impl Outgoing {
    fn new(status: u16) -> Self {
        let mut text = String::with_capacity(512);
        let _ = write!(text, "{status}");
        Self(text)
    }

    fn header(&mut self, name: &str, value: impl Display) {
        let _ = write!(self.0, "\n{name}: {value}");
    }

    /// What every answer says of its request, in headers and in the log.
    fn seal(&mut self, call: &Call, pattern: &str, status: u16, error: Option<&Error>) {
        let (db, objects) = (call.database.statements(), call.object_calls());
        self.header("x-request-id", &call.request_id);
        self.header(
            "server-timing",
            format_args!("db;desc=\"{db}\", do;desc=\"{objects}\""),
        );
        self.share(call);
        if let Some(quota) = call.quota() {
            self.header("ratelimit-limit", quota.limit);
            self.header("ratelimit-remaining", quota.remaining);
            self.header("ratelimit-reset", quota.reset_s);
        }
        if call.config.logs("info") {
            let caller = call.caller();
            log::info(
                &call.request_id,
                "request",
                json!({
                    "method": call.head.method(), "route": pattern, "status": status,
                    "code": error.map(|error| error.code.as_str()), "db": db, "do": objects, "ms": call.age_ms(),
                    "principal": caller.kind, "organization_id": caller.organization,
                }),
            );
        }
    }

    /// Lets a configured dashboard read the answer (Fetch standard, CORS protocol).
    fn share(&mut self, call: &Call) -> bool {
        let origins = &call.config.cors_origins;
        let asking = call.head.origin();
        let Some(origin) = asking.filter(|asking| origins.iter().any(|known| known == asking))
        else {
            return false;
        };
        self.header("access-control-allow-origin", origin);
        self.header("access-control-allow-credentials", true);
        self.header(
            "access-control-expose-headers",
            "X-Request-Id, Server-Timing, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, Retry-After, \
             Content-Disposition, ETag, Location",
        );
        true
    }

    /// What a refusal says besides its body (RFC 9110: 10.2.1, 10.2.3, 11.6.1).
    fn refusal(&mut self, error: &Error) {
        if let Some(seconds) = error.retry_after {
            self.header("retry-after", seconds);
        }
        if error.code == Code::QuotaExceeded {
            // OpenAI's clients would try again at once.
            self.header("x-should-retry", "false");
        }
        if error.code == Code::UnsupportedMediaType {
            // What would be taken (RFC 9110, 15.5.16).
            let is_coding = |details: &Value| details["header"] == "Content-Encoding";
            match error.details.as_ref().is_some_and(is_coding) {
                true => self.header("accept-encoding", "identity"),
                false => self.header("accept", "application/json"),
            }
        }
        if let Some(methods) = &error.allow {
            self.header("allow", methods);
        }
        if error.code.status() == 401 {
            let reason = match error.code {
                Code::Unauthenticated => "",
                _ => ", error=\"invalid_token\"",
            };
            self.header(
                "www-authenticate",
                format_args!("Bearer realm=\"celaest\"{reason}"),
            );
        }
    }

    fn json(mut self, body: &str) -> JsValue {
        if !body.is_empty() {
            self.header("content-type", "application/json; charset=utf-8");
        }
        self.0.push_str("\n\n");
        self.0.push_str(body);
        self.0.into()
    }
}
