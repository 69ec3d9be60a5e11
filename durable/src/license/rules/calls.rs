//! AI calls on the license: let in, ended, confirmed.

use celaest_domain::license as domain;

use super::snapshots::Ready;
use super::{Machine, Malformed};
use crate::license::calls::{CallAnswer, Confirmed, Limits, ReserveCall, SettleCall, Told};
use crate::storage::Effects;

impl Machine {
    /// Lets an AI call in if the license may be used and its limits allow it. The reservation is on disk
    /// before the answer leaves.
    ///
    /// # Errors
    /// The snapshot is malformed.
    pub fn reserve_call(
        &mut self,
        ask: &ReserveCall<'_>,
        now: i64,
    ) -> Result<(CallAnswer, Effects), Malformed> {
        let mut effects = Effects::default();
        let supply = ask.supply.as_ref();
        let answer = match self.ready(supply, ask.snapshot_ttl_s, now, &mut effects)? {
            Ready::Missing => CallAnswer::Missing,
            Ready::NeedSnapshot => CallAnswer::NeedSnapshot(self.wanted()),
            Ready::Unavailable => CallAnswer::Unavailable,
            Ready::Yes if !self.calls.is_known() && supply.is_none() => {
                CallAnswer::NeedSnapshot(self.wanted())
            }
            Ready::Yes => self.let_in(ask, now, &mut effects),
        };
        Ok((answer, effects))
    }

    fn let_in(&mut self, ask: &ReserveCall<'_>, now: i64, effects: &mut Effects) -> CallAnswer {
        // `ready` said there is a snapshot.
        let (Some(loaded), Some(owner)) = (&self.loaded, self.core.owner) else {
            return CallAnswer::Unavailable;
        };
        let terms = &loaded.terms;
        let theirs = owner.license_id == ask.license_id
            && ask
                .organization_id
                .is_none_or(|id| id == owner.organization_id)
            && ask.owner_id.is_none_or(|id| terms.owner_id == Some(id));
        if !theirs {
            return CallAnswer::Missing;
        }
        if let Some(code) = domain::standing(terms, self.core.stop.is_some(), now) {
            return CallAnswer::Refused(code.as_str().to_owned());
        }
        let limits = Limits {
            requests: terms.max_ai_requests,
            concurrent: terms.max_concurrent_tasks,
            cost_micro: terms.max_ai_cost_micro,
        };
        let answer = self
            .calls
            .reserve(ask, owner.organization_id, &limits, now, effects);
        if matches!(answer, CallAnswer::Granted { .. }) {
            effects.unconfirmed = false;
        }
        answer
    }

    /// AI calls came to their ends.
    pub fn settle_calls(&mut self, told: Vec<SettleCall>, now: i64) -> Effects {
        let mut effects = Effects::default();
        for one in told {
            self.calls.settle(one.id, one.settle, now, &mut effects);
        }
        self.free(&mut effects);
        effects
    }

    /// Postgres has the records of these calls.
    pub fn confirm_calls(&mut self, told: &[Confirmed]) -> Effects {
        let mut effects = Effects::default();
        match self.calls.confirm(told, &mut effects) {
            Told::Nothing => {}
            Told::News => self.token = self.ids.token(),
            Told::Doubt => effects.delete.extend(self.drop_snapshot().delete),
        }
        self.free(&mut effects);
        effects
    }

    /// The records of calls that are to be sent to the queue now.
    pub fn take_calls(&mut self, now: i64) -> (Vec<String>, Effects) {
        let mut effects = Effects::default();
        let bodies = match self.core.owner {
            Some(owner) => self.calls.take(owner, now, &mut effects),
            None => Vec::new(),
        };
        (bodies, effects)
    }
}
