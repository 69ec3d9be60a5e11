//! What is done besides sending: forgetting what has served its purpose, and ending.

use worker::Result;

use super::Machine;
use super::reports::TELL_AGAIN_MS;
use crate::webhook::store::{Core, Store};

/// How long an event that has ended is remembered, so that it is not sent
/// again when it comes again.
const REMEMBER_MS: i64 = 3 * 24 * 3_600 * 1_000;
/// Events thrown away in one step, and steps in one run.
pub const STEP: usize = 1_000;
const STEPS: usize = 10;

impl<S: Store> Machine<S> {
    /// When there is something to do besides attempts and the journal: throwing away, telling again, ending.
    pub fn next_chore(&self) -> Option<i64> {
        if self.core.dropping {
            return Some(0);
        }
        let again = self.core.disabled.as_ref();
        again
            .map(|given_up| given_up.told_at + TELL_AGAIN_MS)
            .or(self.core.deleted_at.map(|at| at + REMEMBER_MS))
    }

    /// Whether nothing of the object is needed any more. What is still on its way to a webhook that was
    /// deleted has come by then, and found it deleted.
    ///
    /// # Errors
    /// The storage failed.
    pub fn is_over(&self, now: i64) -> Result<bool> {
        let deleted = self.core.deleted_at;
        Ok(deleted.is_some_and(|at| at + REMEMBER_MS <= now)
            && !self.core.dropping
            && self.store.journal(1)?.is_empty())
    }

    /// Forgets what has served its purpose, a bounded part of it at a time.
    ///
    /// # Errors
    /// The storage failed.
    pub fn tidy(&mut self, now: i64) -> Result<()> {
        if self.core.dropping {
            for _ in 0..STEPS {
                if self.store.drop_pending(STEP)? < STEP {
                    self.pending = self.store.pending()?;
                    let core = Core {
                        dropping: false,
                        ..self.core.clone()
                    };
                    self.set_core(core, now)?;
                    break;
                }
            }
        }
        let before = match self.core.deleted_at {
            Some(_) => now,
            None => now.saturating_sub(REMEMBER_MS),
        };
        for _ in 0..STEPS {
            if self.store.drop_ended(before, STEP)? < STEP {
                break;
            }
        }
        Ok(())
    }
}
