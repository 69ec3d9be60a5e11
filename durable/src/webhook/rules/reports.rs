//! What PostgreSQL is told of attempts, by way of a queue.

use worker::Result;

use super::Machine;
use crate::webhook::store::Store;
use crate::webhook::wire::Report;

/// Below the queue's 128 KB with room for its own framing.
const MAX_MESSAGE: usize = 96_000;
/// Attempts in one message.
const MAX_ATTEMPTS: usize = 100;
/// Pause before the queue is told again that the object stopped, as long as the row does not say so.
pub(super) const TELL_AGAIN_MS: i64 = 10 * 60_000;

/// A message for the queue.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// The JSON text of a [`Report`].
    pub body: String,
    through: Option<i64>,
}

impl<S: Store> Machine<S> {
    /// The next message for the queue; the same until it was [`Machine::sent`].
    ///
    /// # Errors
    /// The storage failed.
    pub fn message(&self, now: i64) -> Result<Option<Message>> {
        let Some(endpoint) = &self.core.endpoint else {
            return Ok(None);
        };
        let mut report = Report {
            webhook_id: endpoint.webhook_id,
            organization_id: endpoint.organization_id,
            generation: endpoint.generation,
            sequence: 0,
            consecutive_failures: self.core.consecutive_failures,
            failing_since_ms: self.core.failing_since,
            disabled: None,
            attempts: Vec::new(),
        };
        let mut size = 0;
        for (sequence, entry) in self.store.journal(MAX_ATTEMPTS)? {
            size += serde_json::to_string(&entry.attempt)?.len() + 1;
            if size > MAX_MESSAGE && report.sequence > 0 {
                break;
            }
            report.sequence = sequence;
            report.attempts.push(entry.attempt);
            if let Some((reason, generation)) = entry.disabled {
                report.disabled = Some(reason);
                report.generation = generation;
                // What comes after may be of another generation.
                break;
            }
        }
        if report.attempts.is_empty() {
            // A report that got lost would leave the row active for ever.
            match &self.core.disabled {
                Some(given_up) if given_up.told_at + TELL_AGAIN_MS <= now => {
                    report.disabled = Some(given_up.reason);
                    report.generation = given_up.generation;
                }
                _ => return Ok(None),
            }
        }
        Ok(Some(Message {
            body: serde_json::to_string(&report)?,
            through: Some(report.sequence).filter(|_| !report.attempts.is_empty()),
        }))
    }

    /// The queue took it.
    ///
    /// # Errors
    /// The storage failed; the message is sent again.
    pub fn sent(&mut self, message: &Message, now: i64) -> Result<()> {
        match message.through {
            Some(through) => self.store.drop_journal(through),
            None => {
                let mut core = self.core.clone();
                if let Some(given_up) = &mut core.disabled {
                    given_up.told_at = now;
                }
                self.set_core(core, now)
            }
        }
    }
}
