//! The object of one caller. The window is memory only: an object idle long
//! enough to be evicted has outlived it, and a restart costs one fresh window.
//!
//! The object of an API key also counts its use and reports the total every
//! [`REPORT_AFTER_MS`], so that a request costs no write.

use std::cell::{Cell, RefCell};

use serde_json::json;
use wasm_bindgen::JsValue;
use worker::js_sys::{self, Reflect};
use worker::{
    Date, DurableObject, Env, Queue, QueueContentType, RawMessageBuilder, Request, Response,
    Result, State, durable_object,
};

use super::rules::FixedWindow;

/// How long a use of an API key waits for company before it is reported.
const REPORT_AFTER_MS: i64 = 10_000;
/// Where the total is stored.
const TOTAL: &str = "total";
/// Queue binding of the reports.
const QUEUE: &str = "EVENTS";

/// Counts the requests of one caller.
#[durable_object(alarm)]
pub struct RateLimitObject {
    state: State,
    queue: Option<Queue>,
    window: Cell<FixedWindow>,
    /// The API key, once it was used.
    key: RefCell<Option<String>>,
    /// Uses that are not part of the stored total yet.
    uses: Cell<u64>,
    last_use_ms: Cell<i64>,
    /// A report is due.
    armed: Cell<bool>,
}

impl DurableObject for RateLimitObject {
    fn new(state: State, env: Env) -> Self {
        Self {
            state,
            queue: env.queue(QUEUE).ok(),
            window: Cell::default(),
            key: RefCell::default(),
            uses: Cell::default(),
            last_use_ms: Cell::default(),
            armed: Cell::default(),
        }
    }

    async fn fetch(&self, req: Request) -> Result<Response> {
        let path = req.path();
        let Some((limit, window_s, key)) = parse(&path) else {
            return Response::error("expected /limit/window or /limit/window/key", 400);
        };
        let mut window = self.window.get();
        let now = i64::try_from(Date::now().as_millis()).unwrap_or(i64::MAX);
        let decision = window.check(limit, window_s, now);
        self.window.set(window);
        if let (Some(key), true) = (key, decision.allowed) {
            self.used(key, now)?;
        }
        let text = format!(
            "{} {} {}",
            u8::from(decision.allowed),
            decision.remaining,
            decision.reset_s
        );
        Ok(Response::builder().fixed(text.into_bytes()))
    }

    async fn alarm(&self) -> Result<Response> {
        self.armed.set(false);
        let Some(key) = self.key.borrow().clone() else {
            return Response::empty();
        };
        let storage = self.state.storage();
        // The total only grows, so a report that is repeated or overtaken by a
        // later one does no harm.
        let stored = storage.get::<u64>(TOTAL).await?.unwrap_or(0);
        let total = stored.saturating_add(self.uses.replace(0));
        storage.put(TOTAL, total).await?;
        let report = json!({
            "topic": "api_key.used",
            "payload": { "api_key_id": key, "usage_count": total, "last_used_ms": self.last_use_ms.get() },
        });
        if let Some(queue) = &self.queue {
            let message = RawMessageBuilder::new(JsValue::from_str(&report.to_string()));
            // A failure repeats the alarm, which reports the same total again.
            queue
                .send_raw(message.build_with_content_type(QueueContentType::Text))
                .await?;
        }
        Response::empty()
    }
}

impl RateLimitObject {
    fn used(&self, key: &str, now: i64) -> Result<()> {
        self.uses.set(self.uses.get() + 1);
        self.last_use_ms.set(now);
        if self.armed.replace(true) {
            return Ok(());
        }
        self.key.replace(Some(key.to_owned()));
        let date = js_sys::Date::new(&JsValue::from_f64((now + REPORT_AFTER_MS) as f64));
        let options = js_sys::Object::new();
        // The answer need not wait: the count is lost with the memory either way.
        Reflect::set(&options, &"allowUnconfirmed".into(), &true.into())?;
        let set = self.state.storage().as_raw().set_alarm(date, options)?;
        self.state.wait_until(async move {
            // Without the alarm the next use arms again after a restart.
            let _ = js_sys::futures::JsFuture::from(set).await;
        });
        Ok(())
    }
}

/// Reads `/limit/window_s` with an optional `/key`.
fn parse(path: &str) -> Option<(u32, u32, Option<&str>)> {
    let mut parts = path.strip_prefix('/')?.split('/');
    let limit = parts.next()?.parse().ok()?;
    let window_s = parts.next()?.parse().ok()?;
    Some((limit, window_s, parts.next()))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn the_key_is_optional() {
        assert_eq!(parse("/100/60"), Some((100, 60, None)));
        assert_eq!(parse("/100/60/k"), Some((100, 60, Some("k"))));
        assert_eq!(parse("/100"), None);
        assert_eq!(parse("/x/60"), None);
    }
}
