//! Where a license is in its life, and what may become of it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::calendar::{self, BillingCycle};

/// Stored status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "LicenseStatus"))]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Works.
    Active,
    /// Stopped, can be reactivated.
    Suspended,
    /// Ran out, can be renewed.
    Expired,
    /// Ended for good.
    Cancelled,
    /// Works until the trial ends.
    Trial,
}

impl Status {
    /// The value of the database's `license_status`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::Trial => "trial",
        }
    }
}

/// The parts of a license that its life depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Life {
    /// Where it is.
    pub status: Status,
    /// From when it is valid.
    pub starts_at: DateTime<Utc>,
    /// Until when.
    pub expires_at: Option<DateTime<Utc>>,
    /// End of the trial; set as long as it is one.
    pub trial_ends_at: Option<DateTime<Utc>>,
    /// How it is billed.
    pub billing_cycle: BillingCycle,
    /// The day of the month that `expires_at` is meant to be on; as the dates have it if nobody noted it.
    #[serde(default)]
    pub renewal_day: Option<u32>,
}

/// Why a license does not change as wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Cancelled is for good.
    Cancelled,
    /// Suspending what is suspended, reactivating what is not.
    WrongStatus,
    /// What never expires cannot be extended.
    Perpetual,
    /// A date that has to come after the start does not; the field.
    NotAfterStart(&'static str),
    /// Only a trial has an end of the trial.
    NoTrial,
    /// An end beyond the years that are stored; the field.
    TooFar(&'static str),
}

/// What a renewal leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Renewal {
    /// The new expiry.
    pub expires_at: DateTime<Utc>,
    /// The day of the month that it is meant to be on.
    pub renewal_day: u32,
    /// The new status.
    pub status: Status,
}

