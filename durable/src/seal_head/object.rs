//! The storage shell around the head of one tenant's seals.

use std::rc::Rc;

use celaest_domain::audit::Head;
use wasm_bindgen::JsValue;
use worker::{Error, Result, State};

use super::rules::{Known, Restart, advanced, restarts};
use crate::call;
use crate::object::Object;
use crate::storage::{self, Effects};
use crate::turn::Work;

/// Where the head is stored, as JSON text.
const HEAD: &str = "head";
/// Where the restarts are stored, as JSON text.
const RESTARTS: &str = "restarts";

/// The newest seal of one tenant.
struct Shell {
    state: State,
}

/// The object, with what it had stored.
pub fn open(state: State) -> Rc<dyn Object> {
    Rc::new(Shell { state })
}

impl Object for Shell {
    /// Answers with the head, after the step if there is one.
    fn ask(self: Rc<Self>, what: String, text: String) -> Work {
        Box::pin(async move {
            let answer = answer(&self.state, &what, &text).await;
            answer.map(JsValue::from)
        })
    }

    /// Nothing sets it.
    fn alarm(self: Rc<Self>) -> Work {
        Box::pin(async { Ok(JsValue::UNDEFINED) })
    }
}

/// Between reading and writing nothing else may happen: the platform delivers nothing while storage is
/// waited for.
async fn answer(state: &State, what: &str, text: &str) -> Result<String> {
    let storage = state.storage();
    let stored = storage.get::<String>(HEAD).await?;
    let head: Option<Head> = stored.as_deref().map(call::read).transpose()?;
    if what == "advance" {
        let next = advanced(head.as_ref(), &call::read(text)?);
        if let Some(next) = &next {
            storage.put(HEAD, serde_json::to_string(next)?).await?;
        }
        return Ok(serde_json::to_string(&next.or(head))?);
    }
    let stored = storage.get::<String>(RESTARTS).await?;
    let made: Option<Vec<Restart>> = stored.as_deref().map(call::read).transpose()?;
    let mut known = Known {
        head,
        restarts: made.unwrap_or_default(),
    };
    match what {
        "read" => return Ok(serde_json::to_string(&known)?),
        "restart" => {}
        _ => return Err(Error::RustError(format!("a head of seals knows no {what}"))),
    }
    let restart: Restart = call::read(text)?;
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
