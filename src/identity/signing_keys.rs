//! The keys that the sign-in provider has published for its tokens, as this isolate knows them. When they
//! are asked for and how long they are good is a rule in `celaest_domain::key_set`.

use crate::config::Config;
use crate::error::{Code, Error, Result};
use crate::platform::signature::PublicKey;
use crate::platform::{clock, fetch};
use celaest_domain::key_set::{Freshness, Next, PATIENCE_MS};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;
use worker::Delay;

/// Between two looks at whether somebody else's answer has come. A request cannot wait for it in another
/// way: what one request asks for the platform gives to that request alone.
const LOOK: Duration = Duration::from_millis(50);
/// Looks after which a request stops waiting: those that ask may die one after the other.
const MOST_LOOKS: usize = 120;

/// The document with the published keys, of whatever types (RFC 7517, 5).
#[derive(Deserialize)]
struct Published {
    keys: Vec<Box<RawValue>>,
}

struct Keys {
    freshness: Freshness,
    by_id: HashMap<String, Rc<PublicKey>>,
}

thread_local! {
    static KEYS: RefCell<Keys> = RefCell::new(Keys { freshness: Freshness::NONE, by_id: HashMap::new() });
}

/// The published key with this id.
///
/// # Errors
/// 401 when there is none; 503 when the provider does not say.
pub async fn find(kid: &str, config: &Config) -> Result<Rc<PublicKey>> {
    for _ in 0..MOST_LOOKS {
        let now = clock::now_ms();
        let (key, next) = KEYS.with_borrow(|keys| {
            let key = keys.by_id.get(kid).cloned();
            let next = keys.freshness.next(key.is_some(), now);
            (key, next)
        });
        match next {
            Next::Use => return key.ok_or_else(|| Code::InvalidToken.into()),
            Next::Refuse => return Err(Code::InvalidToken.into()),
            Next::Later => break,
            Next::Wait => Delay::from(LOOK).await,
            Next::Ask => ask(config, now).await,
        }
    }
    Err(Error::unavailable("the key set cannot be fetched"))
}

async fn ask(config: &Config, now: i64) {
    KEYS.with_borrow_mut(|keys| keys.freshness.ask(now));
    let url = format!("{}/auth/v1/.well-known/jwks.json", config.supabase_url);
    let patience = Duration::from_millis(PATIENCE_MS as u64);
    let answer = fetch::json::<Published>(&url, patience).await;
    KEYS.with_borrow_mut(|keys| {
        let got = answer.is_ok();
        keys.freshness.answer(now, got, clock::now_ms());
        match answer {
            Ok(published) => keys.renew(&published),
            Err(error) => crate::log::warn("keys", "the key set was not fetched", &error),
        }
    });
}

impl Keys {
    /// Takes over a set. A key that was in the last one stays what it is, so that it is not imported again.
    fn renew(&mut self, published: &Published) {
        let read = published.keys.iter().filter_map(|jwk| PublicKey::read(jwk));
        self.by_id = read
            .map(|(id, key)| match self.by_id.remove(&id) {
                Some(same) if same.is(&key) => (id, same),
                _ => (id, Rc::new(key)),
            })
            .collect();
    }
}
