//! Which period is asked about, and into how many points it is cut.
//!
//! Where a day begins is only known where the zones are; here a date stands for its midnight in UTC. What is
//! bounded here is so to within a day, which is enough for bounds.

use crate::calendar;
use chrono::{DateTime, NaiveDate, SecondsFormat, TimeDelta, Timelike, Utc};

/// The most points that an answer has.
pub const MOST_POINTS: i64 = 1_000;
/// The longest period, in years.
pub const MOST_YEARS: u32 = 10;
/// The days of a period of which only one end is said.
const USUAL_DAYS: i64 = 30;
/// Facts are summed up by quarters of an hour: every zone is whole quarters away from UTC.
const QUARTER_SECONDS: i64 = 900;

/// Names that are no zones of the IANA database, or that PostgreSQL takes for an offset all year round, which the zones
/// of these names are not.
const NO_ZONES: [&str; 5] = ["Factory", "CET", "EET", "MET", "WET"];

/// Whether a zone may have this name: those of the IANA database begin with a capital letter, and what lies beside it in
/// its folder (`localtime`, `posixrules`, `right/…`) does not. Which there are, and how they are written, PostgreSQL knows.
#[must_use]
pub fn may_be_zone(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_uppercase()) && !NO_ZONES.contains(&name)
}

/// How long each point stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Granularity {
    /// An hour.
    Hour,
    /// A day of the zone: 23 or 25 hours where its clocks are changed.
    Day,
    /// Monday to Sunday.
    Week,
    /// A calendar month.
    Month,
}

impl Granularity {
    /// All of them, shortest first.
    pub const ALL: [Self; 4] = [Self::Hour, Self::Day, Self::Week, Self::Month];

    /// As people write it, and PostgreSQL.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    /// Reads what [`Granularity::as_str`] writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == text)
    }

    /// How long one is, in seconds; of months, the shortest.
    const fn seconds(self) -> i64 {
        match self {
            Self::Hour => 3_600,
            Self::Day => 86_400,
            Self::Week => 7 * 86_400,
            Self::Month => 28 * 86_400,
        }
    }

    /// What suits a period of so many seconds.
    fn suited(seconds: i64) -> Self {
        match seconds / 86_400 {
            ..=2 => Self::Hour,
            3..=92 => Self::Day,
            93..=730 => Self::Week,
            _ => Self::Month,
        }
    }
}

/// One end of a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    /// Where a day begins, in whatever zone is asked about.
    Date(NaiveDate),
    /// The same moment everywhere.
    Moment(DateTime<Utc>),
}

impl Edge {
    /// Reads a date or an RFC 3339 time, years 1970 to 9999.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() == 10 {
            let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
            return calendar::is_supported(date.and_hms_opt(0, 0, 0)?.and_utc())
                .then_some(Self::Date(date));
        }
        calendar::parse_timestamp(text).map(Self::Moment)
    }

    /// As [`Edge::parse`] reads it.
    #[must_use]
    pub fn text(self) -> String {
        match self {
            Self::Date(date) => date.format("%Y-%m-%d").to_string(),
            Self::Moment(at) => at.to_rfc3339_opts(SecondsFormat::Secs, true),
        }
    }

    /// Moved to a quarter of an hour: the first edge back, the last one on.
    fn on_a_quarter(self, onward: bool) -> Self {
        let Self::Moment(at) = self else { return self };
        let over = at.timestamp().rem_euclid(QUARTER_SECONDS);
        let whole = over == 0 && at.nanosecond() == 0;
        let start = at.timestamp() - over;
        let onward = onward && !whole;
        let next = onward.then(|| DateTime::from_timestamp(start + QUARTER_SECONDS, 0));
        // Nothing comes after the last quarter of the year 9999.
        let next = next.flatten().filter(|at| calendar::is_supported(*at));
        let moved = next.or_else(|| DateTime::from_timestamp(start, 0));
        moved.map_or(self, Self::Moment)
    }

    /// About when it is.
    fn about(self) -> DateTime<Utc> {
        match self {
            Self::Date(date) => date.and_time(chrono::NaiveTime::MIN).and_utc(),
            Self::Moment(at) => at,
        }
    }
}

/// A period that can be answered. An edge that is not said is where the zone says: the end of today, and
/// thirty days before the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// The first moment of it.
    pub from: Option<Edge>,
    /// The first moment after it.
    pub to: Option<Edge>,
    /// How it is cut.
    pub granularity: Granularity,
}

/// What is wrong with a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    /// It ends before it begins.
    Backward,
    /// It is longer than [`MOST_YEARS`].
    TooLong,
    /// It has so many points, more than [`MOST_POINTS`].
    TooFine(i64),
}

