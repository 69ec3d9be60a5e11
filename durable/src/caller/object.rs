//! How the object of a caller is asked.

use uuid::Uuid;
use worker::{Error, Result};

use super::rules::Machine;
use super::wire::Ask;
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
            "ask" => {
                let ask: Ask<'_> = call::read(text)?;
                let answer = self.ask(&ask, now);
                let (answer, effects) =
                    answer.map_err(|_| Error::RustError("a caller that cannot be read".into()))?;
                Ok((serde_json::to_string(&answer)?, effects))
            }
            "count" => {
                let (decision, effects) = self.count(call::read(text)?, now);
                Ok((serde_json::to_string(&decision)?, effects))
            }
            _ => Err(unknown("a caller", what)),
        }
    }

    fn announce(&mut self, change: Uuid, now: i64) -> Effects {
        self.announce(change, now)
    }

    fn forget(&mut self, change: Uuid, now: i64) -> Effects {
        self.forget(change, now)
    }

    fn write_behind(&mut self, _now: i64) -> Behind {
        self.write_behind()
    }

    fn report_again(&mut self) {
        self.report_again();
    }
}
