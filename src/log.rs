//! Structured logs: one JSON object a line. Never a key, token, secret or body.

use crate::config::Config;
use crate::error::Error;
use serde_json::{Value, json};

/// One line of the log, unless `LOG_LEVEL` leaves it out. Of a worker that could not read its configuration
/// everything is logged.
fn line(level: &str, request_id: &str, message: &str, more: Value) {
    if Config::known().is_some_and(|config| !config.logs(level)) {
        return;
    }
    let mut entry = json!({ "level": level, "request_id": request_id, "message": message });
    if let (Some(entry), Value::Object(more)) = (entry.as_object_mut(), more) {
        entry.extend(more);
    }
    #[cfg(target_arch = "wasm32")]
    worker::console_log!("{entry}");
    #[cfg(not(target_arch = "wasm32"))]
    println!("{entry}");
}

/// What went on.
pub fn info(request_id: &str, message: &str, more: Value) {
    line("info", request_id, message, more);
}

/// What an operator may have to look at.
pub fn warn(request_id: &str, message: &str, error: &Error) {
    line(
        "warn",
        request_id,
        message,
        json!({ "code": error.code.as_str(), "cause": error.cause }),
    );
}

/// What an operator has to look at.
pub fn error(request_id: &str, message: &str, error: &Error) {
    line(
        "error",
        request_id,
        message,
        json!({ "code": error.code.as_str(), "cause": error.cause }),
    );
}
