//! JSON: how it is read as a type, and how large it is once it is stored.

mod read;
mod stored;

pub use read::{Misread, Parsed, Reader, parse, parse_closely, read};
pub use stored::{fields_len, stored_len};
