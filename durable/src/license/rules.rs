//! What the object of a license does: (state, event, now) → (state, answer,
//! effects). Times are Unix milliseconds.

mod calls;
mod judge;
mod notices;
mod reports;
mod snapshots;

use celaest_domain::json;
use std::collections::HashMap;

use celaest_domain::address::{Address, AddressKey};
use celaest_domain::license::{Code, MOST_IPS, Snapshot, Terms, refusal};
use uuid::Uuid;

use self::reports::Reports;
use self::snapshots::Ready;
use super::calls::Ledger;
use super::collisions::Window;
use super::stored::{
    BINDING, CALL, CALLS, COLLISION, CORE, Core, Hold, LIMIT, SLOT, SNAPSHOT, StoredSnapshot,
    WINDOW,
};
use super::wire::{Answer, Check, Reservation, ReserveRequest, Wanted};
use crate::caller::FixedWindow;
use crate::ids::Ids;
use crate::storage::Effects;

/// How long a slot is held for a manual bind of which nothing is heard.
const HOLD_MS: i64 = 30_000;
/// Age at which the saved rate limit is renewed: sooner than the platform lets
/// go of an idle object.
const SAVE_LIMIT_MS: i64 = 5_000;

/// The event cannot be understood; nothing was changed.
#[derive(Debug, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

/// The object's state.
#[derive(Debug)]
pub struct Machine {
    ids: Ids,
    token: u64,
    loaded: Option<Loaded>,
    missing_until: i64,
    core: Core,
    /// Every slot taken.
    bound: HashMap<AddressKey, Uuid>,
    /// Those of `bound` that Postgres showed, as they are stored.
    slots: HashMap<AddressKey, Uuid>,
    /// What Postgres has not confirmed.
    reports: Reports,
    /// What AI calls use.
    calls: Ledger,
    window: Window,
    limiter: FixedWindow,
    limit_saved_at: i64,
    limit_unsaved: bool,
    /// When a refusal of the cancelled license was last logged.
    refusal_logged_at: i64,
}

#[derive(Debug)]
struct Loaded {
    terms: Terms,
    at: i64,
    /// Until then the snapshot serves whatever its age.
    grace_until: i64,
    /// Read while a change was announced: good for one verdict.
    passing: bool,
}

impl Machine {
    /// An object that knows nothing, with 128 random bits for its identifiers.
    pub fn new(seed: [u8; 16]) -> Self {
        let mut ids = Ids::new(seed);
        Self {
            token: ids.token(),
            ids,
            loaded: None,
            missing_until: 0,
            core: Core::default(),
            bound: HashMap::new(),
            slots: HashMap::new(),
            reports: Reports::default(),
            calls: Ledger::default(),
            window: Window::default(),
            limiter: FixedWindow::default(),
            limit_saved_at: 0,
            limit_unsaved: false,
            refusal_logged_at: i64::MIN,
        }
    }

    /// Takes up what an earlier instance stored. A row that cannot be read is
    /// left out: Postgres fills the gap with the next snapshot.
    pub fn restore(&mut self, rows: &[(String, String)]) {
        let mut stored = None;
        for (key, text) in rows {
            if key == SNAPSHOT {
                stored = json::read::<StoredSnapshot<'_>>(text).ok();
            } else if key == CORE {
                self.core = json::read(text).unwrap_or_default();
            } else if key == WINDOW {
                self.window = Window::restore(text);
            } else if key == LIMIT {
                self.limiter = json::read(text).unwrap_or_default();
            } else if key == CALLS {
                self.calls.restore_counts(text);
            } else if key.starts_with(CALL) {
                self.calls.restore_entry(text);
            } else if let Some(address) = key.strip_prefix(SLOT) {
                let slot = AddressKey::parse(address).zip(text.parse().ok());
                self.slots.extend(slot);
            } else if key.starts_with(BINDING) {
                self.reports.restore_binding(text);
            } else if key.starts_with(COLLISION) {
                self.reports.restore_collision(text);
            }
        }
        self.reports.restored();
        self.bound = self.slots.clone();
        self.bound.extend(self.reports.slots());
        if let Some(stored) = stored
            && let Ok(snapshot) = Snapshot::parse(stored.data.get())
        {
            self.loaded = Some(Loaded::new(&snapshot, stored.at, false));
        }
    }

