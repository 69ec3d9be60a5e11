//! The validation log on its way to the queue: each isolate gathers the lines of all licenses for a moment.
//!
//! A killed isolate takes the lines of two seconds with it. Writing each line durably before its answer
//! would make every validation wait for a disk.

use super::model::Validation;
use crate::call::Call;
use crate::log;
use crate::platform::{ids, queues};
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
    /// Until then somebody is about to send the lines, in Unix milliseconds.
    static TAKEN_CARE_UNTIL: Cell<i64> = const { Cell::new(0) };
    static QUEUE_AWAY: Cell<bool> = const { Cell::new(false) };
}

/// Notes a validation; it is sent after the answer, together with others. `ip` is the address that the
/// program named, `info` what it told of its device.
pub fn note(
    call: &Call,
    ip: Option<String>,
    told: Validation,
    info: Option<Box<RawValue>>,
    logged: Logged,
) {
    let now = call.started_ms;
    let line = Line {
        id: ids::v7(now),
        logged,
        ip: ip.unwrap_or_else(|| call.ip.clone()),
        connection_ip: call.ip.clone(),
        country: call.head.connecting_country().map(str::to_owned),
        device_info: info,
        machine_id: told.machine_id,
        hostname: told.hostname,
        nonce: told.nonce,
        user_agent: call.user_agent.clone(),
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
