//! How the worker and a license's object work together.
//!
//! The object holds a snapshot and decides. It never reads PostgreSQL: when it has no snapshot it says
//! so with a token, the worker reads (all cold keys of a batch in one statement) and asks again. A
//! snapshot whose token is no longer current is refused, so what was read before a change can never
//! be installed after it.

use super::model::Validation;
use super::queries::{self, Locked};
use crate::db::facts::{Actor, Message};
use crate::db::{Scope, Tx};
use crate::error::{Code, Error, Result};
use crate::call::Call;
use crate::language::Language;
use crate::log;
use crate::run::Run;
use crate::settings;
use crate::identity::limits;
use celaest_domain::address::Address;
use celaest_domain::license::{self as verdicts, Lang};
use celaest_domain::license_key::LicenseKey;
use celaest_durable::license::{
    self, Answer, CurrentSettings, Reservation, ReserveRequest, Supply,
};
use futures_util::future::join_all;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::json;
use std::borrow::Cow;
use std::collections::HashMap;
use std::rc::Rc;
use uuid::Uuid;
use worker::Env;

/// A snapshot can be outdated by a change while it is being read; each time it is read again.
const ATTEMPTS: usize = 5;

/// A validation that may go to an object, or its verdict when none is needed.
pub enum Check {
    /// The key cannot be one of ours.
    Decided(String),
    /// For the object of this key.
    Ask(Box<Question>),
}

/// A validation whose key is well-formed and whose checksum is right.
pub struct Question {
    key: LicenseKey,
    ip: String,
    device_info: Option<Box<RawValue>>,
    validation: Validation,
}

/// What the worker read for an object that had no snapshot.
enum Known {
    Nothing,
    Snapshot { token: u64, data: Box<RawValue> },
    Missing { token: u64 },
    Unavailable,
}

impl Known {
    fn supply(&self) -> Option<Supply<'_>> {
        match self {
            Self::Nothing => None,
            Self::Snapshot { token, data } => Some(Supply::Data {
                token: *token,
                data,
            }),
            Self::Missing { token } => Some(Supply::Missing { token: *token }),
            Self::Unavailable => Some(Supply::Unavailable),
        }
    }
}

/// Turns a validation into a check. Nothing is touched yet.
///
/// # Errors
/// 422 for an impossible address.
pub fn prepare(call: &Call, validation: Validation) -> Result<Check> {
    let address = match &validation.ip_address {
        Some(text) => Address::parse(text)
            .ok_or_else(|| Error::field("ip_address", "is not an IP address"))?,
        None => Address::parse(&call.ip)
            .ok_or_else(|| Error::internal("the connection has no address"))?,
    };
    let ip = address.to_string();
    let secret = call.config.license_key_secret.expose().as_bytes();
    let key = match LicenseKey::parse(&validation.license_key) {
        Ok(key) if key.verify(secret) => key,
        _ => {
            let nonce = validation.nonce.as_deref();
            let verdict = verdicts::refusal(
                verdicts::Code::InvalidKey,
                lang(call),
                &ip,
                nonce,
                call.started_ms,
            );
            return Ok(Check::Decided(verdict));
        }
    };
    let device_info = validation
        .device_info
        .as_ref()
        .and_then(|info| to_raw_value(info).ok());
    Ok(Check::Ask(Box::new(Question {
        key,
        ip,
        device_info,
        validation,
    })))
}

fn lang(call: &Call) -> Lang {
    match call.language {
        Language::Es => Lang::Es,
        Language::En => Lang::En,
    }
}

/// The verdicts, in the order of the checks, as JSON.
pub async fn check(call: &Call, checks: Vec<Check>) -> Vec<Result<String>> {
    let mut verdicts: Vec<Option<Result<String>>> = Vec::with_capacity(checks.len());
    let mut open: Vec<(usize, Box<Question>, Known)> = Vec::new();
    for (index, check) in checks.into_iter().enumerate() {
        match check {
            Check::Decided(verdict) => verdicts.push(Some(Ok(verdict))),
            Check::Ask(question) => {
                verdicts.push(None);
                open.push((index, question, Known::Nothing));
            }
        }
    }
    for _ in 0..ATTEMPTS {
        if open.is_empty() {
            break;
        }
        let answers = ask(call, &open).await;
        let mut cold: Vec<(usize, Box<Question>, u64)> = Vec::new();
        for ((index, question, _), answer) in open.drain(..).zip(answers) {
            verdicts[index] = match answer {
                Ok(Answer::NeedSnapshot { token }) => {
                    cold.push((index, question, token));
                    continue;
                }
                Ok(Answer::Verdict(verdict)) => Some(Ok(verdict)),
                Ok(Answer::Limited(decision)) => {
                    Some(limits::apply(call, decision).map(|()| String::new()))
                }
                Ok(Answer::Unavailable) => Some(Err(Code::Unavailable.into())),
                Err(error) => Some(Err(error)),
            };
        }
        open = read(call, cold).await;
    }
    verdicts
        .into_iter()
        .map(|verdict| {
            verdict.unwrap_or_else(|| Err(Error::unavailable("the license keeps changing")))
        })
        .collect()
}

async fn ask(call: &Call, open: &[(usize, Box<Question>, Known)]) -> Vec<Result<Answer>> {
    let settings = settings::for_edge(call);
    let asked = open.iter().map(|(_, question, known)| {
        call.count_object_call();
        one(call, settings, question, known)
    });
    join_all(asked).await
}

