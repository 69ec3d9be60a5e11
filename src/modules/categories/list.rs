//! `GET /api/categories` and `GET /api/categories/all`

use super::model::CategoryInTree;
use super::queries;
use crate::db::Raw;
use crate::error::Result;
use crate::http::params::Browser;
use crate::http::permit::{CategoriesWrite, Permit};
use crate::http::reply::{Data, Shared};

/// The tree of categories, each before what is in it.
pub async fn list(Browser(call): Browser) -> Result<Shared<Data<Vec<CategoryInTree>>>> {
    let tree: Raw<Vec<CategoryInTree>> = call.begin_open().only_value(queries::tree(false)).await?;
    Ok(Shared(Data::raw(&tree)))
}

/// The same with those that are not shown.
pub async fn all(permit: Permit<CategoriesWrite>) -> Result<Data<Vec<CategoryInTree>>> {
    let tree: Raw<Vec<CategoryInTree>> = permit.begin().only_value(queries::tree(true)).await?;
    Ok(Data::raw(&tree))
}