    /// One validation.
    ///
    /// # Errors
    /// The check's addresses or snapshot are malformed.
    pub fn validate(
        &mut self,
        check: &Check<'_>,
        now: i64,
    ) -> Result<(Answer, Effects), Malformed> {
        let connection = Address::parse(check.connection_ip).ok_or(Malformed("connection_ip"))?;
        let reported = match check.reported_ip {
            Some(text) => Some(Address::parse(text).ok_or(Malformed("reported_ip"))?),
            None => None,
        };
        let mut effects = Effects::default();
        if check.supply.is_none() && check.limit_per_minute > 0 {
            let decision = self.limiter.check(check.limit_per_minute, 60, now);
            if !decision.allowed {
                return Ok((Answer::Limited(decision), effects));
            }
            // Below a tenth of the limit nothing is gained by a pause.
            let used = decision.limit.saturating_sub(decision.remaining);
            self.limit_unsaved |= used > decision.limit / 10;
        }
        let ready = self.ready(
            check.supply.as_ref(),
            check.snapshot_ttl_s,
            now,
            &mut effects,
        )?;
        let answer = match ready {
            Ready::Yes => self.judge(check, connection, reported, now, &mut effects),
            Ready::Missing => {
                let text = reported.unwrap_or(connection).to_string();
                let nonce = check.nonce.as_deref();
                Answer::Verdict {
                    data: refusal(Code::NotFound, check.lang, &text, nonce, now),
                    logged: None,
                }
            }
            Ready::NeedSnapshot => Answer::NeedSnapshot(self.wanted()),
            Ready::Unavailable => Answer::Unavailable,
        };
        effects.save = self.is_save_due(now);
        Ok((answer, effects))
    }

    /// Holds a slot for a manual bind.
    ///
    /// # Errors
    /// The address or the snapshot is malformed.
    pub fn reserve(
        &mut self,
        request: &ReserveRequest<'_>,
        now: i64,
    ) -> Result<(Reservation, Effects), Malformed> {
        let key = Address::parse(request.ip).ok_or(Malformed("ip"))?.key();
        let mut effects = Effects::default();
        let ready = self.ready(
            request.supply.as_ref(),
            request.snapshot_ttl_s,
            now,
            &mut effects,
        )?;
        let reservation = match ready {
            Ready::Missing => Reservation::Missing,
            Ready::NeedSnapshot => Reservation::NeedSnapshot(self.wanted()),
            Ready::Unavailable => Reservation::Unavailable,
            Ready::Yes if self.bound.contains_key(&key) => Reservation::AlreadyBound,
            Ready::Yes if !self.has_room(key, now) => Reservation::Full,
            Ready::Yes => {
                let hold = Hold {
                    change: request.change,
                    ip: key,
                    until: now + HOLD_MS,
                };
                let holds = &mut self.core.holds;
                holds.retain(|held| held.ip != key && held.until > now);
                holds.push(hold);
                effects.put(CORE, &self.core);
                effects.unconfirmed = false;
                Reservation::Held
            }
        };
        Ok((reservation, effects))
    }

    /// What is to be read for the next verdict.
    fn wanted(&self) -> Wanted {
        Wanted {
            token: self.token,
            waiting: self
                .reports
                .ids()
                .into_iter()
                .chain(self.calls.ids())
                .collect(),
        }
    }

    fn is_save_due(&self, now: i64) -> bool {
        let limit = self.limit_unsaved && now.saturating_sub(self.limit_saved_at) >= SAVE_LIMIT_MS;
        !self.core.ended && (limit || self.window.is_due(now))
    }

    /// What is written behind: the windows of the rate limit and of collisions.
    pub fn save(&mut self, now: i64) -> Effects {
        let mut effects = Effects::default();
        if self.core.ended {
            return effects;
        }
        if self.window.is_due(now) {
            effects.put.push((WINDOW.to_owned(), self.window.save(now)));
        }
        if self.limit_unsaved {
            (self.limit_unsaved, self.limit_saved_at) = (false, now);
            effects.put(LIMIT, &self.limiter);
        }
        effects
    }

    /// Whether one more address fits: slots held for others count as taken.
    fn has_room(&self, key: AddressKey, now: i64) -> bool {
        self.room(key, now) > 0
    }

    /// Free slots for `key`.
    fn room(&self, key: AddressKey, now: i64) -> usize {
        let own = self.loaded.as_ref().and_then(|loaded| loaded.terms.max_ips);
        let holds = self.core.holds.iter();
        let held = holds.filter(|held| {
            held.until > now && held.ip != key && !self.bound.contains_key(&held.ip)
        });
        let most = own.map_or(MOST_IPS, |own| own.min(MOST_IPS));
        most.saturating_sub(self.bound.len() + held.count())
    }
}

/// The key of the row of a slot.
fn slot(key: &AddressKey) -> String {
    format!("{SLOT}{key}")
}

impl Loaded {
    fn new(snapshot: &Snapshot, at: i64, passing: bool) -> Self {
        Self {
            terms: Terms::new(snapshot),
            at,
            grace_until: 0,
            passing,
        }
    }
}
