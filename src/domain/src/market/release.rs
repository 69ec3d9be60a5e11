//! Releases: versions and their order (semver.org), what may follow what, and what a
//! program that looks for updates is told.

pub use semver::Version;
use serde::{Deserialize, Serialize};

/// The longest version, in bytes.
pub const MAX_VERSION: usize = 50;
/// The largest number in a version that is kept.
pub const MAX_NUMBER: u64 = 999_999_999;

/// Why a text is no version that is kept here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoVersion {
    /// It is longer than [`MAX_VERSION`].
    Long,
    /// A number of it is above [`MAX_NUMBER`].
    Large,
    /// It is no semantic version.
    Form,
}

/// A version, when it is one that is kept here.
///
/// # Errors
/// Why it is none.
pub fn read(text: &str) -> Result<Version, NoVersion> {
    if text.len() > MAX_VERSION {
        return Err(NoVersion::Long);
    }
    let (core, rest) = match text.find(['-', '+']) {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    let is_large = |number: &str| {
        number.bytes().all(|b| b.is_ascii_digit())
            && number
                .parse()
                .map_or(!number.is_empty(), |number: u64| number > MAX_NUMBER)
    };
    // What would be a version with smaller numbers, also where the parser's own end.
    let small: Vec<_> = core
        .split('.')
        .map(|number| if is_large(number) { "1" } else { number })
        .collect();
    let small = small.join(".");
    match Version::parse(&format!("{small}{rest}")) {
        Ok(version) if small == core => Ok(version),
        Ok(_) => Err(NoVersion::Large),
        Err(_) => Err(NoVersion::Form),
    }
}

/// [`read`] for who does not ask why not.
#[must_use]
pub fn parse(text: &str) -> Option<Version> {
    read(text).ok()
}

/// What becomes of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "ReleaseStatus"))]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Only its vendor sees it.
    Draft,
    /// For those who try things.
    Alpha,
    /// For those who try things that nearly work.
    Beta,
    /// For everybody.
    Stable,
    /// Good still, and not offered any more.
    Deprecated,
    /// Taken back: nobody gets it.
    Yanked,
}

/// Why a release does not become something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Not from what it is.
    Transition,
    /// A pre-release is for nobody who did not ask for one.
    PreRelease,
    /// There is nothing to download.
    NoFile,
}

impl Status {
    /// The database's spelling.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Alpha => "alpha",
            Self::Beta => "beta",
            Self::Stable => "stable",
            Self::Deprecated => "deprecated",
            Self::Yanked => "yanked",
        }
    }

    /// Whether it is as far along as `next`, or may go there: towards stable, out of use, back from
    /// there, and never back from having been taken back.
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        use Status::{Alpha, Beta, Deprecated, Draft, Stable, Yanked};
        matches!(
            (self, next),
            (Draft, Draft | Alpha | Beta | Stable)
                | (Alpha, Alpha | Beta | Stable | Deprecated | Yanked)
                | (Beta, Beta | Stable | Deprecated | Yanked)
                | (Stable | Deprecated, Stable | Deprecated | Yanked)
                | (Yanked, Yanked)
        )
    }

    /// Checks that a release of this version becomes `next`.
    ///
    /// # Errors
    /// Why not.
    pub fn become_of(self, next: Self, version: &Version, has_file: bool) -> Result<(), Refusal> {
        if !self.may_become(next) {
            return Err(Refusal::Transition);
        }
        if next == Self::Stable && !version.pre.is_empty() {
            return Err(Refusal::PreRelease);
        }
        match next {
            Self::Alpha | Self::Beta | Self::Stable if !has_file => Err(Refusal::NoFile),
            _ => Ok(()),
        }
    }
}

/// Which releases somebody wants to be offered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "ReleaseChannel"))]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// Stable ones.
    #[default]
    Stable,
    /// Those, and betas.
    Beta,
    /// All that are in use.
    Alpha,
}

impl Channel {
    /// What releases of the channel are.
    #[must_use]
    pub const fn offers(self) -> &'static [Status] {
        match self {
            Self::Stable => &[Status::Stable],
            Self::Beta => &[Status::Stable, Status::Beta],
            Self::Alpha => &[Status::Stable, Status::Beta, Status::Alpha],
        }
    }
}

/// What an update is to whoever has a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Update {
    /// The offered version is newer.
    pub available: bool,
    /// It has to be installed: something in between was critical, or what is there was taken back.
    pub required: bool,
    /// It can be installed over what is there, without another version in between.
    pub direct: bool,
}

