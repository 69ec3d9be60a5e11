//! The only clock. `SystemTime::now` panics under wasm, and rules take time as an argument.

use chrono::{DateTime, Utc};

/// The current time in milliseconds since the Unix epoch, as the platform reports it.
#[cfg(target_arch = "wasm32")]
pub fn now_ms() -> i64 {
    worker::js_sys::Date::now() as i64
}

/// The current time in milliseconds since the Unix epoch.
#[cfg(not(target_arch = "wasm32"))]
pub fn now_ms() -> i64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_millis() as i64)
}

/// The current time in UTC.
pub fn now() -> DateTime<Utc> {
    DateTime::from_timestamp_millis(now_ms()).unwrap_or_default()
}
