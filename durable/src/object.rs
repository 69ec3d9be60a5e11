//! Where the platform enters an object: one class for all of them, which `src/entry/objects.mjs` asks by the
//! name that `wrangler.toml` has.

use std::rc::Rc;

use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use worker::{Env, Error, State, worker_sys};

use crate::turn::{Handed, Work, now_or_later};
use crate::{caller, key_pool, license, seal_head, shell, webhook};

/// One object with its storage.
pub trait Object {
    /// Answers the worker: a text for what is asked and the text that came with it.
    fn ask(self: Rc<Self>, what: String, text: String) -> Work;

    /// The alarm rings; if this fails, the platform rings again.
    fn alarm(self: Rc<Self>) -> Work;
}

/// The door of one object.
#[wasm_bindgen]
pub struct ObjectDoor {
    object: Rc<dyn Object>,
}

#[wasm_bindgen]
impl ObjectDoor {
    /// An object of the class called `class`, with what it had stored.
    ///
    /// # Errors
    /// When there is no such class.
    #[wasm_bindgen(constructor)]
    pub fn new(
        class: &str,
        state: worker_sys::DurableObjectState,
        env: Env,
    ) -> Result<ObjectDoor, JsValue> {
        let state = State::from(state);
        let object: Rc<dyn Object> = match class {
            "CallerObject" => shell::open::<caller::Machine>(state, &env),
            "KeyPoolObject" => shell::open::<key_pool::Machine>(state, &env),
            "LicenseObject" => license::open(state, &env),
            "SealHeadObject" => seal_head::open(state),
            "WebhookObject" => webhook::open(state, &env),
            _ => return Err(Error::RustError(format!("there is no {class}")).into()),
        };
        Ok(Self { object })
    }

    /// Answers the worker.
    ///
    /// # Errors
    /// When the question or the storage is broken.
    pub fn ask(&self, what: String, text: String) -> Handed {
        now_or_later(Rc::clone(&self.object).ask(what, text))
    }

    /// Does what the alarm was set for.
    ///
    /// # Errors
    /// When it has to ring again.
    pub fn alarm(&self) -> Handed {
        now_or_later(Rc::clone(&self.object).alarm())
    }
}
