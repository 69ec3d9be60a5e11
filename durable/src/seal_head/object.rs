//! The storage shell around the head of one tenant's seals.

use std::rc::Rc;

use celaest_domain::audit::Head;
use wasm_bindgen::JsValue;
use worker::{Error, Result, State};

use super::rules::{Step, advanced};
use crate::call;
use crate::later::Work;
use crate::object::Object;

/// Where the head is stored, as JSON text.
const HEAD: &str = "head";

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
    let step: Step = match what {
        "read" => return Ok(serde_json::to_string(&head)?),
        "advance" => call::read(text)?,
        _ => return Err(Error::RustError(format!("a head of seals knows no {what}"))),
    };
    let next = advanced(head.as_ref(), &step);
    if let Some(next) = &next {
        storage.put(HEAD, serde_json::to_string(next)?).await?;
    }
    Ok(serde_json::to_string(&next.or(head))?)
}