/// What a license with these dates is at `now`, as long as nobody stopped it.
#[must_use]
pub fn by_dates(
    expires_at: Option<DateTime<Utc>>,
    trial_ends_at: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Status {
    if expires_at.is_some_and(|at| at <= now) || trial_ends_at.is_some_and(|at| at <= now) {
        Status::Expired
    } else if trial_ends_at.is_some() {
        Status::Trial
    } else {
        Status::Active
    }
}

impl Life {
    /// Whether anything may change at all.
    ///
    /// # Errors
    /// [`Refusal::Cancelled`].
    pub fn alive(&self) -> Result<(), Refusal> {
        match self.status {
            Status::Cancelled => Err(Refusal::Cancelled),
            _ => Ok(()),
        }
    }

    /// Stops it.
    ///
    /// # Errors
    /// Cancelled, or stopped already.
    pub fn suspend(&self) -> Result<Status, Refusal> {
        self.alive()?;
        match self.status {
            Status::Suspended => Err(Refusal::WrongStatus),
            _ => Ok(Status::Suspended),
        }
    }

    /// Lets it go on: it becomes what it would be without the suspension.
    ///
    /// # Errors
    /// Cancelled, or not stopped.
    pub fn reactivate(&self, now: DateTime<Utc>) -> Result<Status, Refusal> {
        self.alive()?;
        match self.status {
            Status::Suspended => Ok(by_dates(self.expires_at, self.trial_ends_at, now)),
            _ => Err(Refusal::WrongStatus),
        }
    }

    /// Extends it by calendar months, one billing cycle if none are given, from its expiry if that is still
    /// ahead, else from `now`. The day of the month stays, through shorter months too. A trial becomes a full license; a suspended one stays suspended.
    ///
    /// # Errors
    /// Cancelled, without an end, or beyond the years that are stored.
    pub fn renew(&self, months: Option<u32>, now: DateTime<Utc>) -> Result<Renewal, Refusal> {
        self.alive()?;
        let months = months.or(self.billing_cycle.months());
        // A trial that has no expiry of its own ends with the trial.
        let expiry = self.expires_at.or(self.trial_ends_at);
        let (Some(months), Some(expiry)) = (months, expiry) else {
            return Err(Refusal::Perpetual);
        };
        let noted = self.renewal_day.filter(|_| self.expires_at.is_some());
        let day = noted.unwrap_or_else(|| calendar::renewal_day(self.starts_at, expiry));
        let (expires_at, renewal_day) =
            calendar::renewed_expiry(day, expiry, now, months).ok_or(Refusal::TooFar("months"))?;
        Ok(Renewal {
            expires_at,
            renewal_day,
            status: match self.status {
                Status::Suspended => Status::Suspended,
                _ => Status::Active,
            },
        })
    }

    /// The expiry of a trial that becomes a full license: the end of the running cycle, counted from the
    /// start. `None` for what is no trial, has an expiry of its own, or never expires.
    ///
    /// # Errors
    /// Beyond the years that are stored.
    pub fn full_term(
        &self,
        cycle: BillingCycle,
        now: DateTime<Utc>,
    ) -> Result<Option<DateTime<Utc>>, Refusal> {
        let months = cycle.months();
        let Some(months) =
            months.filter(|_| self.trial_ends_at.is_some() && self.expires_at.is_none())
        else {
            return Ok(None);
        };
        match calendar::running_period(self.starts_at, months, now) {
            Some((_, last)) => Ok(Some(last)),
            None => Err(Refusal::TooFar("trial_ends_at")),
        }
    }

    /// Gives it other dates, which can bring an expired license back, and end a trial. Returns its status
    /// after that.
    ///
    /// # Errors
    /// Cancelled, dates before the start, or an end of the trial for what is none.
    pub fn redate(
        &self,
        expires_at: Option<DateTime<Utc>>,
        trial_ends_at: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Result<Status, Refusal> {
        self.alive()?;
        for (field, at) in [("expires_at", expires_at), ("trial_ends_at", trial_ends_at)] {
            if at.is_some_and(|at| at <= self.starts_at) {
                return Err(Refusal::NotAfterStart(field));
            }
        }
        if trial_ends_at.is_some() && self.trial_ends_at.is_none() {
            return Err(Refusal::NoTrial);
        }
        if (expires_at, trial_ends_at) == (self.expires_at, self.trial_ends_at) {
            return Ok(self.status);
        }
        let dated = by_dates(expires_at, trial_ends_at, now);
        Ok(match self.status {
            // That it ran out is found out by the clock, not by a change.
            Status::Trial | Status::Expired if dated != Status::Expired => dated,
            kept => kept,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeZone;
    use proptest::prelude::*;

    fn day(day: i64) -> DateTime<Utc> {
        Utc.timestamp_opt(1_700_000_000 + day * 86_400, 0).unwrap()
    }

    fn life(status: Status) -> Life {
        Life {
            status,
            starts_at: day(0),
            expires_at: Some(day(30)),
            trial_ends_at: None,
            billing_cycle: BillingCycle::Monthly,
            renewal_day: None,
        }
    }

    #[test]
    fn cancelled_is_for_good() {
        let life = life(Status::Cancelled);
        assert_eq!(life.suspend(), Err(Refusal::Cancelled));
        assert_eq!(life.reactivate(day(1)), Err(Refusal::Cancelled));
        assert_eq!(life.renew(Some(1), day(1)), Err(Refusal::Cancelled));
        assert_eq!(life.redate(None, None, day(1)), Err(Refusal::Cancelled));
    }

    #[test]
    fn a_suspension_is_lifted_to_what_the_dates_say() {
        assert_eq!(
            life(Status::Suspended).reactivate(day(1)),
            Ok(Status::Active)
        );
        assert_eq!(
            life(Status::Suspended).reactivate(day(31)),
            Ok(Status::Expired)
        );
        assert_eq!(
            life(Status::Active).reactivate(day(1)),
            Err(Refusal::WrongStatus)
        );
        assert_eq!(life(Status::Suspended).suspend(), Err(Refusal::WrongStatus));
    }

    #[test]
    fn a_renewal_goes_on_from_the_expiry() {
        let renewed = life(Status::Expired).renew(None, day(10)).unwrap();
        assert_eq!(renewed.status, Status::Active);
        assert!(renewed.expires_at > day(57) && renewed.expires_at < day(62));
        let perpetual = Life {
            expires_at: None,
            ..life(Status::Active)
        };
        assert_eq!(perpetual.renew(Some(1), day(1)), Err(Refusal::Perpetual));
        assert_eq!(
            life(Status::Active).renew(Some(u32::MAX), day(1)),
            Err(Refusal::TooFar("months"))
        );
    }

    #[test]
    fn dates_stay_in_order() {
        let trial = Life {
            trial_ends_at: Some(day(5)),
            ..life(Status::Trial)
        };
        assert_eq!(
            trial.redate(Some(day(0)), None, day(1)),
            Err(Refusal::NotAfterStart("expires_at"))
        );
        assert_eq!(
            trial.redate(Some(day(30)), None, day(1)),
            Ok(Status::Active)
        );
        assert_eq!(
            trial.redate(trial.expires_at, Some(day(9)), day(1)),
            Ok(Status::Trial)
        );
        assert_eq!(
            life(Status::Active).redate(None, Some(day(9)), day(1)),
            Err(Refusal::NoTrial)
        );
        assert_eq!(
            life(Status::Expired).redate(Some(day(90)), None, day(40)),
            Ok(Status::Active)
        );
        assert_eq!(
            life(Status::Suspended).redate(Some(day(90)), None, day(40)),
            Ok(Status::Suspended)
        );
    }

    #[test]
    fn a_trial_that_becomes_a_full_license_has_an_end() {
        let trial = Life {
            trial_ends_at: Some(day(5)),
            expires_at: None,
            ..life(Status::Trial)
        };
        let end = trial.full_term(BillingCycle::Monthly, day(3)).unwrap();
        assert!(end.is_some_and(|end| end > day(27) && end < day(32)));
        assert_eq!(trial.full_term(BillingCycle::Lifetime, day(3)), Ok(None));
        assert_eq!(
            life(Status::Active).full_term(BillingCycle::Monthly, day(3)),
            Ok(None)
        );
        let last = Life {
            starts_at: calendar::parse_timestamp("9999-06-01T00:00:00Z").unwrap(),
            ..trial
        };
        assert_eq!(
            last.full_term(BillingCycle::Yearly, day(3)),
            Err(Refusal::TooFar("trial_ends_at"))
        );
        let dated = Life {
            expires_at: Some(day(90)),
            ..trial
        };
        assert_eq!(dated.full_term(BillingCycle::Monthly, day(3)), Ok(None));
    }

    proptest! {
        /// Whatever is asked, a suspended license stays suspended until it is reactivated.
        #[test]
        fn nothing_but_a_reactivation_lifts_a_suspension(expires in 1..400_i64, months in 1..60_u32, now in 0..400_i64) {
            let life = life(Status::Suspended);
            prop_assert_eq!(life.redate(Some(day(expires)), None, day(now)), Ok(Status::Suspended));
            prop_assert_eq!(life.renew(Some(months), day(now)).map(|renewal| renewal.status), Ok(Status::Suspended));
        }

        /// A renewal never takes away what was paid for, and always ends in the future.
        #[test]
        fn nothing_paid_is_lost(months in 1..60_u32, now in 0..400_i64) {
            let renewal = life(Status::Active).renew(Some(months), day(now)).unwrap();
            prop_assert!(renewal.expires_at > day(30) && renewal.expires_at > day(now));
        }
    }
}
