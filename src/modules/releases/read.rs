//! `GET /api/releases/{id}` and `GET /api/my/releases/{id}`

use super::model::{PublicRelease, Release};
use super::queries::{COLUMNS, PUBLIC, mine, public};
use crate::db::Raw;
use crate::error::{Code, Result};
use crate::http::params::{Browser, Id};
use crate::http::permit::{Permit, ProductsRead};
use crate::http::reply::{Data, Shared};

/// Reads one published release.
pub async fn read(Browser(call): Browser, Id(id): Id) -> Result<Shared<Data<PublicRelease>>> {
    let query = public().id(id).read(PUBLIC);
    let tx = call.begin_open();
    let release: Raw<PublicRelease> = tx.only_one(query, Code::ReleaseNotFound).await?;
    Ok(Shared(Data::raw(&release)))
}

/// Reads one release of an own product.
pub async fn own(permit: Permit<ProductsRead>, Id(id): Id) -> Result<Data<Release>> {
    let tx = permit.begin();
    let query = mine(&tx).id(id).read(COLUMNS);
    let release: Raw<Release> = tx.only_one(query, Code::ReleaseNotFound).await?;
    Ok(Data::raw(&release))
}
