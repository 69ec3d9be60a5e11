//! Work and JavaScript taking turns.
//!
//! A promise that is made in WebAssembly costs closures, turns of the event loop and entries for the garbage
//! collector: more than the whole judgement of a validation. So work is done at once as far as it goes. What
//! it comes to then is an answer; or a question to one object, when that is all it waits for, which
//! JavaScript asks in its own way before it hands in the reply; or else a promise.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::mem;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use futures_util::future::LocalBoxFuture;
use futures_util::task::AtomicWaker;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use worker::js_sys::futures::future_to_promise;
use worker::{Error, Result};

use crate::storage::now;

/// What has to be done before there is an answer for JavaScript.
pub type Work = LocalBoxFuture<'static, Result<JsValue>>;

/// What JavaScript gets, or what is thrown there.
pub type Handed = std::result::Result<JsValue, JsValue>;

/// What an object replied, or what came of asking it.
type Reply = std::result::Result<String, JsValue>;

/// Where a reply is laid down, and who waits for it.
#[derive(Default)]
struct Slot {
    reply: RefCell<Option<Reply>>,
    asker: RefCell<Option<Waker>>,
}

/// Does `work` as far as it goes: an answer, or a promise of it.
///
/// # Errors
/// What went wrong, thrown there.
pub fn now_or_later(work: Work) -> Handed {
    match Task::new(work).go_on() {
        Turn::Done(done) => Ok(done?),
        Turn::Asks(_, _, task) | Turn::Waits(task) => Ok(task.promise()),
    }
}

/// Does the work of the request numbered `turn` as far as it goes: an answer, a question, or a promise of an answer.
/// A question is a text that begins with `?`, as no answer does; [`replied`] and [`failed`] go on with its work.
///
/// # Errors
/// What went wrong, thrown there.
pub fn now_or_asking(turn: u32, work: Work) -> Handed {
    hand_out(turn, Task::new(work))
}

/// Goes on with what the object replied: to an answer, another question, or a promise of an answer.
///
/// # Errors
/// What went wrong, thrown there.
#[wasm_bindgen]
pub fn replied(turn: u32, reply: String) -> Handed {
    go_on(turn, Ok(reply))
}

/// Goes on without a reply: this was thrown instead.
///
/// # Errors
/// What went wrong, thrown there.
#[wasm_bindgen]
pub fn failed(turn: u32, thrown: JsValue) -> Handed {
    go_on(turn, Err(thrown))
}

fn hand_out(turn: u32, task: Task<Result<JsValue>>) -> Handed {
    match task.go_on() {
        Turn::Done(done) => Ok(done?),
        Turn::Asks(question, slot, task) => {
            ASKING.with_borrow_mut(|asking| asking.add(turn, now(), (slot, task)));
            Ok(format!("?{question}").into())
        }
        Turn::Waits(task) => Ok(task.promise()),
    }
}

fn go_on(turn: u32, reply: Reply) -> Handed {
    let asked = ASKING.with_borrow_mut(|asking| asking.take(turn));
    let (slot, task) =
        asked.ok_or_else(|| Error::RustError("nobody waits for this reply any more".into()))?;
    slot.reply.replace(Some(reply));
    hand_out(turn, task)
}

/// What waits for the reply to its question, by the number of its request. JavaScript could keep it as an object,
/// which the garbage collector has to be told of and watches: that costs more than the judgement of a validation.
struct Asking<T>(BTreeMap<u32, (i64, T)>);

/// Where the reply goes, and what goes on then.
type Asked = (Rc<Slot>, Task<Result<JsValue>>);

impl<T> Asking<T> {
    /// Keeps `waiting`, which asks `now`, in Unix milliseconds. Whoever left before the reply is not heard of again:
    /// what asked longer ago than any object takes goes with those, and of too many what asked first.
    fn add(&mut self, turn: u32, now: i64, waiting: T) {
        while let Some((_, (asked, _))) = self.0.first_key_value()
            && (now.saturating_sub(*asked) > MOST_MS || self.0.len() >= MOST)
        {
            self.0.pop_first();
        }
        self.0.insert(turn, (now, waiting));
    }

    fn take(&mut self, turn: u32) -> Option<T> {
        self.0.remove(&turn).map(|(_, waiting)| waiting)
    }
}

/// The longest that a reply is waited for, in milliseconds: longer than an object takes.
const MOST_MS: i64 = 60_000;
/// Those who wait at a time, each with a few kilobytes of its request: far more than an isolate is given.
const MOST: usize = 4_000;

