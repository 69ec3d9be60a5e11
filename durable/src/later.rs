//! The way of an answer back to JavaScript.
//!
//! It goes at once if nothing has to be waited for: a promise and its turns of the event loop cost more than
//! most answers. If all that is waited for is one promise, as an object's answer is, JavaScript waits for it
//! and comes back with what it got. Anything else becomes a promise of the answer.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use futures_util::future::LocalBoxFuture;
use futures_util::task::AtomicWaker;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use worker::Result;
use worker::js_sys::Promise;
use worker::js_sys::futures::{JsFuture, future_to_promise};

/// What has to be done before there is an answer for JavaScript.
pub type Work = LocalBoxFuture<'static, Result<JsValue>>;

type Thrown<T> = std::result::Result<T, JsValue>;

/// What the work that goes on right now can do with a promise.
enum Place {
    /// It has to see to it itself.
    Closed,
    /// It may leave one to JavaScript.
    Open,
    /// It has left this one.
    Taken(Promise),
    /// This is what came of it.
    Settled(Thrown<JsValue>),
}

thread_local! {
    static PLACE: RefCell<Place> = const { RefCell::new(Place::Closed) };
    static SUSPENDED: RefCell<Suspended> = const { RefCell::new(Suspended::NONE) };
    static LAST: Cell<usize> = const { Cell::new(0) };
}

/// Wakes whoever waits at the moment.
#[derive(Default)]
struct Relay(AtomicWaker);

impl Wake for Relay {
    fn wake(self: Arc<Self>) {
        self.0.wake();
    }
}

/// Work under way. Its waker stays the same: a timer keeps the one that it saw first.
struct Task {
    work: Work,
    relay: Arc<Relay>,
    waker: Waker,
}

impl Task {
    fn new(work: Work) -> Self {
        let relay = Arc::new(Relay::default());
        let waker = Waker::from(Arc::clone(&relay));
        Self { work, relay, waker }
    }

    fn poll(&mut self) -> Poll<Thrown<JsValue>> {
        let done = self
            .work
            .as_mut()
            .poll(&mut Context::from_waker(&self.waker));
        done.map_err(JsValue::from)
    }

    /// Whether nothing but a promise that was left to JavaScript can wake it.
    fn is_alone(&self) -> bool {
        Arc::strong_count(&self.relay) == 2
    }

    fn go(mut self, place: Place) -> Thrown<JsValue> {
        let outer = PLACE.replace(place);
        let done = self.poll();
        let left = PLACE.replace(outer);
        if let Poll::Ready(done) = done {
            return done;
        }
        match left {
            Place::Taken(promise) if self.is_alone() => {
                LAST.set(SUSPENDED.with_borrow_mut(|all| all.add(self)));
                Ok(promise.into())
            }
            _ => Ok(self.promise().into()),
        }
    }

    fn promise(mut self) -> Promise {
        future_to_promise(poll_fn(move |context| {
            self.relay.0.register(context.waker());
            self.poll()
        }))
    }
}

/// Work that JavaScript waits for, by its number less one.
struct Suspended {
    tasks: Vec<Option<Task>>,
    free: Vec<usize>,
}

impl Suspended {
    const NONE: Self = Self {
        tasks: Vec::new(),
        free: Vec::new(),
    };

    fn add(&mut self, task: Task) -> usize {
        let place = self.free.pop().unwrap_or_else(|| {
            self.tasks.push(None);
            self.tasks.len() - 1
        });
        self.tasks[place] = Some(task);
        place + 1
    }

    fn take(&mut self, number: usize) -> Option<Task> {
        let place = number.checked_sub(1)?;
        let task = self.tasks.get_mut(place)?.take()?;
        self.free.push(place);
        Some(task)
    }
}

/// Does `work`, and returns the answer or a promise: of the answer, or if there is a [`suspended`] now, of
/// what it waits for.
///
/// # Errors
/// What went wrong, thrown there.
pub fn begin(work: Work) -> Thrown<JsValue> {
    Task::new(work).go(Place::Open)
}

/// The number under which the last work goes on, once; 0 when it does not wait for JavaScript.
#[wasm_bindgen]
#[must_use]
pub fn suspended() -> usize {
    LAST.replace(0)
}

/// Goes on with work, with what its promise came to. As [`begin`].
///
/// # Errors
/// What went wrong, thrown there.
#[wasm_bindgen]
pub fn resume(number: usize, value: JsValue, failed: bool) -> Thrown<JsValue> {
    let task = SUSPENDED.with_borrow_mut(|all| all.take(number));
    let task = task.ok_or_else(|| JsValue::from_str("nothing waits under this number"))?;
    let settled = if failed { Err(value) } else { Ok(value) };
    task.go(Place::Settled(settled))
}

/// Does `work` and returns the answer, or a promise of it.
///
/// # Errors
/// What went wrong, thrown there.
pub fn now_or_later(work: Work) -> Thrown<JsValue> {
    Task::new(work).go(Place::Closed)
}

/// What a promise comes to, left to JavaScript where that is possible.
pub enum Awaited {
    /// Nobody has asked for it.
    New(Promise),
    /// Left to JavaScript.
    Left(Promise),
    /// Waited for here.
    Here(JsFuture),
}

impl Future for Awaited {
    type Output = Thrown<JsValue>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let promise = match &mut *self {
            Self::Here(future) => return Pin::new(future).poll(context),
            Self::New(promise) => {
                let promise = promise.clone();
                let is_left = PLACE.with_borrow_mut(|place| {
                    let is_open = matches!(place, Place::Open);
                    if is_open {
                        *place = Place::Taken(promise.clone());
                    }
                    is_open
                });
                if is_left {
                    *self = Self::Left(promise);
                    return Poll::Pending;
                }
                promise
            }
            Self::Left(promise) => {
                let settled = PLACE.with_borrow_mut(|place| match place {
                    Place::Settled(_) => Some(std::mem::replace(place, Place::Open)),
                    _ => None,
                });
                if let Some(Place::Settled(settled)) = settled {
                    return Poll::Ready(settled);
                }
                promise.clone()
            }
        };
        // Somebody else wakes this work, too.
        let mut here = JsFuture::from(promise);
        let done = Pin::new(&mut here).poll(context);
        *self = Self::Here(here);
        done
    }
}
