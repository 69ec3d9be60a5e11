//! One way to change something:
//!
//! ```text
//! let mut tx = permit.begin_once(key).await?;      // a repeat leaves here with its stored answer
//! let before = queries::lock(&mut tx, id).await?;
//! rule(&before)?;
//! let after = queries::set(&mut tx, id, …).await?;
//! tx.record_change(&SUBJECT, "license.revoked", &before, &after);
//! edge::tell(&mut tx, &permit.call, &key);         // before the commit, and what became of it
//! permit.commit(tx, Data::raw(&after)).await       // stores the answer, writes the facts, commits
//! ```

use crate::call::Call;
use crate::db::Tx;
use crate::error::{Code, Error, Result};
use crate::http::idempotency::Claim;
use crate::http::permit::Access;
use crate::http::reply::{Answer, Bare, Output, Reply};
use crate::identity::callers::{self, Whom};
use crate::platform::notice::{Notice, Told};
use futures_util::FutureExt;
use futures_util::future::{LocalBoxFuture, join_all, try_join_all};
use serde::Serialize;
use std::ops::{Deref, DerefMut};
use std::rc::Rc;

/// Why a handler stops before its end.
#[derive(Debug)]
pub enum Stop {
    /// Something is wrong.
    Failed(Error),
    /// The request was made before: this is the answer it got.
    Repeated(Answer),
}

/// What a handler that changes something returns.
pub type Outcome<T> = std::result::Result<T, Stop>;

impl<E: Into<Error>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl<O: Output> Output for Outcome<O> {
    fn answer(self) -> Result<Answer> {
        match self {
            Ok(output) => output.answer(),
            Err(Stop::Repeated(answer)) => Ok(answer),
            Err(Stop::Failed(error)) => Err(error),
        }
    }
}

type Work = LocalBoxFuture<'static, Result<()>>;

/// A transaction that changes something, with what belongs to its end.
#[must_use]
pub struct Change {
    tx: Tx,
    claim: Claim,
    notices: Notices,
}

/// What others are told of a change.
struct Notices {
    call: Rc<Call>,
    before: Vec<Work>,
    after: Vec<Work>,
    otherwise: Vec<Work>,
}

/// Whatever ends a handler early, those who were told of the change learn that there is none.
impl Drop for Notices {
    fn drop(&mut self) {
        let otherwise = std::mem::take(&mut self.otherwise);
        if !otherwise.is_empty() {
            self.call.background(async move {
                // Whoever cannot be told finds out alone, a little later.
                join_all(otherwise).await;
            });
        }
    }
}

impl Deref for Change {
    type Target = Tx;

    fn deref(&self) -> &Tx {
        &self.tx
    }
}

impl DerefMut for Change {
    fn deref_mut(&mut self) -> &mut Tx {
        &mut self.tx
    }
}

impl Change {
    /// Work for right before the commit, without which there is none: whoever serves what they know of the
    /// rows is told that they are about to change.
    pub fn before_commit(&mut self, work: impl Future<Output = Result<()>> + 'static) {
        self.notices.before.push(Box::pin(work));
    }

    /// Work for the time between the commit and the answer: objects forget what they knew.
    pub fn after_commit(&mut self, work: impl Future<Output = Result<()>> + 'static) {
        self.notices.after.push(Box::pin(work));
    }

    /// Ties the change to objects that serve what they know of its rows.
    pub fn told_to<O: Told>(&mut self, notice: Notice<O>) {
        let told = |called_off| {
            let (call, notice) = (self.notices.call.clone(), notice.clone());
            async move {
                call.count_object_calls(notice.count());
                notice.settle(call.env(), called_off).await
            }
        };
        let (committed, called_off) = (told(false), told(true));
        let call = self.notices.call.clone();
        self.before_commit(async move {
            call.count_object_calls(notice.count());
            notice.announce(call.env()).await
        });
        self.after_commit(committed);
        self.otherwise(called_off);
    }

    /// Work for when nothing is committed after all. When nobody knows whether something was, as after a
    /// time-out, it is not done.
    pub fn otherwise(&mut self, work: impl Future<Output = Result<()>> + 'static) {
        self.notices.otherwise.push(Box::pin(work));
    }
}