impl Period {
    /// The period between two edges.
    ///
    /// # Errors
    /// See [`Wrong`].
    pub fn between(
        from: Option<Edge>,
        to: Option<Edge>,
        granularity: Option<Granularity>,
        now: DateTime<Utc>,
    ) -> Result<Self, Wrong> {
        let from = from.map(|edge| edge.on_a_quarter(false));
        let to = to.map(|edge| edge.on_a_quarter(true));
        let last = to.map_or(now + TimeDelta::days(1), Edge::about);
        let first = from.map_or(last - TimeDelta::days(USUAL_DAYS), Edge::about);
        // A date and a moment can be a day further from each other than they seem.
        let same_kind = matches!(
            (from, to),
            (Some(Edge::Date(_)), Some(Edge::Date(_)))
                | (Some(Edge::Moment(_)), Some(Edge::Moment(_)))
        );
        let tolerance = TimeDelta::days(i64::from(!same_kind));
        if first >= last + tolerance {
            return Err(Wrong::Backward);
        }
        let longest = calendar::add_months(first, MOST_YEARS * 12);
        if longest.is_some_and(|longest| last > longest + tolerance) {
            return Err(Wrong::TooLong);
        }
        let seconds = (last - first).num_seconds().max(0);
        let granularity = granularity.unwrap_or_else(|| Granularity::suited(seconds));
        let length = granularity.seconds();
        let points = (seconds + length - 1) / length;
        if points > MOST_POINTS {
            return Err(Wrong::TooFine(points));
        }
        Ok(Self {
            from,
            to,
            granularity,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn edge(text: &str) -> Edge {
        Edge::parse(text).unwrap()
    }

    fn between(from: &str, to: &str, by: Granularity) -> Result<Period, Wrong> {
        let now = edge("2026-07-01").about();
        Period::between(Some(edge(from)), Some(edge(to)), Some(by), now)
    }

    #[test]
    fn the_year_9999_ends_with_its_last_quarter() {
        let Ok(period) = between("9999-12-01", "9999-12-31T23:59:59Z", Granularity::Day) else {
            panic!("no period");
        };
        assert_eq!(
            period.to.map(Edge::text),
            Some("9999-12-31T23:45:00Z".into())
        );
    }

    #[test]
    fn what_is_no_period_is_said() {
        use Granularity::{Day, Hour, Month};
        assert_eq!(
            between("2026-03-02", "2026-03-01", Day),
            Err(Wrong::Backward)
        );
        assert_eq!(
            between("2026-03-01", "2026-03-01", Day),
            Err(Wrong::Backward)
        );
        assert_eq!(
            between("2016-01-01", "2026-01-01", Hour),
            Err(Wrong::TooFine(87_672))
        );
        assert_eq!(
            between("2016-01-01", "2026-01-02", Month),
            Err(Wrong::TooLong)
        );
        assert!(between("2016-01-01", "2026-01-01", Month).is_ok());
        assert!(between("2026-01-01", "2026-02-11", Hour).is_ok());
        assert_eq!(
            between("2026-01-01", "2026-02-12", Hour),
            Err(Wrong::TooFine(1_008))
        );
        // It may be yesterday there.
        assert!(between("2026-03-02", "2026-03-01T20:00:00Z", Hour).is_ok());
    }

    #[test]
    fn what_is_not_said_is_thirty_days() {
        let now = edge("2026-07-01T11:07:00Z").about();
        let usual = Period::between(None, None, None, now).unwrap();
        assert_eq!(
            (usual.from, usual.to, usual.granularity),
            (None, None, Granularity::Day)
        );
        let since = Period::between(Some(edge("2020-01-01")), None, None, now).unwrap();
        assert_eq!(since.granularity, Granularity::Month);
        assert_eq!(
            Period::between(Some(edge("2026-07-09")), None, None, now),
            Err(Wrong::Backward)
        );
    }

    #[test]
    fn moments_are_moved_apart_to_quarters() {
        let found = between(
            "2026-03-01T10:07:31.5Z",
            "2026-03-01T12:01:00+01:00",
            Granularity::Hour,
        )
        .unwrap();
        assert_eq!(found.from, Some(edge("2026-03-01T10:00:00Z")));
        assert_eq!(found.to, Some(edge("2026-03-01T11:15:00Z")));
        for text in ["2026-3-1", "2026-02-30", "yesterday", "1969-12-31", ""] {
            assert_eq!(Edge::parse(text), None, "{text}");
        }
    }

    #[test]
    fn zones_are_those_of_places() {
        for name in ["UTC", "Europe/Madrid", "Etc/GMT+5", "EST5EDT", "GB-Eire"] {
            assert!(may_be_zone(name), "{name}");
        }
        for name in [
            "",
            "europe/madrid",
            "localtime",
            "posixrules",
            "posix/UTC",
            "right/UTC",
            "Factory",
            "CET",
            "+05:30",
        ] {
            assert!(!may_be_zone(name), "{name}");
        }
    }

    fn an_edge() -> impl Strategy<Value = Edge> {
        (0_i64..200_000, 0_i64..86_400, any::<bool>()).prop_map(|(days, seconds, whole)| {
            let at = DateTime::from_timestamp(days % 20_000 * 86_400 + seconds, 0).unwrap();
            match whole {
                true => Edge::Date(at.date_naive()),
                false => Edge::Moment(at),
            }
        })
    }

    proptest! {
        #[test]
        fn a_period_is_bounded_and_holds_what_was_asked(
            from in an_edge(), to in an_edge(), by in proptest::option::of(0_usize..4)) {
            let by = by.map(|index| Granularity::ALL[index]);
            let now = edge("2026-07-01").about();
            match Period::between(Some(from), Some(to), by, now) {
                Ok(period) => {
                    let (first, last) = (period.from.unwrap(), period.to.unwrap());
                    prop_assert!(first.about() <= from.about() && last.about() >= to.about());
                    prop_assert!(from.about() - first.about() < TimeDelta::seconds(900));
                    prop_assert!(last.about() - to.about() < TimeDelta::seconds(900));
                    let seconds = (last.about() - first.about()).num_seconds();
                    prop_assert!(seconds <= period.granularity.seconds() * MOST_POINTS);
                    prop_assert!(by.is_none_or(|by| by == period.granularity));
                    // Asked again, the answer is the same.
                    prop_assert_eq!(Period::between(period.from, period.to, Some(period.granularity), now), Ok(period));
                    prop_assert_eq!(Edge::parse(&first.text()), Some(first));
                }
                Err(Wrong::Backward) => prop_assert!(from.about() >= to.about() - TimeDelta::seconds(900)),
                Err(Wrong::TooLong) => prop_assert!((to.about() - from.about()).num_days() >= 3_650),
                Err(Wrong::TooFine(points)) => prop_assert!(points > MOST_POINTS),
            }
        }
    }
}
