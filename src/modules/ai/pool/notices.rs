//! What the object of a pool is told of a change of its keys: that it comes, and what became of it, like the
//! object of a license.

use super::lending::forget_empty;
use crate::call::Call;
use crate::db::facts::Message;
use crate::error::{Error, Result};
use crate::http::change::Change;
use crate::run::Run;
use celaest_durable::key_pool;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::rc::Rc;
use uuid::Uuid;

/// The topic of outbox rows that repeat what objects were told.
const TOPIC: &str = "ai_pool.changed";

/// What an outbox row says.
#[derive(Serialize, Deserialize)]
struct Told {
    pool: String,
    change: Uuid,
}

/// Ties a change to the object of the pool of that name: the very next call is made with what is then.
pub fn tell(tx: &mut Change, call: &Rc<Call>, pool: String) {
    let change = Uuid::new_v4();
    tx.tell(
        TOPIC,
        json!(Told {
            pool: pool.clone(),
            change
        }),
    );
    let forget = || {
        let (call, pool) = (call.clone(), pool.clone());
        async move {
            forget_empty(&pool);
            call.count_object_call();
            let told = key_pool::forget(call.env(), &pool, change).await;
            told.map_err(Error::unavailable)
        }
    };
    tx.after_commit(forget());
    tx.otherwise(forget());
    let call = call.clone();
    tx.before_commit(async move {
        call.count_object_call();
        let told = key_pool::announce(call.env(), &pool, change).await;
        told.map_err(Error::unavailable)
    });
}

/// Repeats what a change told before its answer, for the one that died in between.
///
/// # Errors
/// When the object cannot be reached; the message comes again then.
pub async fn told(run: &Run, message: &Message) -> Result<()> {
    if message.topic != TOPIC {
        return Ok(());
    }
    let Told { pool, change } =
        serde_json::from_value(message.payload.clone()).map_err(Error::internal)?;
    forget_empty(&pool);
    let told = key_pool::forget(&run.env, &pool, change).await;
    told.map_err(Error::unavailable)
}
