//! What the object of a license is told of a change: that it comes, and what became of it.
//!
//! Before the commit the object stops serving what it knows; after it, or when there is none, it is told
//! so. Whoever dies in between leaves an object that reads PostgreSQL for every validation until the change
//! cannot be committed any more, so nobody is ever let in by what a committed change took away.

use crate::call::Call;
use crate::db::facts::Message;
use crate::error::{Code, Error, Result};
use crate::http::change::Change;
use crate::run::Run;
use celaest_domain::license_key::LicenseKey;
use celaest_durable::license::{self, Outcome};
use futures_util::future::join_all;
use std::rc::Rc;
use uuid::Uuid;
use worker::Env;

/// Objects told at a time.
const TOGETHER: usize = 50;
/// How often an object that does not answer is told.
const ATTEMPTS: usize = 3;

/// Ties a change to the license's object, and returns the name under which the object knows it.
pub fn tell(tx: &mut Change, call: &Rc<Call>, key: &str) -> Uuid {
    notify(tx, call, key, false)
}

/// [`tell`] for a change that cancels the license for good.
pub fn tell_end(tx: &mut Change, call: &Rc<Call>, key: &str) {
    notify(tx, call, key, true);
}

fn notify(tx: &mut Change, call: &Rc<Call>, key: &str, ended: bool) -> Uuid {
    let change = Uuid::new_v4();
    // Keys in another format (`generate_license_key()`) are not validated at the edge.
    let Ok(key) = LicenseKey::parse(key) else {
        return change;
    };
    let told = |outcome: Outcome| {
        let (call, key) = (call.clone(), key.clone());
        async move {
            call.count_object_call();
            forget(call.env(), &key, outcome).await
        }
    };
    let outcome = Outcome {
        change: Some(change),
        ended,
        called_off: false,
    };
    tx.after_commit(told(outcome));
    tx.otherwise(told(Outcome {
        ended: false,
        called_off: true,
        ..outcome
    }));
    let call = call.clone();
    tx.before_commit(async move {
        call.count_object_call();
        let announced = license::announce(call.env(), &key, change).await;
        announced.map_err(Error::unavailable)
    });
    change
}

async fn forget(env: &Env, key: &LicenseKey, outcome: Outcome) -> Result<()> {
    let mut told = Ok(());
    for _ in 0..ATTEMPTS {
        told = license::forget(env, key, outcome).await;
        if told.is_ok() {
            break;
        }
    }
    told.map_err(Error::unavailable)
}

/// Ties a commit to the objects of these keys, for work that is no [`Change`] of a caller's: they are told
/// before it, and what became of it.
///
/// # Errors
/// 503 when an object cannot be told before: nothing is committed then. As the commit itself; and 503 when
/// one cannot be told after, though the others are.
pub async fn around<T>(
    env: &Env,
    keys: &[String],
    commit: impl Future<Output = Result<T>>,
) -> Result<T> {
    let keys: Vec<(LicenseKey, Uuid)> = keys
        .iter()
        .flat_map(|key| LicenseKey::parse(key))
        .map(|key| (key, Uuid::new_v4()))
        .collect();
    let told = async |called_off: bool| {
        let mut outcome = Ok(());
        for some in keys.chunks(TOGETHER) {
            let each = join_all(some.iter().map(|(key, change)| {
                let outcome = Outcome {
                    change: Some(*change),
                    ended: false,
                    called_off,
                };
                forget(env, key, outcome)
            }));
            outcome = each.await.into_iter().fold(outcome, Result::and);
        }
        outcome
    };
    for some in keys.chunks(TOGETHER) {
        let announced = some
            .iter()
            .map(|(key, change)| license::announce(env, key, *change));
        let announced: std::result::Result<Vec<()>, _> =
            join_all(announced).await.into_iter().collect();
        if let Err(error) = announced {
            // Whoever cannot be told finds out alone, a little later.
            let _ = told(true).await;
            return Err(Error::unavailable(error));
        }
    }
    let committed = commit.await;
    // When nobody knows whether it was committed, they read PostgreSQL until it is certain.
    let unknown = committed
        .as_ref()
        .is_err_and(|error| error.code == Code::Unavailable);
    if !unknown {
        let outcome = told(committed.is_err()).await;
        if committed.is_ok() {
            outcome?;
        }
    }
    committed
}

/// Makes the objects of these keys forget what they know, after a change that was committed.
///
/// # Errors
/// 503 when one of them cannot be reached; the others are told.
pub async fn forget_all(env: &Env, keys: &[String]) -> Result<()> {
    let keys: Vec<_> = keys.iter().flat_map(|key| LicenseKey::parse(key)).collect();
    let mut outcome = Ok(());
    for keys in keys.chunks(TOGETHER) {
        let told = join_all(keys.iter().map(|key| forget(env, key, Outcome::default()))).await;
        outcome = told.into_iter().fold(outcome, Result::and);
    }
    outcome
}

/// Makes the edge forget a license that changed. The change itself did that before its answer; this is
/// for the one that died in between.
///
/// # Errors
/// As [`forget_all`].
pub async fn told(run: &Run, message: &Message) -> Result<()> {
    let Some(key) = message.payload["license"]["license_key"].as_str() else {
        return Ok(());
    };
    let Ok(key) = LicenseKey::parse(key) else {
        return Ok(());
    };
    let outcome = Outcome {
        ended: message.topic == "license.cancelled",
        ..Outcome::default()
    };
    forget(&run.env, &key, outcome).await
}
