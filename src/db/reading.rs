//! Answers on their way.

use crate::error::{Code, Error, Result};
use celaest_domain::json;
use futures_util::future::LocalBoxFuture;
use serde::de::DeserializeOwned;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

/// What PostgreSQL answers in a statement's single column.
pub type Text<'a> = LocalBoxFuture<'a, Result<Option<String>>>;

/// An answer on its way, to be read as a `T`. What does not depend on `T` is done behind one door, so that
/// a handler has nothing of it in its own code.
#[must_use]
pub struct Reading<'a, T> {
    text: Text<'a>,
    missing: Option<Code>,
    read_as: PhantomData<fn() -> T>,
}

impl<'a, T> Reading<'a, T> {
    /// Of a text that is one JSON value.
    pub(super) fn new(text: Text<'a>) -> Self {
        Self {
            text,
            missing: None,
            read_as: PhantomData,
        }
    }

    /// With nothing to read it is `missing`.
    pub(super) fn or(self, missing: Code) -> Self {
        let missing = Some(missing);
        Self { missing, ..self }
    }
}

impl<T: DeserializeOwned> Future for Reading<'_, T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T>> {
        let text = self.text.as_mut().poll(context);
        text.map(|text| read(text, self.missing))
    }
}

/// Not a part of whoever waits: what differs in nothing but the name of its `T` is there once.
#[inline(never)]
fn read<T: DeserializeOwned>(text: Result<Option<String>>, missing: Option<Code>) -> Result<T> {
    let text = text?;
    match (text, missing) {
        (None, Some(missing)) => Err(missing.into()),
        (text, _) => json::read(text.as_deref().unwrap_or("null")).map_err(Error::internal),
    }
}
