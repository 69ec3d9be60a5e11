//! Invoices as PDF: the standard fonts of every reader, in the encoding that has Spanish and the euro sign. The
//! same document always makes the same bytes.

mod layout;
mod text;

pub use layout::render;

/// The language of the words on the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// Spanish.
    Es,
    /// English.
    En,
}
