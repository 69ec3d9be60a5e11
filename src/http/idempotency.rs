//! `Idempotency-Key`: the same key with the same request gets the stored answer, with another request 409.
//!
//! The claim is the first statement of the change's own transaction. A second request with the same
//! key waits for the first one's row lock and then finds its answer, so the change happens once even
//! when both arrive together; and if the first dies, its claim is rolled back with everything else.

use crate::call::Call;
use crate::config::Config;
use crate::db::{Tx, sql};
use crate::error::{Code, Error, Result};
use crate::http::body::MAX_BODY_BYTES;
use crate::http::endpoint::{Input, Needs, Prepared};
use crate::http::reply::Answer;
use crate::platform::random;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use celaest_domain::hex::hex;
use celaest_domain::json;
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The request's idempotency key, if it has one, with what the request must equal to be a repeat.
#[derive(Debug, Clone)]
pub struct Claim {
    config: &'static Config,
    key: Option<String>,
    method: String,
    path: String,
    request_hash: String,
    /// Its answer has no envelope.
    bare: bool,
}

/// `T` together with the idempotency key of the request that it came in.
#[derive(Debug)]
pub struct Once<T>(pub Claim, pub T);

impl<T: Input> Input for Once<T> {
    const NEEDS: Needs = Needs {
        once: true,
        // Read where none is expected, too: another body is another request.
        body: match T::NEEDS.body {
            None => Some(MAX_BODY_BYTES),
            body => body,
        },
        ..T::NEEDS
    };

    fn take(from: &mut Prepared) -> Result<Self> {
        Ok(Self(from.claim()?, T::take(from)?))
    }
}

#[derive(Deserialize)]
struct Stored {
    same: bool,
    status: Option<u16>,
    response: Option<Box<RawValue>>,
}

/// An answer that holds a secret, as it is stored.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SealedAnswer {
    sealed: SealedText,
}

/// What the vault made of it; `bytes` in base64.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SealedText {
    version: u32,
    bytes: String,
}

impl Claim {
    /// What a call with this body claims.
    ///
    /// # Errors
    /// 400 for a key that is too long or not printable ASCII.
    pub fn of(call: &Call, body: &[u8]) -> Result<Self> {
        let head = &call.head;
        let key = head.idempotency_key();
        if key.is_some_and(|key| key.len() > 255 || !key.bytes().all(|b| (32..127).contains(&b))) {
            let problem = json!({ "header": "Idempotency-Key", "problem": "1 to 255 printable ASCII characters" });
            return Err(Error::new(Code::InvalidHeader).with_details(problem));
        }
        Ok(Self {
            config: call.config,
            bare: false,
            key: key.map(str::to_owned),
            method: head.method().to_owned(),
            path: head.path().to_owned(),
            request_hash: match key {
                Some(_) => {
                    let query = head.query().unwrap_or_default();
                    let mut hash = Sha256::new()
                        .chain_update(query)
                        .chain_update([0])
                        .chain_update(body);
                    // A part of the request where a contract has them.
                    let named = [head.organization(), head.user(), head.license()];
                    for (place, name) in (1_u8..).zip(named) {
                        if let Some(name) = name {
                            hash = hash.chain_update([0, place]).chain_update(name);
                        }
                    }
                    hex(&hash.finalize())
                }
                None => String::new(),
            },
        })
    }

