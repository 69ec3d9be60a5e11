//! `GET /api/categories/{id}`

use super::model::Category;
use super::queries::{COLUMNS, all};
use crate::db::Raw;
use crate::error::{Code, Result};
use crate::http::params::{Browser, Id};
use crate::http::reply::{Data, Shared};

/// Reads one category that is shown.
pub async fn read(Browser(call): Browser, Id(id): Id) -> Result<Shared<Data<Category>>> {
    let query = all().id(id).only("c.is_active").read(COLUMNS);
    let tx = call.begin_open();
    let category: Raw<Category> = tx.only_one(query, Code::CategoryNotFound).await?;
    Ok(Shared(Data::raw(&category)))
}
