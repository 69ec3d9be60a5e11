//! What the object of a license is told of a change of it.

use crate::db::facts::Message;
use crate::error::{Error, Result};
use crate::http::change::Change;
use crate::platform::notice::{Notice, Told, each, insist};
use crate::run::Run;
use celaest_domain::license_key::LicenseKey;
use celaest_durable::license::{self, Outcome};
use uuid::Uuid;
use worker::Env;

/// The object of a license.
pub struct Licensed {
    key: LicenseKey,
    /// The change cancels the license for good.
    ended: bool,
}

impl Told for Licensed {
    async fn announce(&self, env: &Env, change: Uuid) -> worker::Result<()> {
        license::announce(env, &self.key, change).await
    }

    async fn forget(&self, env: &Env, change: Uuid, called_off: bool) -> worker::Result<()> {
        let outcome = Outcome {
            change: Some(change),
            ended: self.ended && !called_off,
            called_off,
        };
        license::forget(env, &self.key, outcome).await
    }
}

/// The objects of these keys. Keys in another format (`generate_license_key()`) are not validated at the edge.
fn of_keys<K: AsRef<str>>(keys: &[K], ended: bool) -> Vec<Licensed> {
    let keys = keys.iter().flat_map(|key| LicenseKey::parse(key.as_ref()));
    keys.map(|key| Licensed { key, ended }).collect()
}

/// Ties a change to the license's object, and returns the name under which the object knows it.
pub fn tell(tx: &mut Change, key: &str) -> Uuid {
    notify(tx, key, false)
}

/// [`tell`] for a change that cancels the license for good.
pub fn tell_end(tx: &mut Change, key: &str) {
    notify(tx, key, true);
}

fn notify(tx: &mut Change, key: &str, ended: bool) -> Uuid {
    let change = Uuid::new_v4();
    tx.told_to(Notice::new(of_keys(&[key], ended), change));
    change
}

/// Ties a commit to the objects of these keys, for work that is no [`Change`] of a caller's.
///
/// # Errors
/// As [`Notice::around`].
pub async fn around<T>(
    env: &Env,
    keys: &[String],
    commit: impl Future<Output = Result<T>>,
) -> Result<T> {
    let notice = Notice::new(of_keys(keys, false), Uuid::new_v4());
    notice.around(env, commit).await
}

/// Makes the objects of these keys forget what they know, after a change that was committed.
///
/// # Errors
/// 503 when one of them cannot be reached; the others are told.
pub async fn forget_all(env: &Env, keys: &[String]) -> Result<()> {
    let objects = of_keys(keys, false);
    each(&objects, |object| forget(env, object)).await
}

async fn forget(env: &Env, object: &Licensed) -> worker::Result<()> {
    let outcome = Outcome {
        ended: object.ended,
        ..Outcome::default()
    };
    insist(|| license::forget(env, &object.key, outcome)).await
}

/// Makes the edge forget a license that changed. The change itself did that before its answer; this is
/// for the one that died in between.
///
/// # Errors
/// As [`forget_all`].
pub async fn told(run: &Run, message: &Message) -> Result<()> {
    let key = message.payload["license"]["license_key"].as_str();
    let ended = message.topic == "license.cancelled";
    for object in of_keys(key.as_slice(), ended) {
        let told = forget(&run.env, &object).await;
        told.map_err(Error::unavailable)?;
    }
    Ok(())
}
