//! What the object of a license does: (state, event, now) → (state, answer,
//! effects). Times are Unix milliseconds.

mod judge;
mod snapshots;

use std::collections::HashMap;

use celaest_domain::address::{Address, AddressKey};
use celaest_domain::license::{Code, Snapshot, Terms, refusal};
use uuid::Uuid;

use self::snapshots::Ready;
use super::collisions::Window;
use super::journal::{Journal, Message};
use super::stored::{BINDING, COLLISION, CORE, Core, Hold, SNAPSHOT, StoredSnapshot, WINDOW};
use super::wire::{
    Answer, Check, CollisionRecord, Pending, PendingBinding, Reservation, ReserveRequest,
};
use crate::caller::FixedWindow;
use crate::ids::Ids;
use crate::storage::Effects;

/// How long a slot is held for a manual bind.
const HOLD_MS: i64 = 30_000;

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
    /// Those of `bound` that Postgres has not confirmed.
    unmirrored: Vec<Unmirrored>,
    window: Window,
    collisions: Vec<CollisionRecord>,
    journal: Journal,
    limiter: FixedWindow,
}

#[derive(Debug)]
struct Loaded {
    terms: Terms,
    at: i64,
    /// Until then the snapshot serves whatever its age.
    grace_until: i64,
}

#[derive(Debug)]
struct Unmirrored {
    binding: PendingBinding,
    queued: bool,
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
            unmirrored: Vec::new(),
            window: Window::default(),
            collisions: Vec::new(),
            journal: Journal::default(),
            limiter: FixedWindow::default(),
        }
    }

    /// Takes up what an earlier instance stored. A row that cannot be read is
    /// left out: Postgres fills the gap with the next snapshot.
    pub fn restore(&mut self, rows: &[(String, String)]) {
        let mut stored = None;
        for (key, text) in rows {
            if key == SNAPSHOT {
                stored = serde_json::from_str::<StoredSnapshot<'_>>(text).ok();
            } else if key == CORE {
                self.core = serde_json::from_str(text).unwrap_or_default();
            } else if key == WINDOW {
                self.window = serde_json::from_str(text).unwrap_or_default();
            } else if key.starts_with(BINDING) {
                if let Ok(binding) = serde_json::from_str(text) {
                    self.unmirrored.push(Unmirrored {
                        binding,
                        queued: false,
                    });
                }
            } else if key.starts_with(COLLISION) {
                self.collisions
                    .extend(serde_json::from_str::<CollisionRecord>(text));
            }
        }
        self.unmirrored.sort_by_key(|own| own.binding.first_seen_at);
        if let Some(stored) = stored
            && let Ok(snapshot) = Snapshot::parse(stored.data.get())
        {
            self.load(&snapshot, stored.at);
        }
    }

    /// One validation.
    ///
    /// # Errors
    /// The check's address or snapshot is malformed.
    pub fn validate(
        &mut self,
        check: &Check<'_>,
        now: i64,
    ) -> Result<(Answer, Effects), Malformed> {
        let address = Address::parse(check.ip).ok_or(Malformed("ip"))?;
        if check.supply.is_none() && check.limit_per_minute > 0 {
            let decision = self.limiter.check(check.limit_per_minute, 60, now);
            if !decision.allowed {
                return Ok((Answer::Limited(decision), Effects::default()));
            }
        }
        let mut effects = Effects::default();
        let answer = match self.ready(
            check.supply.as_ref(),
            check.snapshot_ttl_s,
            now,
            &mut effects,
        )? {
            Ready::Yes => Answer::Verdict(self.judge(check, &address, now, &mut effects)),
            Ready::Missing => {
                let text = address.to_string();
                let nonce = check.nonce.as_deref();
                Answer::Verdict(refusal(Code::NotFound, check.lang, &text, nonce, now))
            }
            Ready::NeedSnapshot => Answer::NeedSnapshot { token: self.token },
            Ready::Unavailable => Answer::Unavailable,
        };
        Ok((answer, effects))
    }

    /// The license changed in Postgres: nothing read before counts any more.
    /// What only the object knows (new bindings, a suspension) stays.
    pub fn forget(&mut self) -> Effects {
        self.token = self.ids.token();
        self.missing_until = 0;
        let mut effects = Effects::default();
        if self.loaded.take().is_some() {
            effects.delete.push(SNAPSHOT.to_owned());
        }
        effects
    }

    /// Bindings that Postgres may not have yet.
    pub fn pending(&self) -> Pending {
        Pending {
            bindings: self
                .unmirrored
                .iter()
                .map(|own| own.binding.clone())
                .collect(),
        }
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
            Ready::NeedSnapshot => Reservation::NeedSnapshot { token: self.token },
            Ready::Unavailable => Reservation::Unavailable,
            Ready::Yes => match self.bound.get(&key) {
                Some(binding_id) => Reservation::AlreadyBound {
                    binding_id: *binding_id,
                },
                None if !self.has_room(key, now) => Reservation::Full,
                None => {
                    let hold = Hold {
                        binding_id: request.binding_id,
                        ip: key,
                        until: now + HOLD_MS,
                    };
                    self.core
                        .holds
                        .retain(|held| held.ip != key && held.until > now);
                    self.core.holds.push(hold);
                    effects.put(CORE, &self.core);
                    Reservation::Held
                }
            },
        };
        Ok((reservation, effects))
    }

    /// Everything there is to send. What is taken must come back through
    /// [`Machine::sent`] or [`Machine::unsent`].
    pub fn take_messages(&mut self) -> Vec<Message> {
        let Some(owner) = self.core.owner else {
            return Vec::new();
        };
        let collisions = std::mem::take(&mut self.collisions);
        let fresh = self.unmirrored.iter_mut().filter(|own| !own.queued);
        let bindings: Vec<&PendingBinding> = fresh
            .map(|own| {
                own.queued = true;
                &own.binding
            })
            .collect();
        self.journal.pack(owner, &bindings, collisions)
    }

    /// The queue took a message.
    pub fn sent(&mut self, message: &Message) -> Effects {
        let rows = message
            .collisions
            .iter()
            .map(|record| format!("{COLLISION}{}", record.id));
        Effects {
            delete: rows.collect(),
            ..Effects::default()
        }
    }

    /// The queue did not take a message: its contents wait for the next time.
    pub fn unsent(&mut self, mut message: Message) {
        self.journal.restore(&mut message);
        self.collisions.append(&mut message.collisions);
        for own in &mut self.unmirrored {
            if message.bindings.contains(&own.binding.id) {
                own.queued = false;
            }
        }
    }

    /// Whether there is anything to send.
    pub fn has_messages(&self) -> bool {
        self.core.owner.is_some()
            && (!self.journal.is_empty()
                || !self.collisions.is_empty()
                || self.unmirrored.iter().any(|own| !own.queued))
    }

    /// Log entries lost for want of room since this was last asked.
    pub fn take_dropped(&mut self) -> u64 {
        self.journal.take_dropped()
    }

    /// The background write of the window, when it is due.
    pub fn save_window(&mut self, now: i64) -> Effects {
        let mut effects = Effects::default();
        if self.window.is_due(now) {
            effects.put.push((WINDOW.to_owned(), self.window.save(now)));
        }
        effects
    }

    /// Whether one more address fits: slots held for others count as taken.
    fn has_room(&self, key: AddressKey, now: i64) -> bool {
        self.room(key, now).is_none_or(|free| free > 0)
    }

    /// Free slots for `key`; `None` is unlimited.
    fn room(&self, key: AddressKey, now: i64) -> Option<usize> {
        let max = self.loaded.as_ref()?.terms.max_ips?;
        let holds = self.core.holds.iter();
        let held = holds.filter(|held| {
            held.until > now && held.ip != key && !self.bound.contains_key(&held.ip)
        });
        Some(max.saturating_sub(self.bound.len() + held.count()))
    }
}
