//! `GET /api/invoices/{id}/pdf`

use super::model::{Document, PdfQuery, Words};
use super::queries::both;
use crate::error::{Code, Result};
use crate::http::params::{Id, Query};
use crate::http::permit::{InvoicesRead, Permit};
use crate::http::reply::Pdf;
use crate::language::Language;
use crate::run::Run;
use celaest_domain::billing::pdf;
use serde::Deserialize;
use uuid::Uuid;

/// An invoice as a file that goes along with an e-mail: its name and its bytes. None for what was never issued.
///
/// # Errors
/// When the database fails.
pub async fn attachment(
    run: &Run,
    id: Uuid,
    language: Language,
) -> Result<Option<(String, Vec<u8>)>> {
    let tx = run.begin();
    let query = both(&tx).id(id).read("v.document");
    let found: Option<Frozen> = tx.only_row(query).await?;
    let document = found.and_then(|found| found.document);
    let language = match language {
        Language::Es => pdf::Language::Es,
        Language::En => pdf::Language::En,
    };
    Ok(document.map(|document| {
        (
            format!("{}.pdf", document.number),
            pdf::render(&document, language),
        )
    }))
}

#[derive(Deserialize)]
struct Frozen {
    document: Option<Document>,
}

/// An invoice as a PDF: the same bytes whenever it is asked for in one language.
pub async fn pdf(
    permit: Permit<InvoicesRead>,
    Id(id): Id,
    Query(wanted): Query<PdfQuery>,
) -> Result<Pdf> {
    let tx = permit.begin();
    let query = both(&tx).id(id).read("v.document");
    let found: Frozen = tx.only_one(query, Code::InvoiceNotFound).await?;
    // What was never issued has nothing to print.
    let document = found.document.ok_or(Code::InvoiceNotFound)?;
    let language = match (wanted.lang, permit.call.language) {
        (Some(Words::Es), _) | (None, Language::Es) => pdf::Language::Es,
        (Some(Words::En), _) | (None, Language::En) => pdf::Language::En,
    };
    Ok(Pdf {
        file_name: format!("{}.pdf", document.number),
        bytes: pdf::render(&document, language),
    })
}
