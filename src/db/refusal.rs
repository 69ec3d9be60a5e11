//! What a refusal of the database means.

use crate::error::Error;
use crate::platform::postgres::Failure;

/// The client error that the violated constraint or the SQLSTATE stands for, or the general one.
pub fn named(failure: Failure, constraints: &[(&'static str, Error)]) -> Error {
    if let Failure::Refused {
        sqlstate,
        constraint,
        ..
    } = &failure
        && let Some((_, error)) = constraints
            .iter()
            .find(|(known, _)| Some(*known) == constraint.as_deref() || *known == sqlstate.as_str())
    {
        return error.clone();
    }
    failure.into()
}

/// What a refusal of the database means to the caller.
impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Unavailable(cause) => Self::unavailable(cause),
            Failure::Refused {
                sqlstate,
                constraint,
                message,
            } => match sqlstate.as_str() {
                // Serialization failure and deadlock: the same request can succeed at once.
                // And what waited too long for others.
                "40001" | "40P01" | "55P03" | "57014" => Self {
                    retry_after: Some(1),
                    ..Self::unavailable(message)
                },
                _ => Self::internal(format!(
                    "{sqlstate} {} {message}",
                    constraint.unwrap_or_default()
                )),
            },
        }
    }
}
