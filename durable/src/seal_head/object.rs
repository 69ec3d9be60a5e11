//! The storage shell around the head of one tenant's seals.

use std::rc::Rc;

use celaest_domain::audit::Head;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use worker::{Env, Error, Result, State, worker_sys};

use super::rules::{Known, Restart, advanced, restarts};
use crate::storage::{self, Effects};

/// Where the head is stored, as JSON text.
const HEAD: &str = "head";
/// Where the restarts are stored, as JSON text.
const RESTARTS: &str = "restarts";

/// The newest seal of one tenant.
#[wasm_bindgen]
pub struct SealHeadObject {
    state: Rc<State>,
}

#[wasm_bindgen]
impl SealHeadObject {
    /// The object, with what it had stored.
    #[wasm_bindgen(constructor)]
    pub fn new(state: worker_sys::DurableObjectState, _env: Env) -> Self {
        let state = Rc::new(State::from(state));
        Self { state }
    }

    /// Answers the worker: the head, after the step if there is one.
    ///
    /// # Errors
    /// When the question or the storage is broken.
    pub fn ask(&self, what: String, text: String) -> std::result::Result<JsValue, JsValue> {
        let state = Rc::clone(&self.state);
        storage::now_or_later(async move { answer(&state, &what, &text).await.map(JsValue::from) })
    }
}

/// Between reading and writing nothing else may happen: the platform delivers nothing while storage is
/// waited for.
async fn answer(state: &State, what: &str, text: &str) -> Result<String> {
    let storage = state.storage();
    let stored = storage.get::<String>(HEAD).await?;
    let head: Option<Head> = stored.as_deref().map(serde_json::from_str).transpose()?;
    if what == "advance" {
        let next = advanced(head.as_ref(), &serde_json::from_str(text)?);
        if let Some(next) = &next {
            storage.put(HEAD, serde_json::to_string(next)?).await?;
        }
        return Ok(serde_json::to_string(&next.or(head))?);
    }
    let stored = storage.get::<String>(RESTARTS).await?;
    let made: Option<Vec<Restart>> = stored.as_deref().map(serde_json::from_str).transpose()?;
    let mut known = Known {
        head,
        restarts: made.unwrap_or_default(),
    };
    match what {
        "read" => return Ok(serde_json::to_string(&known)?),
        "restart" => {}
        _ => return Err(Error::RustError(format!("a head of seals knows no {what}"))),
    }
    let restart: Restart = serde_json::from_str(text)?;
    if restarts(&known, &restart) {
        known.head.clone_from(&restart.kept);
        known.restarts.push(restart);
        let mut effects = Effects::default();
        match &known.head {
            Some(head) => effects.put(HEAD, head),
            None => effects.delete.push(HEAD.into()),
        }
        effects.put(RESTARTS, &known.restarts);
        storage::store(state, &effects).await?;
    }
    Ok(serde_json::to_string(&known.head)?)
}