/// Lets whoever is at work put `question` to an object. `None`: it waits for more than this, or cannot ask,
/// and the question has to be put in another way.
pub async fn reply(question: impl FnOnce() -> String) -> Option<Reply> {
    let slot = DESK.with_borrow_mut(|desk| match desk {
        Desk::Free => {
            let slot = Rc::<Slot>::default();
            *desk = Desk::Asked(question(), Rc::clone(&slot));
            Some(slot)
        }
        Desk::Closed | Desk::Asked(..) => None,
    })?;
    let mut is_asked = false;
    poll_fn(|context| match mem::replace(&mut is_asked, true) {
        true => Poll::Ready(()),
        false => {
            slot.asker.replace(Some(context.waker().clone()));
            Poll::Pending
        }
    })
    .await;
    slot.reply.take()
}

/// Where a question waits to be taken along, for as long as work is being done and no longer.
enum Desk {
    Closed,
    Free,
    Asked(String, Rc<Slot>),
}

thread_local! {
    static DESK: RefCell<Desk> = const { RefCell::new(Desk::Closed) };
    static ASKING: RefCell<Asking<Asked>> = const { RefCell::new(Asking(BTreeMap::new())) };
}

/// What work came to.
enum Turn<T> {
    Done(T),
    /// A question, where its reply goes, and what goes on then.
    Asks(String, Rc<Slot>, Task<T>),
    Waits(Task<T>),
}

/// Work that is not done yet.
struct Task<T> {
    work: LocalBoxFuture<'static, T>,
    /// One and the same for all polls: a timer keeps the waker that it saw first.
    relay: Arc<Relay>,
    waker: Waker,
}

/// Wakes whoever waits at the moment.
#[derive(Default)]
struct Relay(AtomicWaker);

impl Wake for Relay {
    fn wake(self: Arc<Self>) {
        self.0.wake();
    }
}

impl<T> Task<T> {
    fn new(work: LocalBoxFuture<'static, T>) -> Self {
        let relay = Arc::new(Relay::default());
        let waker = Waker::from(Arc::clone(&relay));
        Self { work, relay, waker }
    }

    fn go_on(mut self) -> Turn<T> {
        DESK.set(Desk::Free);
        let polled = self.poll();
        let asked = DESK.replace(Desk::Closed);
        match (polled, asked) {
            (Poll::Ready(done), _) => Turn::Done(done),
            (Poll::Pending, Desk::Asked(question, slot)) if self.waits_for(&slot) => {
                Turn::Asks(question, slot, self)
            }
            (Poll::Pending, _) => Turn::Waits(self),
        }
    }

    fn poll(&mut self) -> Poll<T> {
        self.work
            .as_mut()
            .poll(&mut Context::from_waker(&self.waker))
    }

    /// Whether it waits for this reply and for nothing else: the asker is the work itself, not a part that is
    /// polled on its own, and nobody has kept the waker. Who asked looks again, whatever becomes of it.
    fn waits_for(&self, slot: &Rc<Slot>) -> bool {
        let is_work = slot.asker.take().is_some_and(|asker| {
            let is_work = asker.data() == self.waker.data();
            asker.wake();
            is_work
        });
        is_work && Rc::strong_count(slot) == 2 && Arc::strong_count(&self.relay) == 2
    }
}

