//! The validation log on its way to the queue: each isolate gathers the lines of all licenses for a moment.
//!
//! A killed isolate takes the lines of two seconds with it. Writing each line durably before its answer
//! would make every validation wait for a disk.

use super::model::Validation;
use crate::call::Call;
use crate::log;
use crate::platform::queues;
use celaest_durable::ids::Ids;
use celaest_durable::license::{FULL, Journal, Line, Logged, pack_lines};
use serde_json::json;
use serde_json::value::RawValue;
use std::cell::{Cell, RefCell};
use std::time::Duration;
use worker::{Delay, Env};

/// How long a line waits for company.
const WAIT: Duration = Duration::from_secs(2);
/// How often the queue is tried before the lines wait for the next validation. All attempts together stay
/// below what the platform lets an invocation outlast its answer.
const ATTEMPTS: u32 = 10;
const ALL_ATTEMPTS_MS: i64 = 25_000;

thread_local! {
    static JOURNAL: RefCell<Journal> = const { RefCell::new(Journal::new()) };
    static IDS: RefCell<Option<Ids>> = const { RefCell::new(None) };
    /// Until then somebody is about to send the lines, in Unix milliseconds.
    static TAKEN_CARE_UNTIL: Cell<i64> = const { Cell::new(0) };
    static QUEUE_AWAY: Cell<bool> = const { Cell::new(false) };
}

/// Notes a validation; it is sent after the answer, together with others.
pub fn note(call: &Call, ip: &str, told: &Validation, info: Option<&RawValue>, logged: &Logged) {
    let now = call.started_ms;
    let line = Line {
        id: IDS.with_borrow_mut(|ids| ids.get_or_insert_with(draw).v7(now)),
        logged,
        ip,
        connection_ip: &call.ip,
        country: call.head.connecting_country(),
        device_info: info,
        machine_id: told.machine_id.as_deref(),
        hostname: told.hostname.as_deref(),
        nonce: told.nonce.as_deref(),
        user_agent: call.user_agent.as_deref(),
        at: now,
    };
    let lines = JOURNAL.with_borrow_mut(|journal| journal.push(line));
    if lines >= FULL && !QUEUE_AWAY.get() {
        let env = call.env().clone();
        call.background(async move {
            send(&env).await;
        });
    } else if TAKEN_CARE_UNTIL.get() <= now {
        TAKEN_CARE_UNTIL.set(now + ALL_ATTEMPTS_MS);
        let env = call.env().clone();
        call.background(async move {
            for _ in 0..ATTEMPTS {
                Delay::from(WAIT).await;
                if send(&env).await {
                    break;
                }
            }
            TAKEN_CARE_UNTIL.set(0);
        });
    }
}

fn draw() -> Ids {
    // The identifiers are unique, not secret.
    Ids::new(*uuid::Uuid::new_v4().as_bytes())
}

/// Sends every line there is; whether the queue took them.
async fn send(env: &Env) -> bool {
    let lines = JOURNAL.with_borrow_mut(Journal::take);
    if lines.is_empty() {
        return true;
    }
    let sent = queues::send(env, "VALIDATIONS", pack_lines(&lines).into_iter()).await;
    QUEUE_AWAY.set(sent.is_err());
    if let Err(error) = &sent {
        log::warn("journal", "validation log lines wait for the queue", error);
        JOURNAL.with_borrow_mut(|journal| journal.restore(lines));
    }
    let dropped = JOURNAL.with_borrow_mut(Journal::take_dropped);
    if dropped > 0 {
        log::info(
            "journal",
            "validation log lines dropped",
            json!({ "lines": dropped }),
        );
    }
    sent.is_ok()
}
