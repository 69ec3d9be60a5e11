//! What a caller's object knows and answers: state, event and time in; state and answer out.

use celaest_domain::json;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::window::{Decision, FixedWindow};
use super::wire::{Answer, Ask, Known, Seen};
use crate::changes::{ANNOUNCED, Changes};
use crate::shell::Behind;
use crate::storage::Effects;

/// Length of the window in which requests are counted, in seconds.
pub(super) const WINDOW_S: u32 = 60;
/// A sign-in is noted again after so long.
const NOTE_EVERY_MS: i64 = 60_000;
/// How long others go on with what is known while one request reads it anew.
const READING_MS: i64 = 2_000;
/// Sign-ins that one person's object remembers; the oldest make room and are read again.
const MOST_SESSIONS: usize = 20;

/// Key of what PostgreSQL said.
pub(super) const KNOWN: &str = "known";
/// Key of what is counted.
pub(super) const COUNTED: &str = "counted";

/// A check that cannot be read.
#[derive(Debug)]
pub struct Malformed;

/// A sign-in of the person.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Session {
    id: Uuid,
    ended: bool,
    /// When PostgreSQL said so, in Unix milliseconds.
    at: i64,
    /// When it was last noted.
    #[serde(skip)]
    noted: i64,
}

/// What PostgreSQL said, and when.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Loaded {
    known: Known,
    at: i64,
    sessions: Vec<Session>,
    /// Until when others go on although it is old.
    #[serde(skip)]
    grace_until: i64,
}

/// What is counted, as it is stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Counted {
    window: FixedWindow,
    /// Requests of an API key since it was made.
    uses: u64,
}

/// The state of one caller.
#[derive(Debug)]
pub struct Machine {
    changes: Changes,
    loaded: Option<Loaded>,
    counted: Counted,
    /// The API key, when it is one.
    key: Option<Uuid>,
    last_use_ms: i64,
    /// What is counted is not all stored.
    behind: bool,
    /// Uses of the key that were not reported.
    unreported: bool,
}

impl Machine {
    /// A caller nothing is known of.
    pub fn new(seed: [u8; 16]) -> Self {
        Self {
            changes: Changes::new(seed),
            loaded: None,
            counted: Counted::default(),
            key: None,
            last_use_ms: 0,
            behind: false,
            unreported: false,
        }
    }

    /// Takes up what was stored. Rows that cannot be read are as if they were not there.
    pub fn restore(&mut self, rows: &[(String, String)]) {
        for (key, text) in rows {
            match key.as_str() {
                KNOWN => self.loaded = json::read(text).ok(),
                ANNOUNCED => self.changes.restore(text),
                COUNTED => self.counted = json::read(text).unwrap_or_default(),
                _ => {}
            }
        }
        self.key = self
            .loaded
            .as_ref()
            .and_then(|loaded| loaded.known.api_key_id);
    }

    /// Says who is calling, and counts the request if it may pass.
    ///
    /// # Errors
    /// When what was supplied cannot be read.
    pub fn ask(&mut self, ask: &Ask<'_>, now: i64) -> Result<(Answer, Effects), Malformed> {
        let mut effects = Effects::default();
        if let Some(supply) = &ask.supply
            && supply.token == self.changes.token()
        {
            let known = json::read(supply.data.get()).map_err(|_| Malformed)?;
            self.install(known, ask.session, now);
        }
        let answer = self.answer(ask, now, &mut effects);
        // What is read while a change is under way is good for the one who read it, and kept for nobody.
        if self.changes.is_changing(now) {
            self.loaded = None;
        } else if let (Some(loaded), Some(_)) = (&self.loaded, &ask.supply) {
            effects.put(KNOWN, loaded);
            // Lost with a crash, it is read again.
            effects.unconfirmed = true;
        }
        Ok((answer, effects))
    }

