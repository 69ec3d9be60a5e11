//! Where the platform enters an object: one class for all of them, which `src/entry/objects.mjs` asks by the
//! name that `wrangler.toml` has.

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use futures_util::future::LocalBoxFuture;
use futures_util::task::AtomicWaker;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use worker::js_sys::futures::future_to_promise;
use worker::{Env, Error, Result, State, worker_sys};

use crate::{caller, key_pool, license, seal_head, shell, webhook};

/// What has to be done before there is an answer for JavaScript.
pub type Work = LocalBoxFuture<'static, Result<JsValue>>;

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
    ) -> std::result::Result<ObjectDoor, JsValue> {
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
    pub fn ask(&self, what: String, text: String) -> std::result::Result<JsValue, JsValue> {
        now_or_later(Rc::clone(&self.object).ask(what, text))
    }

    /// Does what the alarm was set for.
    ///
    /// # Errors
    /// When it has to ring again.
    pub fn alarm(&self) -> std::result::Result<JsValue, JsValue> {
        now_or_later(Rc::clone(&self.object).alarm())
    }
}

/// Wakes whoever waits at the moment.
#[derive(Default)]
struct Relay(AtomicWaker);

impl Wake for Relay {
    fn wake(self: Arc<Self>) {
        self.0.wake();
    }
}

/// The way of an answer back to JavaScript: at once if nothing has to be waited for, because a promise and
/// its turns of the event loop cost more than most answers.
///
/// # Errors
/// What went wrong, thrown there.
pub fn now_or_later(mut work: Work) -> std::result::Result<JsValue, JsValue> {
    // One and the same for the first look and for the promise: a timer keeps the waker that it saw first.
    let relay = Arc::new(Relay::default());
    let waker = Waker::from(Arc::clone(&relay));
    match work.as_mut().poll(&mut Context::from_waker(&waker)) {
        Poll::Ready(done) => Ok(done?),
        Poll::Pending => {
            let later = poll_fn(move |context| {
                relay.0.register(context.waker());
                let done = work.as_mut().poll(&mut Context::from_waker(&waker));
                done.map_err(JsValue::from)
            });
            Ok(future_to_promise(later).into())
        }
    }
}
