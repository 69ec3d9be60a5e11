//! What objects that serve what they know of rows are told of a change of those: that it comes, and what became
//! of it.
//!
//! Before the commit an object stops serving what it knows; after it, or when there is none, it is told so.
//! Whoever dies in between leaves objects that read PostgreSQL each time until the change cannot be committed any
//! more, so nobody is ever let in by what a committed change took away. The outbox repeats what was told.

use crate::error::{Code, Error, Result};
use futures_util::future::join_all;
use std::rc::Rc;
use uuid::Uuid;
use worker::Env;

/// Objects told at a time.
const TOGETHER: usize = 50;
/// How often an object that does not answer is told what became of a change.
const ATTEMPTS: usize = 3;

/// An object that can be told of a change of what it knows.
pub trait Told: 'static {
    /// Tells it that `change` is about to be committed.
    fn announce(&self, env: &Env, change: Uuid) -> impl Future<Output = worker::Result<()>>;

    /// Tells it that `change` was committed, or that it was called off. May be repeated.
    fn forget(
        &self,
        env: &Env,
        change: Uuid,
        called_off: bool,
    ) -> impl Future<Output = worker::Result<()>>;
}

/// A change, and the objects that are told of it.
pub struct Notice<O> {
    objects: Rc<[O]>,
    change: Uuid,
}

impl<O> Clone for Notice<O> {
    fn clone(&self) -> Self {
        Self {
            objects: Rc::clone(&self.objects),
            change: self.change,
        }
    }
}

impl<O: Told> Notice<O> {
    /// For these objects, which know the change by this name.
    pub fn new(objects: Vec<O>, change: Uuid) -> Self {
        Self {
            objects: objects.into(),
            change,
        }
    }

    /// How many objects are told.
    pub fn count(&self) -> usize {
        self.objects.len()
    }

    /// Tells all that the change is about to be committed.
    ///
    /// # Errors
    /// 503 when one cannot be reached; nothing may be committed then.
    pub async fn announce(&self, env: &Env) -> Result<()> {
        each(&self.objects, |object| object.announce(env, self.change)).await
    }

    /// Tells all what became of the change.
    ///
    /// # Errors
    /// 503 when one cannot be reached; the others are told.
    pub async fn settle(&self, env: &Env, called_off: bool) -> Result<()> {
        each(&self.objects, |object| {
            insist(move || object.forget(env, self.change, called_off))
        })
        .await
    }

    /// Ties a commit to the objects: they are told before it, and what became of it.
    ///
    /// # Errors
    /// 503 when an object cannot be told before: nothing is committed then. As the commit itself; and 503 when
    /// one cannot be told after, though the others are.
    pub async fn around<T>(&self, env: &Env, commit: impl Future<Output = Result<T>>) -> Result<T> {
        let committed = match self.announce(env).await {
            Ok(()) => commit.await,
            Err(error) => {
                // Whoever cannot be told finds out alone, a little later.
                let _ = self.settle(env, true).await;
                return Err(error);
            }
        };
        // When nobody knows whether it was committed, they read PostgreSQL until it is certain.
        let unknown = committed
            .as_ref()
            .is_err_and(|error| error.code == Code::Unavailable);
        if !unknown {
            let settled = self.settle(env, committed.is_err()).await;
            if committed.is_ok() {
                settled?;
            }
        }
        committed
    }
}

/// Tells an object something, and again when it does not answer.
///
/// # Errors
/// The last one's.
pub async fn insist<F>(tell: impl Fn() -> F) -> worker::Result<()>
where
    F: Future<Output = worker::Result<()>>,
{
    let mut told = Ok(());
    for _ in 0..ATTEMPTS {
        told = tell().await;
        if told.is_ok() {
            break;
        }
    }
    told
}

/// Tells many objects something, so many at a time.
///
/// # Errors
/// 503 when one cannot be reached; the others are told.
pub async fn each<'a, O, F>(objects: &'a [O], tell: impl Fn(&'a O) -> F) -> Result<()>
where
    F: Future<Output = worker::Result<()>>,
{
    let mut outcome = Ok(());
    for some in objects.chunks(TOGETHER) {
        let told = join_all(some.iter().map(&tell)).await;
        outcome = told.into_iter().fold(outcome, worker::Result::and);
    }
    outcome.map_err(Error::unavailable)
}
