//! One way to change something:
//!
//! ```text
//! let mut tx = permit.begin_once(key).await?;      // a repeat leaves here with its stored answer
//! let before = queries::lock(&mut tx, id).await?;
//! rule(&before)?;
//! let after = queries::set(&mut tx, id, …).await?;
//! tx.record_change(&SUBJECT, "license.revoked", &before, &after);
//! tx.after_commit(edge::forget(…));
//! permit.commit(tx, Data::raw(&after)).await       // stores the answer, writes the facts, commits
//! ```

use crate::call::Call;
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::http::idempotency::Claim;
use crate::http::permit::Access;
use crate::http::reply::{Answer, Output, Reply};
use crate::identity::callers::{self, Whom};
use futures_util::future::LocalBoxFuture;
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

/// A transaction that changes something, with what belongs to its end.
#[must_use]
pub struct Change {
    tx: Tx,
    claim: Claim,
    after: Vec<LocalBoxFuture<'static, Result<()>>>,
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
    /// Work for the time between the commit and the answer: objects forget what they knew.
    pub fn after_commit(&mut self, work: impl Future<Output = Result<()>> + 'static) {
        self.after.push(Box::pin(work));
    }
}

impl Access {
    /// A transaction that changes the caller's rows, once for an idempotency key.
    ///
    /// # Errors
    /// [`Stop::Repeated`] with the answer that was given before; 409 when the key was used for a different
    /// request.
    pub async fn begin_once(&self, claim: Claim) -> Outcome<Change> {
        let mut tx = self.begin();
        match claim.take(&mut tx, self.caller()).await? {
            Some(answer) => Err(Stop::Repeated(answer)),
            None => Ok(Change {
                tx,
                claim,
                after: Vec::new(),
            }),
        }
    }

    /// [`Access::begin_once`] for what leaves the caller without a way to repeat it: they are signed out,
    /// or nobody any more.
    pub fn begin_last(&self) -> Change {
        Change {
            tx: self.begin(),
            claim: Claim::none(self.call.config),
            after: Vec::new(),
        }
    }

    /// Makes the objects that know who is calling forget, once `tx` is committed.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forget_callers(&self, tx: &mut Change, whom: Whom) -> Result<()> {
        let names = callers::changed(&mut tx.tx, whom).await?;
        tx.after_commit(callers::forget(&self.call, names));
        Ok(())
    }

    /// Stores the answer, commits, and does what comes after, all before the answer leaves.
    ///
    /// # Errors
    /// When the commit fails, nothing remains; when only what comes after fails, the outbox repeats it.
    pub async fn commit<T, const STATUS: u16>(
        &self,
        mut change: Change,
        reply: Reply<T, STATUS>,
    ) -> Outcome<Reply<T, STATUS>> {
        let caller = self.caller();
        change
            .claim
            .settle(&mut change.tx, caller, STATUS, reply.data());
        finish(&self.call, change).await?;
        Ok(reply)
    }

    /// [`Access::commit`] for an answer that shows a secret once: it is stored encrypted.
    ///
    /// # Errors
    /// As [`Access::commit`], and 503 when there is no key to encrypt with.
    pub async fn commit_secret<T, const STATUS: u16>(
        &self,
        mut change: Change,
        reply: Reply<T, STATUS>,
    ) -> Outcome<Reply<T, STATUS>> {
        let caller = self.caller();
        change
            .claim
            .settle_sealed(&mut change.tx, caller, STATUS, reply.data())?;
        finish(&self.call, change).await?;
        Ok(reply)
    }
}

async fn finish(call: &Rc<Call>, change: Change) -> Result<()> {
    let messages = change.tx.commit().await?;
    let mut outcome = Ok(());
    for work in change.after {
        // One that fails does not keep the others from being told.
        outcome = outcome.and(work.await);
    }
    Call::publish(call, messages);
    outcome
}
