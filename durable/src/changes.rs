//! What an object that remembers what PostgreSQL said must know of changes: which are coming, which it was told the
//! outcome of, and the token under which it is told what there is.

use std::collections::VecDeque;

use celaest_domain::json;
use uuid::Uuid;

use crate::announced::Announced;
use crate::ids::Ids;
use crate::storage::Effects;

/// Key of the changes that were announced.
pub const ANNOUNCED: &str = "announced";
/// Changes that are recognised when they are told again.
const MOST_ENDED: usize = 100;

/// The changes of one object.
#[derive(Debug)]
pub struct Changes {
    ids: Ids,
    token: u64,
    announced: Announced,
    /// Those whose outcome was told; the outbox tells it again.
    ended: VecDeque<Uuid>,
}

impl Changes {
    /// Nothing is known of any.
    pub fn new(seed: [u8; 16]) -> Self {
        let mut ids = Ids::new(seed);
        Self {
            token: ids.token(),
            ids,
            announced: Announced::default(),
            ended: VecDeque::new(),
        }
    }

    /// Takes up those that were stored.
    pub fn restore(&mut self, text: &str) {
        self.announced = json::read(text).unwrap_or_default();
    }

    /// What is read under it may be kept; another one after every change.
    pub fn token(&self) -> u64 {
        self.token
    }

    /// A number that no earlier one equals, but for chance.
    pub fn draw(&mut self) -> u64 {
        self.ids.token()
    }

    /// Whether one may be committed by now: what is read is good for the one who read it, and kept for nobody.
    pub fn is_changing(&self, now: i64) -> bool {
        self.announced.is_changing(now)
    }

    /// One is coming: until its outcome is known, or it cannot be committed any more, nothing is kept.
    pub fn announce(&mut self, change: Uuid, now: i64) -> Effects {
        self.announced.add(change, now);
        self.token = self.ids.token();
        let mut effects = Effects::default();
        effects.put(ANNOUNCED, &self.announced);
        effects
    }

    /// One was committed, or did not come to be: nothing that was read before may be used again. Told again, it is no
    /// news.
    pub fn forget(&mut self, change: Uuid, now: i64) -> Option<Effects> {
        if self.ended.contains(&change) {
            return None;
        }
        self.ended.push_back(change);
        if self.ended.len() > MOST_ENDED {
            self.ended.pop_front();
        }
        self.token = self.ids.token();
        let before = self.announced.clone();
        self.announced.end(Some(change), now);
        let mut effects = Effects::default();
        if self.announced.is_empty() && !before.is_empty() {
            effects.delete.push(ANNOUNCED.to_owned());
        } else if self.announced != before {
            effects.put(ANNOUNCED, &self.announced);
        }
        Some(effects)
    }
}
