//! `GET /api/ai/prompts/{id}`

use super::model::Prompt;
use super::queries::{COLUMNS, usable};
use crate::db::Raw;
use crate::error::{Code, Result};
use crate::http::params::Id;
use crate::http::permit::{AiPromptsRead, Permit};
use crate::http::reply::Data;

/// One version of a prompt.
pub async fn read(permit: Permit<AiPromptsRead>, Id(id): Id) -> Result<Data<Prompt>> {
    let tx = permit.begin();
    let query = usable(&tx).id(id).read(COLUMNS);
    let prompt: Raw<Prompt> = tx.only_one(query, Code::PromptNotFound).await?;
    Ok(Data::raw(&prompt))
}
