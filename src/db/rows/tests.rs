use super::*;

fn page(cursor: Option<&str>) -> Page {
    Page {
        page: 2,
        per_page: 20,
        order: None,
        cursor: cursor.map(str::to_owned),
    }
}

fn text(query: &Query) -> String {
    let words: Vec<_> = query.text().split_whitespace().collect();
    words.join(" ")
}

#[test]
fn conditions_number_themselves_and_vanish() {
    let rows = Rows::of("licenses", "l")
        .when("l.organization_id = {}::uuid", Some("o"))
        .when("l.status = {}::license_status", None::<&str>)
        .when("(l.key ILIKE {} OR l.notes ILIKE {})", Some("x"));
    let query = rows.read("l.id");
    assert_eq!(
        text(&query),
        "SELECT l.id FROM licenses l WHERE l.organization_id = $1::uuid AND (l.key ILIKE $2 OR l.notes ILIKE $2)"
    );
    assert_eq!(query.params(), [Some("o".into()), Some("x".into())]);
}

#[test]
fn what_is_set_comes_after_the_conditions() {
    let set = Set::new()
        .fixed("suspended_at = now()")
        .to("reason = {}", None::<&str>)
        .when("notes = {}", None::<&str>);
    let query = Rows::of("licenses", "l")
        .when("l.id = {}::uuid", Some("i"))
        .set(set, "l.id");
    assert_eq!(
        text(&query),
        "UPDATE licenses l SET suspended_at = now(), reason = $2 WHERE l.id = $1::uuid RETURNING l.id"
    );
    let made = Set::new().to("name = {}", "x").fixed("made_at = now()");
    assert_eq!(
        text(&made.insert("licenses", "l", "l.id")),
        "INSERT INTO licenses AS l (name, made_at) VALUES ($1, now()) RETURNING l.id"
    );
    let nothing = Rows::of("licenses", "l").set(Set::new(), "l.id");
    assert_eq!(text(&nothing), "SELECT l.id FROM licenses l WHERE true");
}

#[test]
fn what_goes_along_is_no_change() {
    let set = Set::new()
        .to("metadata = coalesce({}::jsonb, '{}')", None::<&str>)
        .fixed("is_on = true")
        .along("updated_by = {}::uuid", "u");
    assert_eq!(
        text(&Rows::of("flags", "f").set(set, "f.id")),
        "UPDATE flags f SET metadata = coalesce($1::jsonb, '{ }'), is_on = true, updated_by = $2::uuid \
         WHERE true AND (f.metadata IS DISTINCT FROM coalesce($1::jsonb, '{ }') OR f.is_on IS DISTINCT FROM true) \
         RETURNING f.id"
    );
    let nothing = Set::new().along("updated_by = {}::uuid", "u");
    assert_eq!(
        text(&Rows::of("flags", "f").set(nothing, "f.id")),
        "SELECT f.id FROM flags f WHERE true"
    );
}

#[test]
fn a_page_is_chosen_before_it_is_joined() {
    let query = Rows::of("licenses", "l")
        .when("l.organization_id = {}::uuid", Some("o"))
        .page("l.id", "l.created_at {}, l.id {}", &page(None))
        .unwrap();
    assert_eq!(
        text(&query),
        "WITH chosen AS ( SELECT l.* FROM licenses l WHERE l.organization_id = $1::uuid \
         ORDER BY l.created_at DESC, l.id DESC LIMIT 20 OFFSET 20 ), \
         shown AS ( SELECT l.id FROM chosen l ORDER BY l.created_at DESC, l.id DESC ), \
         sized AS ( SELECT line, row_number() OVER () AS place, \
         sum(octet_length(line::text)) OVER (ROWS UNBOUNDED PRECEDING) AS bytes \
         FROM (SELECT row_to_json(shown) AS line FROM shown) AS made ), \
         kept AS ( SELECT line, place FROM sized WHERE place = 1 OR bytes <= 1000000 ) \
         SELECT json_build_object('total', (SELECT count(*) FROM (SELECT 1 FROM licenses l \
         WHERE l.organization_id = $1::uuid ) counted), 'capped', false, 'partly', false, \
         'rows', (SELECT coalesce(json_agg(line ORDER BY place), '[]') FROM kept), \
         'cut', (SELECT count(*) FROM kept) < (SELECT count(*) FROM sized), 'next', NULL)::text"
    );
}

