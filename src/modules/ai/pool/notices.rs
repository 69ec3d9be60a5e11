//! What the object of a pool is told of a change of its keys.

use super::lending::forget_empty;
use crate::db::facts::Message;
use crate::error::{Error, Result};
use crate::http::change::Change;
use crate::platform::notice::{Notice, Told};
use crate::run::Run;
use celaest_durable::key_pool;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;
use worker::Env;

/// The topic of outbox rows that repeat what objects were told.
const TOPIC: &str = "ai_pool.changed";

/// What an outbox row says.
#[derive(Serialize, Deserialize)]
struct Changed {
    pool: String,
    change: Uuid,
}

/// The object of a pool, by its name.
struct Pool(String);

impl Told for Pool {
    async fn announce(&self, env: &Env, change: Uuid) -> worker::Result<()> {
        key_pool::announce(env, &self.0, change).await
    }

    async fn forget(&self, env: &Env, change: Uuid, _: bool) -> worker::Result<()> {
        forget_empty(&self.0);
        key_pool::forget(env, &self.0, change).await
    }
}

/// Ties a change to the object of the pool of that name: the very next call is made with what is then.
pub fn tell(tx: &mut Change, pool: String) {
    let change = Uuid::new_v4();
    tx.tell(
        TOPIC,
        json!(Changed {
            pool: pool.clone(),
            change
        }),
    );
    tx.told_to(Notice::new(vec![Pool(pool)], change));
}

/// Repeats what a change told before its answer, for the one that died in between.
///
/// # Errors
/// When the object cannot be reached; the message comes again then.
pub async fn told(run: &Run, message: &Message) -> Result<()> {
    if message.topic != TOPIC {
        return Ok(());
    }
    let Changed { pool, change } =
        serde_json::from_value(message.payload.clone()).map_err(Error::internal)?;
    Notice::new(vec![Pool(pool)], change)
        .settle(&run.env, false)
        .await
}