    /// The key, where there is one.
    pub fn name(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// Nothing.
    pub fn none(config: &'static Config) -> Self {
        Self {
            config,
            bare: false,
            key: None,
            method: String::new(),
            path: String::new(),
            request_hash: String::new(),
        }
    }

    /// The same for an answer that others define: it is given again without the envelope.
    pub fn bare(mut self) -> Self {
        self.bare = true;
        self
    }

    /// Refuses a key where an answer cannot be given again.
    ///
    /// # Errors
    /// 422 for the field that makes it so.
    pub fn refuse(&self, field: &str) -> Result<()> {
        match &self.key {
            Some(_) => Err(Error::field(
                field,
                "cannot be combined with Idempotency-Key",
            )),
            None => Ok(()),
        }
    }

    /// Claims the key in `tx`. `Some` is the answer that was given before: return it and change nothing.
    ///
    /// # Errors
    /// 409 when the key was used for a different request.
    pub async fn take(&self, tx: &mut Tx, caller: Uuid) -> Result<Option<Answer>> {
        let Some(key) = &self.key else {
            return Ok(None);
        };
        let claimed: Option<bool> = tx
            .value(
                sql("WITH claimed AS (
                       INSERT INTO idempotency_keys AS k (caller, key, organization_id, method, path, request_hash)
                       VALUES ($1, $2, $3::uuid, $4, left($5, 500), $6)
                       ON CONFLICT (caller, key) DO UPDATE SET organization_id = excluded.organization_id,
                         method = excluded.method, path = excluded.path, request_hash = excluded.request_hash,
                         status = NULL, response = NULL, created_at = now(), expires_at = now() + interval '24 hours'
                       WHERE k.expires_at <= now() RETURNING true AS done)
                     SELECT to_json(done)::text FROM claimed")
                .bind(caller)
                .bind(key)
                .bind(tx.scope().organization())
                .bind(&self.method)
                .bind(&self.path)
                .bind(&self.request_hash),
            )
            .await?;
        if claimed.is_some() {
            return Ok(None);
        }
        let stored: Option<Stored> = tx
            .row(
                sql("SELECT method = $3 AND path = left($4, 500) AND request_hash = $5 AS same, status, response
                     FROM idempotency_keys WHERE caller = $1 AND key = $2")
                .bind(caller)
                .bind(key)
                .bind(&self.method)
                .bind(&self.path)
                .bind(&self.request_hash),
            )
            .await?;
        match stored {
            Some(Stored {
                same: true,
                status: Some(status),
                response,
            }) => {
                // What has nothing to say is stored as null.
                let stored = response.as_deref().map_or("null", RawValue::get);
                let data = self.opened(caller, key, stored)?;
                Ok(Some(match self.bare {
                    true => Answer::json(status, data),
                    false => Answer::data(status, &data),
                }))
            }
            Some(Stored { same: false, .. }) => Err(Code::IdempotencyConflict.into()),
            Some(Stored { status: None, .. }) => Err(Code::IdempotencyInProgress.into()),
            // Swept away between the two statements; the caller may simply try again.
            _ => Err(Error::unavailable("the idempotency key disappeared")),
        }
    }

    /// After [`Claim::take`]: the claim is committed alone, and holds for as long as any answer may take.
    pub fn hold(&self, tx: &mut Tx, caller: Uuid) {
        tx.finally(
            sql("UPDATE idempotency_keys SET expires_at = now() + interval '6 minutes' WHERE caller = $1 AND key = $2")
                .bind(caller)
                .bind(self.name()),
        );
    }

    /// Gives a claim back that was held: nothing came of it.
    pub fn release(&self, tx: &mut Tx, caller: Uuid) {
        tx.finally(
            sql("UPDATE idempotency_keys SET expires_at = now() WHERE caller = $1 AND key = $2 AND status IS NULL")
                .bind(caller)
                .bind(self.name()),
        );
    }

    /// Stores the answer with the change.
    pub fn settle(&self, tx: &mut Tx, caller: Uuid, status: u16, data: &str) {
        if let Some(key) = &self.key {
            store(tx, caller, key, status, data);
        }
    }

    /// Like [`Claim::settle`] for an answer that shows a secret once: it is stored encrypted.
    ///
    /// # Errors
    /// 503 when there is no key to encrypt with.
    pub fn settle_sealed(&self, tx: &mut Tx, caller: Uuid, status: u16, data: &str) -> Result<()> {
        let Some(key) = &self.key else {
            return Ok(());
        };
        let sealed = self
            .config
            .vault()?
            .seal(data.as_bytes(), &associated(caller, key), random::bytes()?)
            .map_err(Error::internal)?;
        let answer = json!(SealedAnswer {
            sealed: SealedText {
                version: sealed.version,
                bytes: STANDARD.encode(sealed.bytes),
            },
        });
        store(tx, caller, key, status, &answer.to_string());
        Ok(())
    }

    /// The stored answer as it was given.
    fn opened(&self, caller: Uuid, key: &str, stored: &str) -> Result<String> {
        let Ok(SealedAnswer { sealed }) = json::read(stored) else {
            return Ok(stored.to_owned());
        };
        let bytes = STANDARD.decode(sealed.bytes).map_err(Error::internal)?;
        self.config
            .vault()?
            .open(sealed.version, &bytes, &associated(caller, key))
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .ok_or_else(|| Error::internal("a stored answer does not open"))
    }
}

/// A sealed answer opens only for the caller and the key that it was given for.
fn associated(caller: Uuid, key: &str) -> Vec<u8> {
    format!("idempotency:{caller}:{key}").into_bytes()
}

fn store(tx: &mut Tx, caller: Uuid, key: &str, status: u16, response: &str) {
    tx.finally(
        sql("UPDATE idempotency_keys SET status = $3::int, response = $4::json, expires_at = now() + interval '24 hours'
             WHERE caller = $1 AND key = $2")
            .bind(caller)
            .bind(key)
            .bind(u32::from(status))
            .bind(response),
    );
}
