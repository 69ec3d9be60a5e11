//! The objects that know who is calling, and what makes them forget.
//!
//! A person has one for their tokens and one for each API key. They are named so that neither a token nor
//! a key needs PostgreSQL to find its object.

use crate::db::facts::Message;
use crate::db::{Tx, sql};
use crate::error::{Error, Result};
use crate::platform::notice::{Notice, Told};
use crate::run::Run;
use celaest_domain::json;
use celaest_durable::caller;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;
use worker::Env;

/// The topic of outbox rows that repeat what objects were told.
const TOPIC: &str = "caller.changed";
/// Objects told before an answer leaves, the sign-ins first. Those of a larger organization learn of it by
/// the outbox, and by the age of what they know.
const MOST_AT_ONCE: u32 = 1_000;
/// Objects told by one message of the outbox.
const MOST_BEHIND: u32 = 10_000;

/// Of whom something changed that their callers depend on.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Whom {
    /// A person.
    Person(Uuid),
    /// Everybody in an organization.
    Organization(Uuid),
}

/// The object of a person's tokens.
pub fn of_subject(subject: Uuid) -> String {
    format!("sub:{subject}")
}

/// The object of an API key, by the form in which the key is stored.
pub fn of_key(hash: &str) -> String {
    format!("key:{hash}")
}

/// The object of a caller, by its name.
pub struct Named(String);

impl Told for Named {
    async fn announce(&self, env: &Env, change: Uuid) -> worker::Result<()> {
        caller::announce(env, &self.0, change).await
    }

    async fn forget(&self, env: &Env, change: Uuid, _: bool) -> worker::Result<()> {
        caller::forget(env, &self.0, change).await
    }
}

/// What an outbox row says.
#[derive(Serialize, Deserialize)]
struct Changed {
    whom: Whom,
    change: Uuid,
}

/// A change of `whom` in `tx`, and the objects that are told of it. The outbox repeats it, should the worker die
/// in between.
///
/// # Errors
/// When the database fails.
pub async fn changed(tx: &mut Tx, whom: Whom) -> Result<Notice<Named>> {
    let change = Uuid::new_v4();
    tx.tell(TOPIC, json!(Changed { whom, change }));
    let names = names(tx, whom, MOST_AT_ONCE).await?;
    Ok(Notice::new(names, change))
}

async fn names(tx: &mut Tx, whom: Whom, most: u32) -> Result<Vec<Named>> {
    let (person, organization) = match whom {
        Whom::Person(id) => (Some(id), None),
        Whom::Organization(id) => (None, Some(id)),
    };
    let (tenant, home) = match tx.scope().organization() {
        Some(id) => ("AND u.organization_id = $4::uuid", Some(id)),
        None => ("AND $4::uuid IS NULL", None),
    };
    let names: Vec<String> = tx.value(
        sql(format!(
            "WITH people AS (
               SELECT u.id, u.auth_user_id, u.last_login_at FROM users_profile u
               WHERE (u.id = $1::uuid OR u.organization_id = $2::uuid) {tenant}
               ORDER BY u.last_login_at DESC NULLS LAST LIMIT $3::bigint
             ), names AS (
               SELECT 'sub:' || coalesce(auth_user_id, id) AS name, 0 AS kind, last_login_at AS at FROM people
               UNION ALL
               SELECT 'key:' || k.key_hash, 1, coalesce(k.last_used_at, k.created_at)
               FROM people p JOIN user_api_keys k ON k.user_id = p.id
               WHERE (k.revoked_at IS NULL OR k.revoked_at > now() - interval '1 hour')
                 AND (k.expires_at IS NULL OR k.expires_at > now() - interval '1 hour'))
             SELECT coalesce(json_agg(name), '[]')::text FROM (
               SELECT name FROM names ORDER BY kind, at DESC NULLS LAST LIMIT $3::bigint) AS latest"
        ))
        .bind(person)
        .bind(organization)
        .bind(most)
        .bind(home),
    )
    .await?;
    Ok(names.into_iter().map(Named).collect())
}

/// Repeats what a change told before its answer, for the one that died in between.
///
/// # Errors
/// When the database or an object cannot be reached; the message comes again then.
pub async fn told(run: &Run, message: &Message) -> Result<()> {
    if message.topic != TOPIC {
        return Ok(());
    }
    let Changed { whom, change } =
        json::read(&message.payload.to_string()).map_err(Error::internal)?;
    let mut tx = run.begin();
    let names = names(&mut tx, whom, MOST_BEHIND).await?;
    tx.commit().await?;
    Notice::new(names, change).settle(&run.env, false).await
}
