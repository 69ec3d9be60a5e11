//! What the rules refuse, as the caller learns it.

use super::{Code, Error};
use celaest_domain::access::Permission;
use celaest_domain::license::life;
use celaest_domain::market::category::Misplaced;
use celaest_domain::market::{asset, release};
use celaest_domain::membership::Refusal;
use serde_json::json;

impl From<Misplaced> for Error {
    fn from(misplaced: Misplaced) -> Self {
        let problem = match misplaced {
            Misplaced::Cycle => "would be inside itself",
            Misplaced::TooDeep => "is too deep in the tree",
            Misplaced::NoParent => "does not exist",
        };
        Self::field("parent_id", problem)
    }
}

impl From<release::Refusal> for Error {
    fn from(refusal: release::Refusal) -> Self {
        match refusal {
            release::Refusal::Transition => Code::ReleaseStatusConflict.into(),
            release::Refusal::NoFile => Code::ReleaseWithoutFile.into(),
            release::Refusal::PreRelease => {
                Self::field("status", "cannot be stable for a pre-release version")
            }
        }
    }
}

impl From<asset::Refusal> for Error {
    fn from(refusal: asset::Refusal) -> Self {
        Self::new(match refusal {
            asset::Refusal::Expired => Code::AssetExpired,
            asset::Refusal::Suspended => Code::AssetSuspended,
            asset::Refusal::Revoked => Code::AssetRevoked,
            asset::Refusal::License => Code::AssetLicenseInactive,
            asset::Refusal::Limit => Code::DownloadLimitReached,
            asset::Refusal::Yanked => Code::ReleaseYanked,
            asset::Refusal::NoFile => Code::ReleaseWithoutFile,
        })
    }
}

impl From<life::Refusal> for Error {
    fn from(refusal: life::Refusal) -> Self {
        match refusal {
            life::Refusal::Cancelled => Code::LicenseCancelled.into(),
            life::Refusal::WrongStatus => Code::LicenseStatusConflict.into(),
            life::Refusal::Perpetual => Code::LicensePerpetual.into(),
            life::Refusal::NotAfterStart(field) => Self::field(field, "must be after starts_at"),
            life::Refusal::NoTrial => Self::field("trial_ends_at", "can only be set for a trial"),
            life::Refusal::TooFar(field) => Self::field(field, "leads too far away"),
        }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::OwnAccount => Code::OwnAccount.into(),
            Refusal::LastAdmin => Code::LastAdmin.into(),
            Refusal::KeyEnded => Code::ApiKeyEnded.into(),
            Refusal::BeyondKey => Code::BeyondApiKey.into(),
            Refusal::TooOften(most) => {
                Self::field("rate_limit_rpm", &format!("must be at most {most}"))
            }
            Refusal::NotHeld(missing) => {
                let missing: Vec<_> = missing.iter().map(Permission::as_str).collect();
                Self::new(Code::NotHeld).with_details(json!({ "missing": missing }))
            }
        }
    }
}
