//! Path and query parameters.

use crate::call::Call;
use crate::db::Page;
use crate::error::{Code, Error, Result};
use crate::http::endpoint::{Documented, Door, Input, Needs, Prepared};
use crate::http::permit::Access;
use crate::http::strict;
use garde::Validate;
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;
use std::rc::Rc;
use uuid::Uuid;

/// What the placeholders of the path stand for, as the URL has it.
#[derive(Debug, Clone, Default)]
pub struct Params(Vec<(String, String)>);

impl Params {
    /// The values of a match.
    pub fn of(found: &matchit::Params<'_, '_>) -> Self {
        let pairs = found.iter();
        Self(
            pairs
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        )
    }

    fn get(&self, name: &str) -> Option<&str> {
        let mut pairs = self.0.iter();
        pairs
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// A UUID. Only the hyphenated form, so that an id has one spelling in logs and caches.
    ///
    /// # Errors
    /// 400 for anything else.
    pub fn id(&self, name: &str) -> Result<Uuid> {
        self.get(name)
            .filter(|text| text.len() == 36)
            .and_then(|text| Uuid::try_parse(text).ok())
            .ok_or_else(|| Error::new(Code::InvalidId))
    }

    /// A name rather than an id.
    ///
    /// # Errors
    /// 404: nothing has a name that no column could hold.
    pub fn key(&self, name: &str) -> Result<String> {
        let decoded = self
            .get(name)
            .and_then(|text| percent_decode_str(text).decode_utf8().ok());
        decoded
            .filter(|key| key.chars().count() <= 100 && !key.contains('\0'))
            .map(|key| key.into_owned())
            .ok_or_else(|| Error::new(Code::NotFound))
    }
}

/// The `{id}` of the path.
#[derive(Debug, Clone, Copy)]
pub struct Id(pub Uuid);

impl Input for Id {
    fn take(from: &mut Prepared) -> Result<Self> {
        from.params.id("id").map(Self)
    }
}

/// The `{id}` of the path and the id of something inside it, `{inner_id}`.
#[derive(Debug, Clone, Copy)]
pub struct Ids(pub Uuid, pub Uuid);

impl Input for Ids {
    fn take(from: &mut Prepared) -> Result<Self> {
        Ok(Self(from.params.id("id")?, from.params.id("inner_id")?))
    }
}

/// The `{inner_id}` of a path whose `{id}` another input reads.
#[derive(Debug, Clone, Copy)]
pub struct Inner(pub Uuid);

impl Input for Inner {
    fn take(from: &mut Prepared) -> Result<Self> {
        from.params.id("inner_id").map(Self)
    }
}

/// The `{key}` of the path.
#[derive(Debug, Clone)]
pub struct Key(pub String);

impl Input for Key {
    fn take(from: &mut Prepared) -> Result<Self> {
        from.params.key("key").map(Self)
    }
}

/// The request itself, for routes that are open.
pub struct Caller(pub Rc<Call>);

impl Input for Caller {
    fn take(from: &mut Prepared) -> Result<Self> {
        Ok(Self(from.call.clone()))
    }
}

/// The request itself, for routes that show everybody what is asked of PostgreSQL: each address is counted.
pub struct Browser(pub Rc<Call>);

impl Input for Browser {
    const NEEDS: Needs = Needs {
        door: Door::Browsed,
        ..Needs::NOTHING
    };

    fn take(from: &mut Prepared) -> Result<Self> {
        Ok(Self(from.call.clone()))
    }
}

/// The request itself, for routes that are open, and the caller if it showed who it is.
pub struct Known(pub Rc<Call>, pub Option<Access>);

impl Input for Known {
    const NEEDS: Needs = Needs {
        door: Door::Known,
        ..Needs::NOTHING
    };

    fn take(from: &mut Prepared) -> Result<Self> {
        Ok(Self(from.call.clone(), from.access.take()))
    }
}

/// [`Known`], for routes that count each address.
pub struct Counted(pub Rc<Call>, pub Option<Access>);

impl Input for Counted {
    const NEEDS: Needs = Needs {
        door: Door::Counted,
        ..Needs::NOTHING
    };

    fn take(from: &mut Prepared) -> Result<Self> {
        Ok(Self(from.call.clone(), from.access.take()))
    }
}

/// The query string as `T`. Unknown parameters are refused by `T` itself (`deny_unknown_fields`).
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned + Validate<Context = ()> + Documented> Input for Query<T> {
    const NEEDS: Needs = Needs {
        query: true,
        ..Needs::NOTHING
    };

    fn take(from: &mut Prepared) -> Result<Self> {
        strict::query(from.call.head.query()).map(Self)
    }
}

/// Filters of a list, and which page of it.
#[derive(Debug)]
pub struct Paged<F>(pub F, pub Page);

impl<F: DeserializeOwned + Validate<Context = ()> + Documented> Input for Paged<F> {
    const NEEDS: Needs = Needs {
        query: true,
        ..Needs::NOTHING
    };

    fn take(from: &mut Prepared) -> Result<Self> {
        let (page, rest) = strict::page(from.call.head.query(), strict::LISTED)?;
        Ok(Self(strict::query(Some(&rest))?, page))
    }
}

/// Filters of a search, and which page: the best comes first, so it has no other order, and no cursor.
#[derive(Debug)]
pub struct Ranked<F>(pub F, pub Page);

impl<F: DeserializeOwned + Validate<Context = ()> + Documented> Input for Ranked<F> {
    const NEEDS: Needs = Paged::<F>::NEEDS;

    fn take(from: &mut Prepared) -> Result<Self> {
        let (page, rest) = strict::page(from.call.head.query(), strict::RANKED)?;
        Ok(Self(strict::query(Some(&rest))?, page))
    }
}

/// How many rows come before this page.
pub fn offset(page: u32, per_page: u32) -> u64 {
    u64::from(page.saturating_sub(1)) * u64::from(per_page)
}
