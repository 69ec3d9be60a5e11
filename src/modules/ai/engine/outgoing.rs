//! Records on their way to the queue. Those of a moment leave together: a message of its own for each costs more than
//! most calls. One that is lost is sent again by its license's object, without what only the worker knew.

use crate::log;
use crate::modules::ai::host::Host;
use crate::platform::company::{Company, WAIT_MS};
use crate::platform::{clock, queues};
use std::cell::RefCell;
use std::time::Duration;
use worker::Delay;

thread_local! {
    static WAITING: RefCell<Company<String>> = const { RefCell::new(Company::new()) };
}

/// Sends a record, soon.
pub(super) fn send(host: &impl Host, record: String) {
    if !WAITING.with_borrow_mut(|waiting| waiting.join(record, clock::now_ms())) {
        return;
    }
    let (env, name) = (host.env().clone(), host.name().to_owned());
    host.background()(Box::pin(async move {
        Delay::from(Duration::from_millis(WAIT_MS)).await;
        let records = WAITING.with_borrow_mut(Company::leave);
        if let Err(error) = queues::send(&env, "AI_RECORDS", records.into_iter()).await {
            log::warn(&name, "records wait for their licenses' objects", &error);
        }
    }));
}