/// Compares what is offered with what somebody has. `critical` says that a release after `current` is
/// critical, `yanked` that `current` itself was taken back. Builds do not order.
#[must_use]
pub fn update(
    current: &Version,
    offered: &Version,
    minimum: Option<&Version>,
    critical: bool,
    yanked: bool,
) -> Update {
    let available = offered.cmp_precedence(current).is_gt();
    let direct = minimum.is_none_or(|least| !current.cmp_precedence(least).is_lt());
    Update {
        available,
        required: available && (critical || yanked),
        direct: available && direct,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDERED: [&str; 12] = [
        "0.9.9",
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-alpha-x",
        "1.0.0-beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0-rc.1",
        "1.0.0",
        "1.0.1-0",
        "1.10.0",
    ];

    #[test]
    fn versions_are_ordered_as_semver_says() {
        let all: Vec<_> = ORDERED.iter().map(|text| parse(text).unwrap()).collect();
        assert!(
            all.windows(2)
                .all(|pair| pair[0].cmp_precedence(&pair[1]).is_lt())
        );
        let [one, other] = ["1.0.0+a", "1.0.0+b"].map(|text| parse(text).unwrap());
        assert!(one.cmp_precedence(&other).is_eq());
        for wrong in [
            "1",
            "1.2",
            "v1.2.3",
            "01.2.3",
            "1.2.3-01",
            "1.2.3-",
            "1.0.1000000000",
            "1.2.3 ",
            "",
        ] {
            assert!(parse(wrong).is_none(), "{wrong}");
        }
        let why = |text: &str| read(text).unwrap_err();
        assert_eq!(why(&format!("1.0.0-{}", "a".repeat(50))), NoVersion::Long);
        for large in [
            "1.0.1000000000",
            "99999999999999999999.0.0",
            "1.18446744073709551616.0-rc.1+7",
        ] {
            assert_eq!(why(large), NoVersion::Large, "{large}");
        }
        for wrong in [
            "1.0",
            "01.0.0",
            "1.0.99999999999999999999.1",
            "1.0.x",
            "1000000000",
        ] {
            assert_eq!(why(wrong), NoVersion::Form, "{wrong}");
        }
        assert!(read("1.0.999999999-99999999999999999999").is_ok());
    }

    #[test]
    fn releases_go_forward() {
        use Status::{Alpha, Beta, Deprecated, Draft, Stable, Yanked};
        let version = parse("1.0.0").unwrap();
        let may = |one: Status, next| one.become_of(next, &version, true).is_ok();
        assert!(
            may(Draft, Stable) && may(Alpha, Beta) && may(Beta, Stable) && may(Stable, Deprecated)
        );
        assert!(may(Deprecated, Stable) && may(Deprecated, Yanked) && may(Yanked, Yanked));
        for (one, next) in [
            (Draft, Yanked),
            (Draft, Deprecated),
            (Stable, Beta),
            (Stable, Draft),
            (Beta, Alpha),
            (Yanked, Stable),
            (Yanked, Draft),
            (Deprecated, Beta),
        ] {
            assert!(!may(one, next), "{one:?} {next:?}");
        }
        let early = parse("1.0.0-rc.1").unwrap();
        assert_eq!(
            Draft.become_of(Stable, &early, true),
            Err(Refusal::PreRelease)
        );
        assert_eq!(Draft.become_of(Beta, &early, true), Ok(()));
        assert_eq!(Draft.become_of(Beta, &early, false), Err(Refusal::NoFile));
    }

    #[test]
    fn what_an_updater_is_told() {
        let v = |text: &str| parse(text).unwrap();
        let told = |current, offered, least: Option<&str>, critical, yanked| {
            let least = least.map(v);
            update(&v(current), &v(offered), least.as_ref(), critical, yanked)
        };
        let (no, yes) = (false, true);
        let is = |available, required, direct| Update {
            available,
            required,
            direct,
        };
        assert_eq!(told("1.0.0", "1.0.0+7", None, yes, no), is(no, no, no));
        assert_eq!(told("2.0.0", "1.0.0", None, yes, yes), is(no, no, no));
        assert_eq!(told("1.0.0-rc.1", "1.0.0", None, no, no), is(yes, no, yes));
        assert_eq!(told("1.0.0", "1.1.0", None, yes, no), is(yes, yes, yes));
        assert_eq!(told("1.0.0", "1.1.0", None, no, yes), is(yes, yes, yes));
        assert_eq!(
            told("1.0.0", "3.0.0", Some("2.0.0"), no, no),
            is(yes, no, no)
        );
        assert_eq!(
            told("2.0.0", "3.0.0", Some("2.0.0"), no, no),
            is(yes, no, yes)
        );
    }
}
