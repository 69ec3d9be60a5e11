//! `GET /api/ai/tasks/{id}` and `GET /api/ai/tasks/{id}/result`

use super::model::{Status, Task, TaskResult};
use super::queries::{COLUMNS, RESULT, mine};
use crate::db::Raw;
use crate::error::{Code, Error, Result};
use crate::http::params::Id;
use crate::http::permit::{AiRead, Permit};
use crate::http::reply::Data;
use celaest_domain::json;
use serde::Deserialize;
use serde_json::json;

/// One task.
pub async fn read(permit: Permit<AiRead>, Id(id): Id) -> Result<Data<Task>> {
    let tx = permit.begin();
    let query = mine(&tx).id(id).read(COLUMNS);
    let task: Raw<Task> = tx.only_one(query, Code::TaskNotFound).await?;
    Ok(Data::raw(&task))
}

#[derive(Deserialize)]
struct Where {
    status: Status,
}

/// What came of a task that has ended.
pub async fn result(permit: Permit<AiRead>, Id(id): Id) -> Result<Data<TaskResult>> {
    let tx = permit.begin();
    let query = mine(&tx).id(id).read(RESULT);
    let result: Raw<TaskResult> = tx.only_one(query, Code::TaskNotFound).await?;
    let Where { status } = json::read(result.text()).map_err(Error::internal)?;
    match status.is_final() {
        true => Ok(Data::raw(&result)),
        false => {
            let details = json!({ "status": status });
            Err(Error::new(Code::TaskNotFinished).with_details(details))
        }
    }
}
