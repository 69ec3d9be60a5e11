//! CELAEST Core: licensing, billing and AI for software vendors, as one Cloudflare Worker.
//!
//! Three doors: `fetch` for requests, `queue` for messages, `scheduled` for jobs. `router.rs` is the
//! contents page of the first; `queues/` and `cron/` hold one file per message kind and job.

pub mod config;
pub mod cron;
pub mod db;
pub mod error;
pub mod http;
pub mod log;
pub mod modules;
pub mod platform;
pub mod queues;
pub mod router;

// Named here, or they silently vanish from the wasm.
pub use celaest_durable::LicenseObject;
pub use celaest_durable::RateLimitObject;
pub use celaest_durable::SealHeadObject;
pub use celaest_durable::WebhookObject;

use worker::web_sys;
use worker::{Context, Env, MessageBatch, ScheduleContext, ScheduledEvent, event};

/// Requests.
#[event(fetch)]
async fn fetch(
    request: web_sys::Request,
    env: Env,
    context: Context,
) -> worker::Result<web_sys::Response> {
    http::door::answer(request, env, context).await
}

/// Messages.
#[event(queue)]
async fn queue(
    batch: MessageBatch<serde_json::Value>,
    env: Env,
    context: Context,
) -> worker::Result<()> {
    queues::run(batch, env, context).await
}

/// Jobs.
#[event(scheduled)]
async fn scheduled(event: ScheduledEvent, env: Env, context: ScheduleContext) {
    cron::run(event, env, context).await;
}