#[test]
fn a_search_looks_at_a_bounded_stretch() {
    const KEY: Key = &[("id", "uuid")];
    let rows = || {
        Rows::of("logs", "a")
            .when("a.user_id = {}::uuid", Some("u"))
            .searched(Some(Search {
                condition: "(a.x ILIKE {text} OR a.y ILIKE {text})".into(),
                values: vec![("{text}", "%q%".into())],
            }))
    };
    let query = rows()
        .growing(KEY)
        .page("a.id", "a.id {}", &page(None))
        .unwrap();
    let listed = text(&query);
    assert!(listed.contains(
        "looked AS MATERIALIZED ( SELECT a.* FROM logs a WHERE a.user_id = $2::uuid ORDER BY a.id DESC LIMIT 10000 ), \
         chosen AS ( SELECT a.* FROM looked a WHERE (a.x ILIKE $1 OR a.y ILIKE $1) ORDER BY a.id DESC LIMIT 20 OFFSET 20 )"
    ), "{listed}");
    assert!(listed.contains("OFFSET 9999 LIMIT 1"), "{listed}");
    assert_eq!(
        text(&rows().stretch("a.id", 50)),
        "looked AS MATERIALIZED ( SELECT a.* FROM logs a WHERE a.user_id = $2::uuid ORDER BY a.id LIMIT 10000 ), \
         chosen AS (SELECT a.* FROM looked a WHERE (a.x ILIKE $1 OR a.y ILIKE $1))"
    );
}

#[test]
fn what_grows_is_followed_by_its_key() {
    const KEY: Key = &[("created_at", "timestamptz"), ("id", "uuid")];
    let cursor = Cursor::encode(&[
        "2026-01-01T00:00:00+00:00",
        "40000000-0000-4000-8000-000000000001",
    ]);
    let parent = Rows::of("licenses", "l").when("l.id = {}::uuid", Some("p"));
    let rows = || {
        Rows::of("license_validations", "v")
            .within(parent.clone(), "v.license_id", Code::LicenseNotFound)
            .growing(KEY)
    };
    let first = Page {
        page: 1,
        ..page(Some(&cursor))
    };
    let query = rows()
        .page("v.id", "v.created_at {}, v.id {}", &first)
        .unwrap();
    let text = text(&query);
    assert!(
        text.contains("(v.created_at, v.id) < ($2::timestamptz, $3::uuid)"),
        "{text}"
    );
    assert!(
        text.contains("v.license_id = (SELECT id FROM parent LIMIT 1)"),
        "{text}"
    );
    assert!(text.contains("LIMIT 10001"), "{text}");
    for wrong in [
        "x",
        &Cursor::encode(&["a", "b"]),
        &Cursor::encode(&["2026-01-01T00:00:00Z"]),
    ] {
        assert!(
            rows()
                .page(
                    "v.id",
                    "v.id {}",
                    &Page {
                        page: 1,
                        ..page(Some(wrong))
                    }
                )
                .is_err()
        );
    }
    assert!(
        rows()
            .page(
                "v.id",
                "v.id {}",
                &Page {
                    page: 502,
                    ..page(None)
                }
            )
            .is_err()
    );
}

#[test]
fn a_cursor_has_only_what_postgresql_reads() {
    let id = "40000000-0000-4000-8000-000000000001";
    let read = |kind: &'static str, text: &str| {
        let key: Key = Box::leak(Box::new([("k", kind), ("id", "uuid")]));
        let cursor = Cursor::encode(&[text, &id.to_uppercase()]);
        let mut values = Vec::new();
        let page = page(Some(&cursor));
        let put = |value: Option<String>| {
            values.extend(value);
            String::new()
        };
        page.beyond(key, "v", put).is_ok().then(|| {
            assert_eq!(values[1], id);
            values[0].clone()
        })
    };
    for (kind, text, value) in [
        (
            "timestamptz",
            "2026-05-05T05:05:05.123456+16:00",
            Some("2026-05-04T13:05:05.123456+00:00"),
        ),
        ("timestamptz", "infinity", None),
        ("numeric", "1e-99999", Some("0")),
        ("numeric", "0e2147483647", Some("0")),
        ("numeric", "12345678901.99", Some("12345678901.99")),
        ("numeric", "1e400", None),
        ("integer", "3000000000", None),
        ("smallint", "32768", None),
        ("smallint", "5", Some("5")),
        ("bigint", "3000000000", Some("3000000000")),
        ("text", "a\0", None),
    ] {
        assert_eq!(read(kind, text).as_deref(), value, "{kind} {text}");
    }
}

#[test]
fn what_does_not_grow_has_no_cursor() {
    let list = |cursor| Rows::of("plans", "p").page("p.id", "p.name {}", &page(cursor));
    assert!(list(None).is_ok());
    for cursor in ["x", &Cursor::encode(&["a"])] {
        let refused = list(Some(cursor)).unwrap_err();
        assert_eq!(
            refused.details.unwrap()["problem"],
            "not a cursor of this list"
        );
    }
}