    fn answer(&mut self, ask: &Ask<'_>, now: i64, effects: &mut Effects) -> Answer {
        let need = Answer::Need {
            token: self.changes.token(),
        };
        let Some(loaded) = &mut self.loaded else {
            return need;
        };
        let sessions = &mut loaded.sessions;
        let session = match ask.session {
            None => None,
            Some(id) => match sessions.iter_mut().find(|known| known.id == id) {
                None => return need,
                known => known,
            },
        };
        let oldest = session
            .as_ref()
            .map_or(loaded.at, |known| loaded.at.min(known.at));
        if now - oldest >= i64::from(ask.max_age_s) * 1_000 && now >= loaded.grace_until {
            loaded.grace_until = now + READING_MS;
            return need;
        }
        if session.as_ref().is_some_and(|known| known.ended) {
            return Answer::Ended;
        }
        if loaded.known.expires_ms.is_some_and(|end| end <= now) {
            return Answer::Expired;
        }
        let limit = loaded.known.limit.unwrap_or(ask.limit);
        let decision = self.counted.window.check(limit, WINDOW_S, now);
        if !decision.allowed {
            return Answer::Limited(decision);
        }
        let note = session.is_some_and(|known| {
            let due = now - known.noted >= NOTE_EVERY_MS;
            if due {
                known.noted = now;
            }
            due
        });
        if loaded.known.api_key_id.is_some() {
            self.counted.uses += 1;
            self.last_use_ms = now;
            self.unreported = true;
            effects.arm = true;
        }
        let answer = Answer::Known {
            who: loaded.known.who.clone(),
            profile: loaded.known.profile.clone().filter(|_| ask.profile),
            decision,
            note,
        };
        self.counted(decision, effects);
        answer
    }

    /// Counts a request of somebody who is nobody.
    pub fn count(&mut self, limit: u32, now: i64) -> (Decision, Effects) {
        let mut effects = Effects::default();
        let decision = self.counted.window.check(limit, WINDOW_S, now);
        if decision.allowed {
            self.counted(decision, &mut effects);
        }
        (decision, effects)
    }

    /// A lone request is not worth a write; once more than a tenth of the limit is used, the count is.
    fn counted(&mut self, decision: Decision, effects: &mut Effects) {
        self.behind = true;
        let used = decision.limit - decision.remaining;
        effects.arm |= used > decision.limit / 10;
    }

    fn install(&mut self, known: Known, session: Option<Uuid>, now: i64) {
        let mut sessions = self
            .loaded
            .take()
            .map(|old| old.sessions)
            .unwrap_or_default();
        if let Some(id) = session {
            let Seen { ended, lately } = known.session.unwrap_or_default();
            sessions.retain(|known| known.id != id);
            if sessions.len() >= MOST_SESSIONS {
                sessions.remove(0);
            }
            let noted = if lately { now } else { 0 };
            sessions.push(Session {
                id,
                ended,
                at: now,
                noted,
            });
        }
        self.key = known.api_key_id;
        self.loaded = Some(Loaded {
            known,
            at: now,
            sessions,
            grace_until: 0,
        });
    }

    /// Something about the caller is about to change: until the outcome is known, or it cannot be committed
    /// any more, nothing is kept.
    pub fn announce(&mut self, change: Uuid, now: i64) -> Effects {
        let effects = self.changes.announce(change, now);
        self.without_known(effects)
    }

    /// `change` was committed, or did not come to be: nothing that was read before may be used again. Told
    /// again, it is no news.
    pub fn forget(&mut self, change: Uuid, now: i64) -> Effects {
        match self.changes.forget(change, now) {
            Some(effects) => self.without_known(effects),
            None => Effects::default(),
        }
    }

    fn without_known(&mut self, mut effects: Effects) -> Effects {
        if self.loaded.take().is_some() {
            effects.delete.push(KNOWN.to_owned());
        }
        effects
    }

    /// What is to be written behind, and what is to be reported: totals that only grow, so that a report
    /// that is repeated or overtaken does no harm.
    pub fn write_behind(&mut self) -> Behind {
        let mut effects = Effects::default();
        if std::mem::take(&mut self.behind) {
            effects.put(COUNTED, &self.counted);
        }
        let used = std::mem::take(&mut self.unreported);
        let report = self.key.filter(|_| used).map(|key| {
            json!({
                "topic": "api_key.used",
                "payload": { "api_key_id": key, "usage_count": self.counted.uses, "last_used_ms": self.last_use_ms },
            })
            .to_string()
        });
        Behind {
            effects,
            report,
            again: None,
        }
    }

    /// A report was not taken.
    pub fn report_again(&mut self) {
        self.unreported = true;
    }
}
