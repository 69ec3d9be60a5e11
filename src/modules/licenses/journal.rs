//! The validation log on its way to the queue: each isolate gathers the lines of all licenses for a moment.
//!
//! A killed isolate takes the lines of two seconds with it. Writing each line durably before its answer
//! would make every validation wait for a disk.

use super::model::Validation;
use crate::call::Call;
use crate::log;
use crate::platform::{clock, ids, queues};
use celaest_durable::license::{ATTEMPTS, Due, Journal, Line, Logged, pack_lines};
use serde_json::json;
use serde_json::value::RawValue;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::time::Duration;
use worker::{Delay, Env};

/// How long a line waits for company.
const WAIT: Duration = Duration::from_secs(2);

thread_local! {
    static JOURNAL: RefCell<Journal> = const { RefCell::new(Journal::new()) };
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
    let due = JOURNAL.with_borrow_mut(|journal| journal.push(line, now));
    if due == Due::Nothing {
        return;
    }
    let env = call.env().clone();
    call.background(async move {
        let due = match due {
            Due::Send => send(&env, Journal::take).await,
            due => due,
        };
        if due == Due::Care {
            care(&env).await;
        }
    });
}

/// Waits for company and sends what there is, again as long as the queue takes nothing and nobody else waits.
async fn care(env: &Env) {
    for _ in 0..ATTEMPTS {
        Delay::from(WAIT).await;
        if send(env, Journal::take_after_care).await == Due::Nothing {
            return;
        }
    }
    JOURNAL.with_borrow_mut(Journal::give_up);
}

/// Sends every line there is, and what is to be done after that.
async fn send(env: &Env, take: fn(&mut Journal) -> VecDeque<Line>) -> Due {
    let lines = JOURNAL.with_borrow_mut(take);
    if lines.is_empty() {
        return Due::Nothing;
    }
    let sent = queues::send(env, "VALIDATIONS", pack_lines(&lines).into_iter()).await;
    let (due, dropped) = JOURNAL.with_borrow_mut(|journal| {
        let due = match &sent {
            Ok(()) => {
                journal.sent();
                Due::Nothing
            }
            Err(_) => journal.restore(lines, clock::now_ms()),
        };
        (due, journal.take_dropped())
    });
    if let Err(error) = &sent {
        log::warn("journal", "validation log lines wait for the queue", error);
    }
    if dropped > 0 {
        log::info(
            "journal",
            "validation log lines dropped",
            json!({ "lines": dropped }),
        );
    }
    due
}
