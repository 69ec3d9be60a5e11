//! Module 1, foundation: is the worker up, and is what it depends on?

use crate::db::facts::Actor;
use crate::db::{Scope, sql};
use crate::error::{Code, Error, Result};
use crate::http::params::Caller;
use crate::http::reply::Data;
use crate::identity::limits;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

/// What `/health` says.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Health {
    /// Always `ok`: a worker that is not cannot answer.
    pub status: &'static str,
    /// The worker's version.
    pub version: &'static str,
    /// `development`, `staging` or `production`.
    pub environment: String,
}

/// What `/health/live` says.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Live {
    /// Always `ok`.
    pub status: &'static str,
}

/// What `/health/ready` says when everything answers; otherwise 503 with the same parts as details.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Ready {
    /// Always `ok`.
    pub status: &'static str,
    /// PostgreSQL through Hyperdrive: `ok` or `failed`.
    pub postgres: &'static str,
    /// A Durable Object: `ok` or `failed`.
    pub objects: &'static str,
    /// Messages that no consumer could deal with and that an operator has to look at; counted up to 1,000.
    pub dead_letters: u32,
}

/// `GET /health`
pub async fn overview(Caller(call): Caller) -> Data<Health> {
    Data::of(&Health {
        status: "ok",
        version: env!("CARGO_PKG_VERSION"),
        environment: call.config.app_env.clone(),
    })
}

/// `GET /health/live`
pub async fn live() -> Data<Live> {
    Data::of(&Live { status: "ok" })
}

/// `GET /health/ready`
///
/// # Errors
/// 503 naming the part that does not answer; 429 for an address that asks too often.
pub async fn ready(Caller(call): Caller) -> Result<Data<Ready>> {
    limits::count_readiness(&call)?;
    let database: Result<u32> =
        call.database
            .begin(Scope::System, Actor::default())
            .only_value(sql("SELECT to_json(count(*))::text FROM (
               SELECT FROM dead_letters WHERE status = 'waiting' LIMIT 1000) AS d"))
            .await;
    let object = limits::ping(&call).await;
    let word = |ok: bool| if ok { "ok" } else { "failed" };
    let (postgres, objects) = (word(database.is_ok()), word(object.is_ok()));
    match (database, object) {
        (Ok(dead_letters), Ok(())) => Ok(Data::of(&Ready {
            status: "ok",
            postgres,
            objects,
            dead_letters,
        })),
        (database, object) => {
            let cause = database
                .err()
                .or(object.err())
                .and_then(|error| error.cause);
            Err(Error {
                cause,
                ..Error::new(Code::Unavailable)
            }
            .with_details(json!({ "postgres": postgres, "objects": objects })))
        }
    }
}
