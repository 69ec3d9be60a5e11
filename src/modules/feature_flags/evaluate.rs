//! `GET /api/feature-flags/evaluate` and `GET /api/feature-flags/{key}/evaluate`
//!
//! The answer says what is on and what decided; whom else a flag is meant for stays here.

use super::model::Evaluation;
use super::queries::RULES;
use crate::db::sql;
use crate::error::{Code, Error, Result};
use crate::http::params::{Key, Query};
use crate::http::permit::{Access, FlagsEvaluate, Permit};
use crate::http::reply::Data;
use celaest_domain::access::Role;
use celaest_domain::flags::{self, Context, Flag};
use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;
use uuid::Uuid;

/// For whom. Everybody asks for themselves; a super administrator may ask for others.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(rename = "FlagSubject")]
pub struct Subject {
    /// Only for super_admin: this user.
    pub user_id: Option<Uuid>,
    /// Only for super_admin: this organization. Default the user's own.
    pub organization_id: Option<Uuid>,
}

/// What one statement finds.
#[derive(Deserialize)]
struct Found {
    /// The organization that is asked for, or the user's.
    organization_id: Option<Uuid>,
    flags: Vec<Flag>,
}

/// Every flag's value for the caller.
pub async fn all(
    permit: Permit<FlagsEvaluate>,
    Query(subject): Query<Subject>,
) -> Result<Data<BTreeMap<String, Evaluation>>> {
    let values = evaluate(&permit, &subject, None).await?;
    Ok(Data::of(&values.into_iter().collect()))
}

/// One flag's value for the caller.
pub async fn one(
    permit: Permit<FlagsEvaluate>,
    Key(key): Key,
    Query(subject): Query<Subject>,
) -> Result<Data<Evaluation>> {
    let mut found = evaluate(&permit, &subject, Some(&key)).await?;
    let (_, value) = found.pop().ok_or_else(|| Error::new(Code::NotFound))?;
    Ok(Data::of(&value))
}

async fn evaluate(
    permit: &Access,
    subject: &Subject,
    key: Option<&str>,
) -> Result<Vec<(String, Evaluation)>> {
    let caller = &permit.principal;
    let asks_for_others = subject.user_id.is_some() || subject.organization_id.is_some();
    if asks_for_others && caller.role != Role::SuperAdmin {
        return Err(Code::Forbidden.into());
    }
    let user_id = match asks_for_others {
        true => subject.user_id,
        false => Some(caller.user_id),
    };
    let tx = permit.begin();
    let tenant = tx.scope().organization();
    let found: Found = tx
        .only_value(
            sql(format!(
                "WITH subject AS (
                   SELECT $1::uuid AS user_id, coalesce($4::uuid, (SELECT u.organization_id FROM users_profile u
                     WHERE u.id = $1::uuid AND ($3::uuid IS NULL OR u.organization_id = $3::uuid))) AS organization_id)
                 SELECT json_build_object(
                   'organization_id', s.organization_id,
                   'flags', (SELECT coalesce(json_agg(f), '[]') FROM (
                     SELECT {RULES} FROM feature_flags f WHERE $2 IS NULL OR f.flag_key = $2) f))::text
                 FROM subject s"
            ))
            .bind(user_id)
            .bind(key)
            .bind(tenant)
            .bind(subject.organization_id),
        )
        .await?;
    let context = Context {
        environment: &permit.call.config.app_env,
        user_id,
        organization_id: found.organization_id,
    };
    let values = found.flags.into_iter().map(|flag| {
        let value = flags::evaluate(&flag, &context);
        (flag.flag_key, value)
    });
    Ok(values.collect())
}
