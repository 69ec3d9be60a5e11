//! What travels between the worker and the object of a caller.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::window::Decision;

/// One request, for its caller's object.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Ask<'a> {
    /// The sign-in that a token belongs to; none for an API key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Uuid>,
    /// Requests a minute for a caller without a limit of its own.
    pub limit: u32,
    /// Age in seconds at which what is known is read again.
    pub max_age_s: u32,
    /// The answer shall have the profile too.
    #[serde(default)]
    pub profile: bool,
    /// The answer to an earlier [`Answer::Need`].
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    pub supply: Option<Supply<'a>>,
}

/// What the worker found in PostgreSQL.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Supply<'a> {
    /// The token of the request for it.
    pub token: u64,
    /// A [`Known`].
    #[serde(borrow)]
    pub data: &'a RawValue,
}

/// A caller as PostgreSQL shows it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Known {
    /// For the worker: person, organization, role, scopes. The object does not look into it.
    pub who: Box<RawValue>,
    /// What `GET /api/auth/me` shows. The object does not look into it.
    #[serde(default)]
    pub profile: Option<Box<RawValue>>,
    /// The API key, when it is one.
    #[serde(default)]
    pub api_key_id: Option<Uuid>,
    /// Requests a minute, when the caller has a limit of its own.
    #[serde(default)]
    pub limit: Option<u32>,
    /// When the caller's key ends, in Unix milliseconds.
    #[serde(default)]
    pub expires_ms: Option<i64>,
    /// The sign-in that was asked about.
    #[serde(default, skip_serializing)]
    pub session: Option<Seen>,
}

/// What PostgreSQL says of a sign-in.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Seen {
    /// It was ended.
    pub ended: bool,
    /// It was noted within the last minute.
    pub lately: bool,
}

/// The object's answer to an [`Ask`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Who it is.
    Known {
        /// What the worker supplied.
        who: Box<RawValue>,
        /// If it was asked for.
        profile: Option<Box<RawValue>>,
        /// The caller's limit, with this request counted.
        decision: Decision,
        /// It is time to write down that the sign-in is in use.
        note: bool,
    },
    /// Read the caller and ask again with this token.
    Need {
        /// Ties what is read to this request: changed by every `forget`.
        token: u64,
    },
    /// Too many requests.
    Limited(Decision),
    /// The sign-in was ended.
    Ended,
    /// The key is past its end.
    Expired,
}