impl Task<Result<JsValue>> {
    fn promise(mut self) -> JsValue {
        let later = poll_fn(move |context| {
            self.relay.0.register(context.waker());
            self.poll().map_err(JsValue::from)
        });
        future_to_promise(later).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::future::{BoxFuture, join, join_all, pending, select};
    use std::pin::pin;

    async fn ask(question: &str) -> String {
        match reply(|| question.to_owned()).await {
            Some(Ok(reply)) => reply,
            Some(Err(_)) => "thrown".to_owned(),
            None => format!("{question} in another way"),
        }
    }

    fn turn(work: impl Future<Output = String> + 'static) -> Turn<String> {
        Task::new(Box::pin(work)).go_on()
    }

    #[test]
    fn what_waits_for_nothing_is_done_and_what_asks_goes_on_with_its_own_reply() {
        assert!(matches!(turn(async { "now".into() }), Turn::Done(now) if now == "now"));
        // As many as there are requests at a time, answered in another order.
        let mut asking: Vec<_> = (0..500)
            .map(|n| {
                let Turn::Asks(question, slot, task) = turn(async move {
                    let first = ask(&format!("first {n}")).await;
                    format!("{n}: {first}, {}", ask("second").await)
                }) else {
                    panic!("{n} does not ask")
                };
                assert_eq!(question, format!("first {n}"));
                (n, slot, task)
            })
            .collect();
        asking.reverse();
        asking.rotate_left(123);
        for (n, slot, task) in asking {
            slot.reply.replace(Some(Ok(format!("reply to {n}"))));
            let Turn::Asks(_, slot, task) = task.go_on() else {
                panic!("{n} does not ask again")
            };
            slot.reply.replace(Some(Ok("done".into())));
            let Turn::Done(done) = task.go_on() else {
                panic!("{n} is not done")
            };
            assert_eq!(done, format!("{n}: reply to {n}, done"));
        }
    }

    #[test]
    fn what_asks_is_kept_by_its_number_until_its_reply() {
        let mut asking = Asking(BTreeMap::new());
        for turn in [1, 2, 7] {
            asking.add(turn, i64::from(turn), turn.to_string());
        }
        assert_eq!(asking.take(2).as_deref(), Some("2"));
        assert_eq!(asking.take(2), None);
        assert_eq!(asking.take(3), None);
        // Whoever is not heard of for too long makes room.
        asking.add(8, MOST_MS + 2, "8".to_owned());
        assert_eq!(asking.take(1), None);
        assert_eq!(asking.take(7).as_deref(), Some("7"));
        assert_eq!(asking.take(8).as_deref(), Some("8"));
        assert!(asking.0.is_empty());
        // However many hang up, there is an end.
        for turn in 0..2 * MOST as u32 {
            asking.add(turn, 0, String::new());
        }
        assert_eq!(asking.0.len(), MOST);
        assert_eq!(asking.take(MOST as u32 - 1), None);
        assert!(asking.take(MOST as u32).is_some());
    }

    #[test]
    fn what_was_thrown_arrives() {
        let Turn::Asks(_, slot, task) = turn(ask("a")) else {
            panic!("it does not ask")
        };
        slot.reply.replace(Some(Err(JsValue::UNDEFINED)));
        assert!(matches!(task.go_on(), Turn::Done(done) if done == "thrown"));
    }

    /// Waits for somebody who has kept the waker.
    fn another() -> BoxFuture<'static, ()> {
        let mut kept = Vec::new();
        Box::pin(poll_fn(move |context| {
            kept.push(context.waker().clone());
            Poll::Pending
        }))
    }

    #[test]
    fn what_waits_for_more_asks_in_another_way() {
        let both = turn(async { join(ask("a"), ask("b")).await.0 });
        // The second is asked at once, in another way; here that takes no time.
        assert!(matches!(both, Turn::Asks(question, ..) if question == "a"));
        for waiting in [
            turn(async { join(ask("a"), another()).await.0 }),
            turn(async { join(another(), ask("a")).await.1 }),
            turn(async {
                let asks = (0..50).map(|_| async { join(ask("a"), another()).await.0 });
                join_all(asks).await.concat()
            }),
        ] {
            assert!(matches!(waiting, Turn::Waits(_)));
        }
        // So many are polled one by one, each when it is woken.
        let many = (0..50).map(|n| async move { ask(&n.to_string()).await });
        let Turn::Waits(all) = turn(async { join_all(many).await.join(",") }) else {
            panic!("one of many is waited for")
        };
        let all = all.go_on();
        assert!(matches!(all, Turn::Done(all) if all.starts_with("0 in another way,1 in")));
    }

    #[test]
    fn a_question_that_was_dropped_is_not_asked() {
        let dropped = turn(async {
            drop(futures_util::FutureExt::now_or_never(ask("a")));
            pending::<()>().await;
            String::new()
        });
        assert!(matches!(dropped, Turn::Waits(_)));
        let lost = turn(async {
            let asked = pin!(ask("a"));
            let first = pin!(async { "first".to_owned() });
            select(asked, first).await.factor_first().0
        });
        assert!(matches!(lost, Turn::Done(first) if first == "first"));
    }

    #[test]
    fn outside_of_a_turn_nobody_takes_a_question() {
        let asked = futures_util::FutureExt::now_or_never(ask("a"));
        assert_eq!(asked.as_deref(), Some("a in another way"));
    }
}
