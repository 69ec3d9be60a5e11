//! CELAEST Core: licensing, billing and AI for software vendors, as one Cloudflare Worker.
//!
//! Four doors: `serve` for requests, `queue` for messages, `scheduled` for jobs, `tasks` for AI tasks. `router.rs` is the
//! contents page of the first; `queues/` and `cron/` hold one file per message kind and job. The
//! JavaScript that stands before them is in `src/entry/`.

pub mod call;
pub mod config;
#[cfg(all(coverage, target_arch = "wasm32"))]
mod coverage;
pub mod cron;
pub mod db;
pub mod door;
pub mod error;
#[cfg(test)]
mod house;
pub mod http;
pub mod identity;
pub mod language;
pub mod log;
pub mod mail;
pub mod modules;
pub mod platform;
pub mod queues;
pub mod router;
pub mod run;
pub mod settings;

// Named here, or it silently vanishes from the wasm.
pub use celaest_durable::{ObjectDoor, turn::failed, turn::replied};

use celaest_durable::turn;
use futures_util::FutureExt;
use platform::incoming::{Head, Incoming, Rest};
use run::Run;
use std::rc::Rc;
#[cfg(target_family = "wasm")]
use talc::wasm::{WasmDynamicTalc, new_wasm_dynamic_allocator};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use worker::worker_sys;
use worker::{Context, Env, MessageBatch, ScheduleContext, ScheduledEvent, State, event};

/// What a validation costs in WebAssembly is to a tenth memory that is taken and given back.
#[cfg(target_family = "wasm")]
#[global_allocator]
static MEMORY: WasmDynamicTalc = new_wasm_dynamic_allocator();

/// Requests: a number that no other has, a head and, when it was small enough to come along, a body. Returns the
/// answer, a question to an object, or a promise of the answer when something else has to be waited for.
#[wasm_bindgen]
pub fn serve(
    turn: u32,
    head: String,
    body: Option<Vec<u8>>,
    rest: Rest,
    env: Env,
    context: worker_sys::Context,
) -> Result<JsValue, JsValue> {
    let (head, incoming) = (Head::new(head), Incoming::new(body, rest));
    let answer = door::answer(head, incoming, env, Context::new(context));
    turn::now_or_asking(turn, Box::pin(answer.map(Ok)))
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

/// AI tasks, in an object of their own. Returns after how many milliseconds there is more to do, nothing when there is
/// none.
#[wasm_bindgen]
pub fn tasks(state: worker_sys::DurableObjectState, env: Env) -> Result<JsValue, JsValue> {
    let state = State::from(state);
    let background = Rc::new(move |work| state.wait_until(work));
    let run = Run::new(env, background, "tasks".to_owned());
    turn::now_or_later(Box::pin(async move {
        let pause_ms = modules::ai::tasks::drain::work(&run).await;
        run.database.close();
        Ok(pause_ms.map_or(JsValue::UNDEFINED, JsValue::from))
    }))
}

/// Jobs.
#[event(scheduled)]
async fn scheduled(event: ScheduledEvent, env: Env, context: ScheduleContext) {
    cron::run(event, env, context).await;
}
