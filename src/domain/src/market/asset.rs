//! Whether what somebody owns may be downloaded, and if not, why.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::release;

/// What became of something owned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "AssetStatus"))]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It may be used.
    Active,
    /// Its time is over.
    Expired,
    /// Not for now.
    Suspended,
    /// Taken back.
    Revoked,
}

impl Status {
    /// The database's spelling.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Suspended => "suspended",
            Self::Revoked => "revoked",
        }
    }
}

/// The license that something owned goes with.
#[derive(Debug, Clone, Deserialize)]
pub struct License {
    /// `active`, `trial`, `suspended`, `expired` or `cancelled`.
    pub status: String,
    /// When it ends.
    pub expires_at: Option<DateTime<Utc>>,
    /// When its trial ends.
    pub trial_ends_at: Option<DateTime<Utc>>,
}

impl License {
    fn is_good(&self, now: DateTime<Utc>) -> bool {
        let ended = |end: Option<DateTime<Utc>>| end.is_some_and(|end| end <= now);
        match self.status.as_str() {
            "active" => !ended(self.expires_at),
            "trial" => !ended(self.expires_at) && !ended(self.trial_ends_at),
            _ => false,
        }
    }
}

/// What decides about a download.
#[derive(Debug, Clone, Deserialize)]
pub struct Facts {
    /// What became of it.
    pub status: Status,
    /// When it ends by itself.
    pub expires_at: Option<DateTime<Utc>>,
    /// The license that it goes with.
    pub license: Option<License>,
    /// Downloads that belong to it; none is no limit.
    pub download_limit: Option<u32>,
    /// Downloads so far.
    pub download_count: u32,
}

/// Why there is no download.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Its time is over.
    Expired,
    /// Not for now.
    Suspended,
    /// Taken back.
    Revoked,
    /// Its license is not good.
    License,
    /// It was downloaded as often as it may be.
    Limit,
    /// The release was taken back.
    Yanked,
    /// There is nothing to download.
    NoFile,
}

impl Facts {
    /// Whether it may be used at all.
    ///
    /// # Errors
    /// Why not.
    pub fn usable(&self, now: DateTime<Utc>) -> Result<(), Refusal> {
        match self.status {
            Status::Revoked => return Err(Refusal::Revoked),
            Status::Suspended => return Err(Refusal::Suspended),
            Status::Expired => return Err(Refusal::Expired),
            Status::Active => {}
        }
        if self.expires_at.is_some_and(|end| end <= now) {
            return Err(Refusal::Expired);
        }
        match &self.license {
            Some(license) if !license.is_good(now) => Err(Refusal::License),
            _ => Ok(()),
        }
    }

    /// Whether a release of it may be downloaded; `again` when a link to it is good still, which is the
    /// same download.
    ///
    /// # Errors
    /// Why not.
    pub fn downloadable(
        &self,
        release: release::Status,
        has_file: bool,
        again: bool,
        now: DateTime<Utc>,
    ) -> Result<(), Refusal> {
        self.usable(now)?;
        if release == release::Status::Yanked {
            return Err(Refusal::Yanked);
        }
        if !has_file {
            return Err(Refusal::NoFile);
        }
        match self.download_limit {
            Some(most) if !again && self.download_count >= most => Err(Refusal::Limit),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;

    fn facts() -> Facts {
        Facts {
            status: Status::Active,
            expires_at: None,
            license: None,
            download_limit: None,
            download_count: 0,
        }
    }

    fn license(status: &str, end: Option<DateTime<Utc>>) -> Option<License> {
        Some(License {
            status: status.into(),
            expires_at: end,
            trial_ends_at: None,
        })
    }

    #[test]
    fn every_refusal_has_its_reason() {
        let now = DateTime::<Utc>::UNIX_EPOCH + TimeDelta::days(20_000);
        let (past, later) = (now - TimeDelta::seconds(1), now + TimeDelta::seconds(1));
        let stable = release::Status::Stable;
        let with = |change: fn(&mut Facts)| {
            let mut facts = facts();
            change(&mut facts);
            facts.downloadable(stable, true, false, now)
        };
        assert_eq!(with(|_| ()), Ok(()));
        assert_eq!(with(|f| f.status = Status::Revoked), Err(Refusal::Revoked));
        assert_eq!(
            with(|f| f.status = Status::Suspended),
            Err(Refusal::Suspended)
        );
        assert_eq!(with(|f| f.status = Status::Expired), Err(Refusal::Expired));
        for (status, end, good) in [
            ("active", None, true),
            ("active", Some(later), true),
            ("active", Some(now), false),
            ("trial", Some(later), true),
            ("suspended", None, false),
            ("cancelled", None, false),
            ("expired", Some(past), false),
        ] {
            let mut facts = facts();
            facts.license = license(status, end);
            assert_eq!(facts.usable(now).is_ok(), good, "{status} {end:?}");
        }
        let mut ended = facts();
        ended.expires_at = Some(now);
        assert_eq!(ended.usable(now), Err(Refusal::Expired));
        ended.expires_at = Some(later);
        assert_eq!(ended.usable(now), Ok(()));
        let mut counted = facts();
        counted.download_limit = Some(2);
        counted.download_count = 2;
        assert_eq!(
            counted.downloadable(stable, true, false, now),
            Err(Refusal::Limit)
        );
        assert_eq!(counted.downloadable(stable, true, true, now), Ok(()));
        let yanked = release::Status::Yanked;
        assert_eq!(
            facts().downloadable(yanked, true, false, now),
            Err(Refusal::Yanked)
        );
        assert_eq!(
            facts().downloadable(stable, false, false, now),
            Err(Refusal::NoFile)
        );
    }
}
