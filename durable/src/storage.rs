//! What the shells of the objects share: rows that are texts, the alarm, the clock.

use std::cell::Cell;
use std::rc::Rc;

use serde::Serialize;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use worker::js_sys::futures::JsFuture;
use worker::js_sys::{self, Reflect};
use worker::{Queue, QueueContentType, RawMessageBuilder, Result, State, console_error};

/// Keys that one storage call deletes.
const BATCH: usize = 128;

/// What a step of the rules asks of the shell around them.
#[derive(Debug, Default, PartialEq)]
pub struct Effects {
    /// Rows to write.
    pub put: Vec<(String, String)>,
    /// Rows to delete.
    pub delete: Vec<String>,
    /// The answer need not wait for the writes.
    pub unconfirmed: bool,
    /// There is something to do later: an alarm must be set.
    pub arm: bool,
    /// Something can be written behind, a little later.
    pub save: bool,
    /// Nothing that is stored is needed any more.
    pub free: bool,
}

impl Effects {
    /// Asks for what another step asks for as well. What is written last stands.
    pub fn add(&mut self, other: Self) {
        self.put.extend(other.put);
        self.delete.extend(other.delete);
        self.unconfirmed &= other.unconfirmed;
        self.arm |= other.arm;
        self.save |= other.save;
        self.free |= other.free;
    }

    /// Asks for a row to be written as JSON.
    pub fn put<T: Serialize>(&mut self, key: impl Into<String>, value: &T) {
        // The rows are plain structures: they always serialize.
        if let Ok(text) = serde_json::to_string(value) {
            self.put.push((key.into(), text));
        }
    }
}

/// Every stored row.
pub async fn rows(state: &State) -> Result<Vec<(String, String)>> {
    let mut rows = Vec::new();
    state.storage().list().await?.for_each(&mut |value, key| {
        rows.extend(key.as_string().zip(value.as_string()));
    });
    Ok(rows)
}

/// Writes and deletes rows as one transaction. Nobody waits for them here: the platform holds back whatever leaves the
/// object until the confirmed ones are on disk, and ends the object if they do not get there.
pub async fn store(state: &State, effects: &Effects) -> Result<()> {
    if !effects.free && effects.put.is_empty() && effects.delete.is_empty() {
        return Ok(());
    }
    let storage = state.storage();
    if effects.free {
        return storage.delete_all().await;
    }
    for (key, text) in &effects.put {
        put(storage.as_raw(), key, text, effects.unconfirmed)?;
    }
    for keys in effects.delete.chunks(BATCH) {
        let keys = keys.iter().map(|key| JsValue::from_str(key)).collect();
        let _deleted = storage.as_raw().delete_multiple(keys)?;
    }
    Ok(())
}

#[wasm_bindgen(inline_js = "const BEHIND = { allowUnconfirmed: true }; \
                 export const put = (storage, key, text, behind) => { storage.put(key, text, behind ? BEHIND : undefined); };")]
extern "C" {
    /// Writes one row; those of one turn are one transaction.
    #[wasm_bindgen(catch)]
    fn put(
        storage: &JsValue,
        key: &str,
        text: &str,
        behind: bool,
    ) -> std::result::Result<(), JsValue>;
}

fn unconfirmed(yes: bool) -> Result<JsValue> {
    let options = js_sys::Object::new();
    Reflect::set(&options, &"allowUnconfirmed".into(), &yes.into())?;
    Ok(options.into())
}

/// The one alarm of an object.
#[derive(Debug, Default)]
pub struct Alarm {
    /// When it is set for, in Unix milliseconds; 0 when it is not.
    at: Rc<Cell<i64>>,
}

impl Alarm {
    /// Sets it, unless it comes soon enough: one that is late is not pushed away. `behind`: the answer need
    /// not wait for it.
    ///
    /// # Errors
    /// When the platform refuses.
    pub fn set(&self, state: &State, now: i64, delay: i64, behind: bool) -> Result<()> {
        let at = now + delay;
        if comes_soon_enough(self.at.get(), at) {
            return Ok(());
        }
        self.at.set(at);
        let date = js_sys::Date::new(&JsValue::from_f64(at as f64));
        let options = unconfirmed(behind)?.unchecked_into();
        let set = state.storage().as_raw().set_alarm(date, options)?;
        let mine = Rc::clone(&self.at);
        state.wait_until(async move {
            if JsFuture::from(set).await.is_err() {
                console_error!("the alarm of an object was not set");
                mine.set(0);
            }
        });
        Ok(())
    }

    /// It has rung, or went with everything else.
    pub fn rung(&self) {
        self.at.set(0);
    }
}

/// Whether an alarm that is set for `set_for`, or is not at 0, leaves nothing to do for one that is wanted
/// `at`: one that is late still rings first.
fn comes_soon_enough(set_for: i64, at: i64) -> bool {
    set_for != 0 && set_for <= at
}

/// Sends a text to a queue: the consumer hands it to PostgreSQL as it is.
///
/// # Errors
/// The queue is missing or does not take it.
pub async fn send(queue: Option<&Queue>, name: &str, text: &str) -> Result<()> {
    let queue = queue.ok_or_else(|| worker::Error::BindingError(name.to_owned()))?;
    let message = RawMessageBuilder::new(JsValue::from_str(text));
    queue
        .send_raw(message.build_with_content_type(QueueContentType::Text))
        .await
}

/// Random bits to begin with.
pub fn seed() -> [u8; 16] {
    let mut seed = [0; 16];
    if getrandom::fill(&mut seed).is_err() {
        console_error!("no random bits for an object");
    }
    seed
}

/// The platform's clock, in Unix milliseconds.
pub fn now() -> i64 {
    js_sys::Date::now() as i64
}

#[cfg(test)]
mod tests {
    use super::comes_soon_enough;

    #[test]
    fn an_alarm_that_is_late_is_not_pushed_away() {
        assert!(!comes_soon_enough(0, 100));
        assert!(!comes_soon_enough(101, 100));
        assert!(comes_soon_enough(100, 100));
        assert!(comes_soon_enough(1, 100), "late");
    }
}
