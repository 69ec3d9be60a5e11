//! How the object of a pool is asked.

use uuid::Uuid;
use worker::{Error, Result};

use super::rules::Machine;
use super::wire::{Reserve, Settle};
use crate::call;
use crate::shell::{Behind, Rules, unknown};
use crate::storage::Effects;

impl Rules for Machine {
    fn new(seed: [u8; 16]) -> Self {
        Self::new(seed)
    }

    fn restore(&mut self, rows: &[(String, String)]) {
        self.restore(rows);
    }

    fn answer(&mut self, what: &str, text: &str, now: i64) -> Result<(String, Effects)> {
        match what {
            "reserve" => {
                let ask: Reserve<'_> = call::read(text)?;
                let answer = self.reserve(&ask, now);
                let (answer, effects) =
                    answer.map_err(|_| Error::RustError("keys that cannot be read".into()))?;
                Ok((serde_json::to_string(&answer)?, effects))
            }
            "settle" => {
                let settled: Vec<Settle<'_>> = call::read(text)?;
                let mut effects = Effects::default();
                for one in &settled {
                    effects.add(self.settle(one, now));
                }
                Ok((String::new(), effects))
            }
            "show" => {
                let shown = serde_json::to_string(&self.shown(now))?;
                Ok((shown, Effects::default()))
            }
            _ => Err(unknown("a pool of keys", what)),
        }
    }

    fn announce(&mut self, change: Uuid, now: i64) -> Effects {
        self.announce(change, now)
    }

    fn forget(&mut self, change: Uuid, now: i64) -> Effects {
        self.forget(change, now)
    }

    fn write_behind(&mut self, now: i64) -> Behind {
        self.write_behind(now)
    }

    fn report_again(&mut self) {
        self.report_again();
    }
}
