//! How the worker and a license's object work together.
//!
//! The object holds a snapshot and decides. It never reads PostgreSQL: when it has no snapshot it says
//! so with a token, the worker reads (all cold keys of a batch in one statement) and asks again. A
//! snapshot whose token is no longer current is refused, so what was read before a change can never
//! be installed after it.

use super::journal;
use super::model::Validation;
use super::queries;
use crate::call::Call;
use crate::db::Scope;
use crate::db::facts::Actor;
use crate::error::{Code, Error, Result};
use crate::http::permit::Access;
use crate::identity::limits;
use crate::language::Language;
use crate::log;
use crate::settings;
use celaest_domain::access::Permission;
use celaest_domain::license::{self as verdicts, Lang};
use celaest_domain::license_key::LicenseKey;
use celaest_durable::license::{self, Answer, CurrentSettings, Supply, Wanted};
use futures_util::future::join_all;
use serde_json::value::{RawValue, to_raw_value};
use std::borrow::Cow;
use uuid::Uuid;

/// A snapshot can be outdated by a change while it is being read; each time it is read again.
const ATTEMPTS: usize = 8;

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
    /// The address that the program names.
    reported: Option<String>,
    /// The organization that asks for its customers.
    vendor: Option<Uuid>,
    device_info: Option<Box<RawValue>>,
    validation: Validation,
}

/// What the worker read for an object that had no snapshot.
pub enum Known {
    /// It was not asked yet.
    Nothing,
    /// The license.
    Snapshot {
        /// Of the object's request.
        token: u64,
        /// As PostgreSQL made it.
        data: Box<RawValue>,
    },
    /// There is none.
    Missing {
        /// Of the object's request.
        token: u64,
    },
    /// PostgreSQL is away.
    Unavailable,
}

impl Known {
    /// What was found for a request.
    pub fn of(wanted: &Wanted, found: Option<Box<RawValue>>) -> Self {
        let token = wanted.token;
        match found {
            Some(data) => Self::Snapshot { token, data },
            None => Self::Missing { token },
        }
    }

    /// As the object takes it.
    pub fn supply(&self) -> Option<Supply<'_>> {
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

/// The organization for whose customers a caller validates: its own, with `licenses:validate`.
pub fn vendor(caller: Option<&Access>) -> Option<Uuid> {
    let principal = &caller?.principal;
    let may = principal.permissions.has(Permission::LicensesValidate);
    principal.organization_id.filter(|_| may)
}

/// Turns a validation into a check. Nothing is touched yet. `vendor` is the organization whose server asks
/// for its customers.
///
/// # Errors
/// 422 for an impossible address.
pub fn prepare(call: &Call, vendor: Option<Uuid>, validation: Validation) -> Result<Check> {
    let reported = match &validation.ip_address {
        Some(text) => Some(queries::address(text)?.to_string()),
        None => None,
    };
    let key = match LicenseKey::parse(&validation.license_key) {
        Ok(key) if key.verify_any(call.config.license_key_secret.all()) => key,
        _ => {
            let nonce = validation.nonce.as_deref();
            let verdict = verdicts::refusal(
                verdicts::Code::InvalidKey,
                lang(call),
                reported.as_deref().unwrap_or(&call.ip),
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
        reported,
        vendor,
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
        let mut cold: Vec<(usize, Box<Question>, Wanted)> = Vec::new();
        for ((index, question, _), answer) in open.drain(..).zip(answers) {
            verdicts[index] = match answer {
                Ok(Answer::NeedSnapshot(wanted)) => {
                    cold.push((index, question, wanted));
                    continue;
                }
                Ok(Answer::Verdict { data, logged }) => {
                    if let Some(logged) = logged {
                        let Question {
                            reported,
                            device_info,
                            validation,
                            ..
                        } = *question;
                        journal::note(call, reported, validation, device_info, logged);
                    }
                    Some(Ok(data))
                }
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
    // Alone it needs nobody to wait for it among others.
    if let [(_, question, known)] = open {
        return vec![one(call, settings, question, known).await];
    }
    let asked = open.iter();
    join_all(asked.map(|(_, question, known)| one(call, settings, question, known))).await
}

async fn one(
    call: &Call,
    settings: Option<CurrentSettings>,
    question: &Question,
    known: &Known,
) -> Result<Answer> {
    call.count_object_call();
    let validation = &question.validation;
    let check = license::Check {
        reported_ip: question.reported.as_deref(),
        connection_ip: &call.ip,
        vendor: question.vendor,
        machine_id: validation.machine_id.as_deref().map(Cow::Borrowed),
        hostname: validation.hostname.as_deref().map(Cow::Borrowed),
        nonce: validation.nonce.as_deref().map(Cow::Borrowed),
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
    cold: Vec<(usize, Box<Question>, Wanted)>,
) -> Vec<(usize, Box<Question>, Known)> {
    if cold.is_empty() {
        return Vec::new();
    }
    let wanted = cold
        .iter()
        .map(|(_, question, wanted)| (question.key.as_str(), wanted));
    let found: Result<queries::Snapshots> = call
        .database
        .begin(Scope::System, Actor::default())
        .only_value(queries::snapshots(wanted))
        .await;
    if let Err(error) = &found {
        log::warn(&call.request_id, "validating without PostgreSQL", error);
    }
    cold.into_iter()
        .map(|(index, question, wanted)| {
            let known = match &found {
                Err(_) => Known::Unavailable,
                Ok(found) => Known::of(&wanted, found.get(question.key.as_str()).cloned()),
            };
            (index, question, known)
        })
        .collect()
}