async fn one(
    call: &Call,
    settings: Option<CurrentSettings>,
    question: &Question,
    known: &Known,
) -> Result<Answer> {
    let validation = &question.validation;
    let check = license::Check {
        ip: &question.ip,
        connection_ip: Some(&call.ip),
        device_info: question.device_info.as_deref(),
        machine_id: validation.machine_id.as_deref().map(Cow::Borrowed),
        hostname: validation.hostname.as_deref().map(Cow::Borrowed),
        nonce: validation.nonce.as_deref().map(Cow::Borrowed),
        user_agent: call.user_agent.as_deref().map(Cow::Borrowed),
        lang: lang(call),
        limit_per_minute: call.config.validate_limit_per_license,
        snapshot_ttl_s: call.config.snapshot_ttl_seconds,
        settings,
        supply: known.supply(),
    };
    license::validate(call.env(), &question.key, &check)
        .await
        .map_err(Error::unavailable)
}

/// Reads the snapshots of all cold keys in one statement.
async fn read(
    call: &Call,
    cold: Vec<(usize, Box<Question>, u64)>,
) -> Vec<(usize, Box<Question>, Known)> {
    if cold.is_empty() {
        return Vec::new();
    }
    let keys: Vec<&str> = cold
        .iter()
        .map(|(_, question, _)| question.key.as_str())
        .collect();
    let found: Result<HashMap<String, Box<RawValue>>> = call
        .database
        .begin(Scope::System, Actor::default())
        .only_value(queries::snapshots(&json!(keys)))
        .await;
    if let Err(error) = &found {
        log::warn(&call.request_id, "validating without PostgreSQL", error);
    }
    cold.into_iter()
        .map(|(index, question, token)| {
            let known = match &found {
                Err(_) => Known::Unavailable,
                Ok(snapshots) => match snapshots.get(question.key.as_str()) {
                    Some(data) => Known::Snapshot {
                        token,
                        data: data.clone(),
                    },
                    None => Known::Missing { token },
                },
            };
            (index, question, known)
        })
        .collect()
}

/// Makes the object of `key` forget what it knows, so that the next validation reads the change.
///
/// # Errors
/// 503 when the object cannot be reached; the outbox brings it the news later.
pub fn forget(call: &Rc<Call>, key: &str) -> impl Future<Output = Result<()>> + 'static {
    let (call, key) = (call.clone(), key.to_owned());
    async move {
        call.count_object_call();
        forget_from(call.env(), &key).await
    }
}

/// [`forget`] for jobs and consumers.
///
/// # Errors
/// As [`forget`].
pub async fn forget_from(env: &Env, key: &str) -> Result<()> {
    // Keys in another format (`generate_license_key()`) are not validated at the edge.
    let Ok(key) = LicenseKey::parse(key) else {
        return Ok(());
    };
    let mut outcome = Ok(());
    for _ in 0..3 {
        outcome = license::forget(env, &key)
            .await
            .map_err(Error::unavailable);
        if outcome.is_ok() {
            break;
        }
    }
    outcome
}

/// Makes the edge forget a license that changed. The change itself did that before its answer; this is
/// for the one that died in between.
///
/// # Errors
/// As [`forget`].
pub async fn told(run: &Run, message: &Message) -> Result<()> {
    match message.payload["license"]["license_key"].as_str() {
        Some(key) => forget_from(&run.env, key).await,
        None => Ok(()),
    }
}

/// Holds a slot of a license for an address, for half a minute.
///
/// # Errors
/// 409 when the address has a slot or none is free.
pub async fn reserve(
    call: &Call,
    tx: &mut Tx,
    key: &str,
    binding_id: Uuid,
    address: &Address,
) -> Result<()> {
    let key = LicenseKey::parse(key).map_err(|_| Error::new(Code::Conflict))?;
    let ip = address.to_string();
    let mut known = Known::Nothing;
    for _ in 0..ATTEMPTS {
        call.count_object_call();
        let request = ReserveRequest {
            binding_id,
            ip: &ip,
            snapshot_ttl_s: call.config.snapshot_ttl_seconds,
            supply: known.supply(),
        };
        let answer = license::reserve(call.env(), &key, &request).await;
        match answer.map_err(Error::unavailable)? {
            Reservation::Held => return Ok(()),
            Reservation::AlreadyBound { .. } => return Err(Code::IpAlreadyBound.into()),
            Reservation::Full => return Err(Code::IpLimitReached.into()),
            Reservation::Missing => return Err(Code::LicenseNotFound.into()),
            Reservation::Unavailable => return Err(Code::Unavailable.into()),
            Reservation::NeedSnapshot { token } => {
                let mut found: HashMap<String, Box<RawValue>> =
                    tx.value(queries::snapshots(&json!([key.as_str()]))).await?;
                known = match found.remove(key.as_str()) {
                    Some(data) => Known::Snapshot { token, data },
                    None => Known::Missing { token },
                };
            }
        }
    }
    Err(Error::unavailable("the license keeps changing"))
}

/// Writes bindings that the object has made and PostgreSQL may not have seen.
///
/// # Errors
/// When the object or the database fails.
pub async fn mirror(call: &Call, tx: &mut Tx, license: &Locked) -> Result<()> {
    let Ok(key) = LicenseKey::parse(&license.key) else {
        return Ok(());
    };
    call.count_object_call();
    let pending = license::pending(call.env(), &key)
        .await
        .map_err(Error::unavailable)?;
    if !pending.bindings.is_empty() {
        let bindings = json!(pending.bindings);
        let query = queries::mirror_bindings(license, &bindings, &call.request_id);
        tx.execute(query).await?;
    }
    Ok(())
}
