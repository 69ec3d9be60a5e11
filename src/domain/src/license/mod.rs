//! What a license is worth: the snapshot a verdict is made from, the verdict
//! itself and the JSON that carries it to the caller.

mod answer;
pub mod life;
mod snapshot;

pub use answer::{Answer, Collision, Severity, WINDOW_SECONDS, refusal, rfc3339};
pub use life::{Life, Status};
pub use snapshot::{AddressSource, License, MOST_IPS, Plan, Product, Settings, Snapshot, Terms};

use serde::{Deserialize, Serialize};

use crate::address::Address;

/// The language of the sentences people read; codes never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lang {
    /// Spanish, the default.
    #[default]
    Es,
    /// English.
    En,
}

impl Lang {
    /// Its tag (BCP 47).
    #[must_use]
    pub const fn tag(self) -> &'static str {
        match self {
            Self::Es => "es",
            Self::En => "en",
        }
    }

    /// The language of a tag.
    #[must_use]
    pub fn of_tag(tag: &str) -> Option<Self> {
        [Self::Es, Self::En]
            .into_iter()
            .find(|one| one.tag() == tag)
    }
}

/// The verdict of a validation. The order is the precedence: of everything
/// wrong with a license, the first of these is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "schema",
    schemars(rename = "VerdictCode", rename_all = "SCREAMING_SNAKE_CASE")
)]
pub enum Code {
    /// Wrong shape or checksum.
    InvalidKey,
    /// No such license.
    NotFound,
    /// Cancelled for good.
    Cancelled,
    /// Suspended, by hand or after too many collisions.
    Suspended,
    /// Its time has not come.
    NotStarted,
    /// Its time is over.
    Expired,
    /// Its trial is over.
    TrialExpired,
    /// Its product is not on offer.
    ProductInactive,
    /// The address is outside the license's networks.
    IpNotAllowed,
    /// Every slot is taken by another address.
    IpLimitReached,
    /// Good.
    Valid,
}

impl Code {
    /// Every code, in order of precedence.
    pub const ALL: [Self; 11] = [
        Self::InvalidKey,
        Self::NotFound,
        Self::Cancelled,
        Self::Suspended,
        Self::NotStarted,
        Self::Expired,
        Self::TrialExpired,
        Self::ProductInactive,
        Self::IpNotAllowed,
        Self::IpLimitReached,
        Self::Valid,
    ];

    /// The stable text of the code.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidKey => "INVALID_KEY",
            Self::NotFound => "NOT_FOUND",
            Self::Cancelled => "CANCELLED",
            Self::Suspended => "SUSPENDED",
            Self::NotStarted => "NOT_STARTED",
            Self::Expired => "EXPIRED",
            Self::TrialExpired => "TRIAL_EXPIRED",
            Self::ProductInactive => "PRODUCT_INACTIVE",
            Self::IpNotAllowed => "IP_NOT_ALLOWED",
            Self::IpLimitReached => "IP_LIMIT_REACHED",
            Self::Valid => "VALID",
        }
    }

    /// Why a validation was refused, for people; `None` when it was not.
    #[must_use]
    pub const fn reason(self, lang: Lang) -> Option<&'static str> {
        let (es, en) = match self {
            Self::InvalidKey => (
                "La clave de licencia no es válida",
                "The license key is not valid",
            ),
            Self::NotFound => ("La licencia no existe", "The license does not exist"),
            Self::Cancelled => (
                "La licencia ha sido cancelada",
                "The license has been cancelled",
            ),
            Self::Suspended => ("La licencia está suspendida", "The license is suspended"),
            Self::NotStarted => (
                "La licencia todavía no ha entrado en vigor",
                "The license has not started yet",
            ),
            Self::Expired => ("La licencia ha expirado", "The license has expired"),
            Self::TrialExpired => (
                "El período de prueba ha terminado",
                "The trial period has ended",
            ),
            Self::ProductInactive => (
                "El producto de la licencia no está activo",
                "The product of the license is not active",
            ),
            Self::IpNotAllowed => (
                "La dirección IP no está permitida para esta licencia",
                "The IP address is not allowed for this license",
            ),
            Self::IpLimitReached => (
                "La licencia ha alcanzado su límite de direcciones IP",
                "The license has reached its limit of IP addresses",
            ),
            Self::Valid => return None,
        };
        Some(match lang {
            Lang::Es => es,
            Lang::En => en,
        })
    }
}

/// What the object knows about the address beside the terms of the license.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The address holds a slot already.
    pub bound: bool,
    /// A slot is free for it.
    pub free: bool,
}

/// The verdict on a license that exists. `suspended` is the object's own
/// suspension, which Postgres may not know yet; `now_ms` is Unix time; `origin`
/// is where the call comes from.
#[must_use]
pub fn verdict(
    terms: &Terms,
    suspended: bool,
    now_ms: i64,
    origin: &Address,
    place: Place,
) -> Code {
    if let Some(code) = standing(terms, suspended, now_ms) {
        code
    } else if !terms.allows(origin) {
        Code::IpNotAllowed
    } else if place.bound || place.free {
        Code::Valid
    } else {
        Code::IpLimitReached
    }
}

/// What is wrong with a license wherever it is used; nothing for one that is
/// in force. Parameters as for [`verdict`].
#[must_use]
pub fn standing(terms: &Terms, suspended: bool, now_ms: i64) -> Option<Code> {
    Some(if terms.status == Status::Cancelled {
        Code::Cancelled
    } else if suspended || terms.status == Status::Suspended {
        Code::Suspended
    } else if terms.starts_at.is_some_and(|starts| now_ms < starts) {
        Code::NotStarted
    } else if terms.status == Status::Expired
        || terms.expires_at.is_some_and(|expires| now_ms >= expires)
    {
        Code::Expired
    } else if terms.status == Status::Trial
        && terms.trial_ends_at.is_some_and(|ends| now_ms >= ends)
    {
        Code::TrialExpired
    } else if !terms.product_active {
        Code::ProductInactive
    } else {
        return None;
    })
}

#[cfg(test)]
mod tests;
