//! Records on their way to the queue. Those of a moment leave together, several as one message: a message of its own for
//! each costs more than most calls. One that is lost is sent again by its license's object, without what only the worker knew.

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

/// Records of one message: a hundred messages are one statement.
const TOGETHER: usize = 10;
/// Bytes of one message, of which the platform takes a little more.
const MOST_BYTES: usize = 100_000;

/// Sends a record, soon.
pub(super) fn send(host: &impl Host, record: String) {
    if !WAITING.with_borrow_mut(|waiting| waiting.join(record, clock::now_ms())) {
        return;
    }
    let (env, name) = (host.env().clone(), host.name().to_owned());
    host.background()(Box::pin(async move {
        Delay::from(Duration::from_millis(WAIT_MS)).await;
        let messages = packed(WAITING.with_borrow_mut(Company::leave));
        if let Err(error) = queues::send(&env, "AI_RECORDS", messages.into_iter()).await {
            log::warn(&name, "records wait for their licenses' objects", &error);
        }
    }));
}

/// Lists of records, each as large as a message may be.
fn packed(records: Vec<String>) -> Vec<String> {
    let mut messages: Vec<(usize, String)> = Vec::new();
    for record in records {
        match messages.last_mut() {
            Some((count, list)) if *count < TOGETHER && list.len() + record.len() < MOST_BYTES => {
                *count += 1;
                list.push(',');
                list.push_str(&record);
            }
            _ => messages.push((1, format!("[{record}"))),
        }
    }
    messages.into_iter().map(|(_, list)| list + "]").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_no_more_records_and_bytes_than_it_may() {
        assert_eq!(packed(Vec::new()), Vec::<String>::new());
        let small = packed((0..23).map(|n| n.to_string()).collect());
        assert_eq!(small[0], "[0,1,2,3,4,5,6,7,8,9]");
        assert_eq!(small[2], "[20,21,22]");
        let large = packed(vec!["x".repeat(60_000); 3]);
        assert_eq!(
            large.iter().map(String::len).collect::<Vec<_>>(),
            [60_002; 3]
        );
    }
}
