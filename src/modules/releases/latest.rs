//! `GET /api/releases/latest/{id}`

use super::model::{Latest, PublicRelease, is_version};
use super::queries::{PUBLIC, latest, offered, public};
use crate::db::Tx;
use crate::error::{Code, Error, Result};
use crate::http::params::{Browser, Id, Query};
use crate::http::reply::{Data, Shared};
use celaest_domain::market::release::{self, Channel};
use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;
use uuid::Uuid;

/// What is asked.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(rename = "LatestQuery")]
pub struct Asked {
    /// Which releases are wanted. Default `stable`.
    #[serde(default)]
    pub channel: Channel,
    /// The version that is there.
    #[garde(custom(is_version))]
    pub current: Option<String>,
}

/// Says which release of a product is the latest, and what it is to whoever has a version already.
pub async fn read(
    Browser(call): Browser,
    Id(product): Id,
    Query(asked): Query<Asked>,
) -> Result<Shared<Data<Latest>>> {
    let mut tx = call.begin_open();
    let rows = offered(product, asked.channel);
    let release: PublicRelease = tx.one(latest(rows.read(PUBLIC)), Code::NoRelease).await?;
    let mut told = Latest {
        release,
        channel: asked.channel,
        current: asked.current,
        is_newer: None,
        is_required: None,
        is_yanked: None,
        next: None,
    };
    compare(tx, product, &mut told).await?;
    Ok(Shared(Data::of(&told)))
}

/// Whether something that was published matters to whoever has the current version.
async fn compare(mut tx: Tx, product: Uuid, told: &mut Latest) -> Result<()> {
    let Some(current) = told.current.as_deref() else {
        return Ok(());
    };
    let parsed = |text: &str| {
        release::parse(text).ok_or_else(|| Error::internal("a version that is kept is none"))
    };
    let beyond = "r.version_order > version_order({})";
    let up_to = "r.version_order <= version_order({})";
    let critical: u32 = tx
        .value(
            offered(product, told.channel)
                .when(beyond, Some(current))
                .when(up_to, Some(&told.release.version))
                .only("r.is_critical")
                .count(),
        )
        .await?;
    let yanked: u32 = tx
        .value(
            public()
                .when("r.product_id = {}::uuid", Some(product))
                .when("r.version_order = version_order({})", Some(current))
                .only("r.status = 'yanked'")
                .count(),
        )
        .await?;
    let minimum = told
        .release
        .min_version
        .as_deref()
        .map(parsed)
        .transpose()?;
    let update = release::update(
        &parsed(current)?,
        &parsed(&told.release.version)?,
        minimum.as_ref(),
        critical > 0,
        yanked > 0,
    );
    if update.available && !update.direct {
        let step = offered(product, told.channel)
            .when(beyond, Some(current))
            .when(
                "coalesce(version_order(r.min_version) <= version_order({}), true)",
                Some(current),
            )
            .read(PUBLIC);
        told.next = tx.row(latest(step)).await?;
    }
    told.is_newer = Some(update.available);
    told.is_required = Some(update.required);
    told.is_yanked = Some(yanked > 0);
    Ok(())
}