impl Access {
    /// A transaction that changes the caller's rows, once for an idempotency key.
    ///
    /// # Errors
    /// [`Stop::Repeated`] with the answer that was given before; 409 when the key was used for a different
    /// request.
    pub fn begin_once(&self, claim: Claim) -> LocalBoxFuture<'_, Outcome<Change>> {
        Box::pin(async move {
            let mut tx = self.begin();
            match claim.take(&mut tx, self.caller()).await? {
                Some(answer) => Err(Stop::Repeated(answer)),
                None => Ok(self.change(tx, claim)),
            }
        })
    }

    /// [`Access::begin_once`] for what may wait long for others: the key is claimed by itself, so that nobody
    /// keeps a connection meanwhile. Whoever comes with it before the answer is told so; of a worker that died
    /// the key is free again after six minutes.
    ///
    /// # Errors
    /// As [`Access::begin_once`], and what `work` fails with: then the key is free again.
    pub async fn once_aside<T>(
        &self,
        claim: Claim,
        work: impl Future<Output = Result<T>>,
    ) -> Outcome<(Change, T)> {
        if claim.name().is_some() {
            let mut tx = self.begin();
            if let Some(answer) = claim.take(&mut tx, self.caller()).await? {
                return Err(Stop::Repeated(answer));
            }
            claim.hold(&mut tx, self.caller());
            self.commit_aside(tx).await?;
        }
        let done = work.await;
        let mut tx = self.begin();
        match done {
            Ok(done) => Ok((self.change(tx, claim), done)),
            Err(error) => {
                if claim.name().is_some() {
                    claim.release(&mut tx, self.caller());
                    // What is not released ends by itself.
                    let _ = self.commit_aside(tx).await;
                }
                Err(error.into())
            }
        }
    }

    /// [`Access::begin_once`] for what leaves the caller without a way to repeat it: they are signed out,
    /// or nobody any more.
    pub fn begin_last(&self) -> Change {
        self.change(self.begin(), Claim::none(self.call.config))
    }

    fn change(&self, tx: Tx, claim: Claim) -> Change {
        Change {
            tx,
            claim,
            notices: Notices {
                call: self.call.clone(),
                before: Vec::new(),
                after: Vec::new(),
                otherwise: Vec::new(),
            },
        }
    }

    /// Makes the objects that know who is calling keep nothing while `tx` is committed, and forget after it.
    ///
    /// # Errors
    /// When the database fails.
    pub fn forget_callers<'a>(
        &'a self,
        tx: &'a mut Change,
        whom: Whom,
    ) -> LocalBoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let changed = callers::changed(&mut tx.tx, whom).await?;
            tx.told_to(changed);
            Ok(())
        })
    }

    /// Stores the answer, commits, and does what comes after, all before the answer leaves.
    ///
    /// # Errors
    /// When the commit fails, nothing remains; when only what comes after fails, the outbox repeats it.
    pub fn commit<T, const STATUS: u16>(
        &self,
        mut change: Change,
        reply: Reply<T, STATUS>,
    ) -> impl Future<Output = Outcome<Reply<T, STATUS>>> + use<T, STATUS> {
        let caller = self.caller();
        change
            .claim
            .settle(&mut change.tx, caller, STATUS, reply.data());
        finish(change).map(|done| done.map(|()| reply).map_err(Stop::Failed))
    }

    /// [`Access::commit`] for an answer that others define.
    ///
    /// # Errors
    /// As [`Access::commit`].
    pub async fn commit_bare<T: Serialize>(
        &self,
        mut change: Change,
        answer: T,
    ) -> Outcome<Bare<T>> {
        if change.claim.name().is_some() {
            let text = serde_json::to_string(&answer).map_err(Error::internal)?;
            change
                .claim
                .settle(&mut change.tx, self.caller(), 200, &text);
        }
        finish(change).await?;
        Ok(Bare(answer))
    }

    /// [`Access::commit`] for an answer that shows a secret once: it is stored encrypted.
    ///
    /// # Errors
    /// As [`Access::commit`], and 503 when there is no key to encrypt with.
    pub fn commit_secret<T, const STATUS: u16>(
        &self,
        mut change: Change,
        reply: Reply<T, STATUS>,
    ) -> impl Future<Output = Outcome<Reply<T, STATUS>>> + use<T, STATUS> {
        let caller = self.caller();
        let settled = change
            .claim
            .settle_sealed(&mut change.tx, caller, STATUS, reply.data());
        let done = async {
            settled?;
            finish(change).await
        };
        done.map(|done| done.map(|()| reply).map_err(Stop::Failed))
    }
}

fn finish(change: Change) -> Work {
    Box::pin(async move {
        let mut notices = change.notices;
        try_join_all(std::mem::take(&mut notices.before)).await?;
        let committed = change.tx.commit().await;
        if !committed
            .as_ref()
            .is_err_and(|error| error.code != Code::Unavailable)
        {
            // It is committed, or nobody knows.
            notices.otherwise.clear();
        }
        let messages = committed?;
        // One that fails does not keep the others from being told.
        let told = join_all(std::mem::take(&mut notices.after)).await;
        Call::publish(&notices.call, messages);
        told.into_iter().collect()
    })
}
