//! Who came, and who did something.

use crate::modules::analytics::report::{Group, Measure, Report, Unit, measure};

/// People who came to be.
const NEW: Measure = measure("new_users", Unit::Count, "count(f.came)");
const TOTAL: Measure = measure(
    "users",
    Unit::Count,
    "coalesce((array_agg(f.members ORDER BY f.place DESC) FILTER (WHERE f.members IS NOT NULL))[1], 0)",
);
const ACTIVE_USERS: Measure = measure("active_users", Unit::Count, "count(DISTINCT f.person)");
const DAILY: Measure = measure(
    "dau",
    Unit::Count,
    "coalesce((array_agg(f.daily ORDER BY f.place DESC) FILTER (WHERE f.daily IS NOT NULL))[1], 0)",
);
const WEEKLY: Measure = measure(
    "wau",
    Unit::Count,
    "coalesce((array_agg(f.weekly ORDER BY f.place DESC) FILTER (WHERE f.weekly IS NOT NULL))[1], 0)",
);
const MONTHLY: Measure = measure(
    "mau",
    Unit::Count,
    "coalesce((array_agg(f.monthly ORDER BY f.place DESC) FILTER (WHERE f.monthly IS NOT NULL))[1], 0)",
);
const STICKINESS: Measure = measure(
    "stickiness",
    Unit::Ratio,
    "round((array_agg(f.daily ORDER BY f.place DESC) FILTER (WHERE f.daily IS NOT NULL))[1]::numeric
      / nullif((array_agg(f.monthly ORDER BY f.place DESC) FILTER (WHERE f.monthly IS NOT NULL))[1], 0), 6)",
)
.or("nobody_active");

/// The people of the organization itself who did something: whoever comes from elsewhere to help is nobody of it.
macro_rules! active_in {
    ($range:literal) => {
        concat!(
            "SELECT f.user_id FROM analytics_people($6::uuid, 'user', ",
            $range,
            ".from_at, ",
            $range,
            ".to_at) f
    JOIN users_profile u ON u.id = f.user_id AND u.organization_id = f.organization_id
    WHERE f.{mine} GROUP BY f.user_id HAVING sum(f.acts) > 0"
        )
    };
}

/// Who came when, by the bucket, and how many there were at the end of each: whoever was invited came when they accepted.
const CAME: &str = concat!(
    "came AS MATERIALIZED (
  SELECT u.id, u.role::text AS role, coalesce(u.activated_at, u.created_at) AS at, u.deleted_at FROM users_profile u
  WHERE u.{mine} AND (u.invited_at IS NULL OR u.activated_at IS NOT NULL)
), moves AS (
  SELECT e.which, greatest(width_bucket(m.at, e.cuts), 1)::bigint AS place, sum(m.n) AS n FROM edges e JOIN (
    SELECT at, 1 AS n FROM came UNION ALL SELECT deleted_at, -1 FROM came WHERE deleted_at IS NOT NULL) AS m
    ON m.at < least(e.to_at, now())
  GROUP BY 1, 2
), facts AS MATERIALIZED (
  SELECT e.which, width_bucket(c.at, e.cuts)::bigint AS place, c.id AS came, c.role, NULL::numeric AS members, NULL::uuid AS person
  FROM edges e JOIN came c ON c.at >= e.from_at AND c.at < e.to_at
  UNION ALL
  SELECT b.which, b.place, NULL, NULL, sum(coalesce(m.n, 0)) OVER (PARTITION BY b.which ORDER BY b.place), NULL
  FROM buckets b LEFT JOIN moves m ON m.which = b.which AND m.place = b.place
  UNION ALL
  SELECT b.which, b.place, NULL, NULL, NULL, a.user_id FROM buckets b CROSS JOIN LATERAL (
    ",
    active_in!("b"),
    ") AS a)"
);

/// Who was active on each day of the zone, and by that how many were within the last 1, 7 and 30 of them: each counts from
/// a day on which they were active until the window has passed, or until they are again.
const WINDOWS: &str = concat!(
    "calendar AS MATERIALIZED (
  SELECT d.day::date AS day, d.day AT TIME ZONE $4 AS from_at, (d.day + interval '1 day') AT TIME ZONE $4 AS to_at FROM (
    SELECT DISTINCT generate_series(date_trunc('day', e.from_at AT TIME ZONE $4) - interval '29 days',
      least(e.to_at, now()) AT TIME ZONE $4 - interval '1 second', interval '1 day') AS day FROM edges e) AS d
), acts AS MATERIALIZED (
  SELECT c.day, a.user_id FROM calendar c CROSS JOIN LATERAL (
    ",
    active_in!("c"),
    ") AS a
), running AS MATERIALIZED (
  SELECT w.days, m.day, sum(sum(m.n)) OVER (PARTITION BY w.days ORDER BY m.day) AS people
  FROM (SELECT user_id, day, lead(day) OVER (PARTITION BY user_id ORDER BY day) AS next FROM acts) AS a
  CROSS JOIN (VALUES (1), (7), (30)) AS w (days)
  CROSS JOIN LATERAL (VALUES (a.day, 1), (least(a.day + w.days, a.next), -1)) AS m (day, n)
  GROUP BY w.days, m.day
), ends AS (
  SELECT b.which, b.place, ((least(b.to_at, now()) - interval '1 second') AT TIME ZONE $4)::date AS day FROM buckets b WHERE b.from_at < now()
), facts AS MATERIALIZED (
  SELECT e.which, e.place, NULL::uuid AS person,
    coalesce((SELECT r.people FROM running r WHERE r.days = 1 AND r.day <= e.day ORDER BY r.day DESC LIMIT 1), 0) AS daily,
    coalesce((SELECT r.people FROM running r WHERE r.days = 7 AND r.day <= e.day ORDER BY r.day DESC LIMIT 1), 0) AS weekly,
    coalesce((SELECT r.people FROM running r WHERE r.days = 30 AND r.day <= e.day ORDER BY r.day DESC LIMIT 1), 0) AS monthly
  FROM ends e
  UNION ALL
  SELECT b.which, b.place, a.user_id, NULL, NULL, NULL FROM buckets b CROSS JOIN LATERAL (
    ",
    active_in!("b"),
    ") AS a)"
);

/// `GET /api/analytics/users`
pub const USERS: Report = Report {
    name: "users",
    path: "/api/analytics/users",
    is_own: false,
    kinds: "people",
    filters: &[],
    facts: CAME,
    currencies: None,
    measures: &[&NEW, &TOTAL, &ACTIVE_USERS],
    groups: &[Group::of(
        "role",
        "f.role",
        "facts f WHERE f.which = 0 AND f.came IS NOT NULL",
        &["new_users"],
    )
    .of_nobody()],
    split: None,
};

/// `GET /api/analytics/users/active`
pub const ACTIVE: Report = Report {
    name: "users_active",
    path: "/api/analytics/users/active",
    is_own: false,
    kinds: "people",
    filters: &[],
    facts: WINDOWS,
    currencies: None,
    measures: &[&DAILY, &WEEKLY, &MONTHLY, &STICKINESS, &ACTIVE_USERS],
    groups: &[],
    split: None,
};
