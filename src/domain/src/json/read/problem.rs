//! What is wrong with a text, and where.

use serde::de::{Error, Expected, Unexpected};
use std::fmt::{self, Display};

/// Why a text could not be read as a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misread {
    /// Where: `list[1].field`; `.` for the whole.
    pub path: String,
    /// What is wrong there, with the line and the column.
    pub problem: String,
}

impl Display for Misread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.problem)
    }
}

impl std::error::Error for Misread {}

/// What is wrong, told once it is known where.
#[derive(Debug)]
pub struct Problem(pub(super) Box<Kind>);

#[derive(Debug)]
pub(super) enum Kind {
    /// The text is no JSON, or at least not this part of it.
    Syntax(&'static str),
    /// The value is not what was expected.
    Said(String),
}

impl Problem {
    pub(super) fn syntax() -> Self {
        Self::unless("expected value")
    }

    /// Of what the whole text shows, or else this.
    #[cold]
    pub(super) fn unless(otherwise: &'static str) -> Self {
        Self(Box::new(Kind::Syntax(otherwise)))
    }
}

impl Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Kind::Syntax(text) => f.write_str(text),
            Kind::Said(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for Problem {}

impl Error for Problem {
    #[cold]
    fn custom<T: Display>(message: T) -> Self {
        Self(Box::new(Kind::Said(message.to_string())))
    }

    #[cold]
    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        match found {
            Unexpected::Unit => {
                Self::custom(format_args!("invalid type: null, expected {expected}"))
            }
            found => Self::custom(format_args!("invalid type: {found}, expected {expected}")),
        }
    }
}
