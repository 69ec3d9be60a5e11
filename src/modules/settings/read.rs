//! `GET /api/settings` and `GET /api/settings/{key}`

use super::model::{Setting, Table};
use super::queries;
use crate::config::Config;
use crate::db::Scope;
use crate::error::{Code, Error, Result};
use crate::http::params::Key as Name;
use crate::http::permit::{Access, Permit, SettingsRead};
use crate::http::reply::Data;
use celaest_domain::settings::Key;
use serde_json::{Value, json};

/// Every setting.
pub async fn list(permit: Permit<SettingsRead>) -> Result<Data<Vec<Setting>>> {
    let table = read(&permit).await?;
    Ok(Data::of(&shown(&table, permit.call.config)))
}

/// One setting.
pub async fn one(permit: Permit<SettingsRead>, Name(name): Name) -> Result<Data<Setting>> {
    let key = Key::parse(&name).ok_or_else(|| Error::new(Code::NotFound))?;
    let table = read(&permit).await?;
    Ok(Data::of(&Setting::new(
        key,
        &table,
        deployed(key, permit.call.config),
    )))
}

/// The settings are nobody's in particular, and row-level security hides from tenants even that a
/// sensitive one is set; the statement returns nothing sensitive.
async fn read(permit: &Access) -> Result<Table> {
    let actor = permit.principal.actor(&permit.call);
    permit
        .call
        .database
        .begin(Scope::System, actor)
        .only_value(queries::table())
        .await
}

/// Every setting as the API shows it.
pub fn shown(table: &Table, config: &Config) -> Vec<Setting> {
    Key::ALL
        .into_iter()
        .map(|key| Setting::new(key, table, deployed(key, config)))
        .collect()
}

/// What the deployment's variables say, where there is one for the setting.
fn deployed(key: Key, config: &Config) -> Value {
    match key {
        Key::ApiRateLimitPerMin => json!(config.rate_limit_per_min),
        Key::EmailFrom => json!(config.email_from),
        Key::EmailApiUrl => json!(config.email_api_url),
        _ => Value::Null,
    }
}
