//! JSON that PostgreSQL made, passed on as it is.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;
use std::marker::PhantomData;

/// JSON that is known to be a `T` because the statement that made it says so. It is passed on as it
/// is; the tests compare real answers with the documented schema of `T`.
#[derive(Debug, Clone)]
pub struct Raw<T>(Box<RawValue>, PhantomData<fn() -> T>);

impl<T> Raw<T> {
    /// The JSON text.
    pub fn text(&self) -> &str {
        self.0.get()
    }

    /// The same JSON, known by the statement that made it to be a `U`.
    pub(super) fn into_made<U>(self) -> Raw<U> {
        Raw(self.0, PhantomData)
    }

    /// The same JSON as a tree.
    pub fn tree(&self) -> Value {
        serde_json::from_str(self.0.get()).unwrap_or_default()
    }
}

impl<'de, T> Deserialize<'de> for Raw<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Box::<RawValue>::deserialize(deserializer).map(|raw| Self(raw, PhantomData))
    }
}

impl<T> Serialize for Raw<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}
