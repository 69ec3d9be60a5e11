//! The reader beside `serde_json`'s own.

use super::{Misread, parse, parse_closely, read};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Debug;
use uuid::Uuid;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Plain,
    Value(u8),
    Pair(u8, String),
    Fields { a: bool },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Inner {
    id: Uuid,
    #[serde(default)]
    number: Option<i32>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
enum Tagged {
    One { n: u32 },
    Two(Inner),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Outer<'a> {
    #[serde(borrow)]
    text: Cow<'a, str>,
    kinds: Vec<Kind>,
    inner: Option<Inner>,
    by_id: BTreeMap<Uuid, bool>,
    float: f64,
    tagged: Tagged,
    tuple: (u8, String),
    unit: (),
    any: Value,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

const ID: Uuid = Uuid::from_u128(7);

fn outer() -> Value {
    json!({
        "text": "a\"b\\\u{e9}\n", "kinds": ["plain", {"value": 3}, {"pair": [1, "x"]}, {"fields": {"a": true}}],
        "inner": {"id": ID, "number": -5}, "by_id": {"00000000-0000-0000-0000-000000000007": true},
        "float": 1.5e3, "tagged": {"is": "two", "id": ID}, "tuple": [1, "b"], "unit": null,
        "any": [1, -1, 1.5, null, {"x": "y"}], "more": {"deep": [[]]},
    })
}

fn alike<'a, T: Deserialize<'a> + PartialEq + Debug>(text: &'a str) {
    let expected = serde_json::from_str::<T>(text).map_err(|error| error.to_string());
    let found = parse::<T>(text).map_err(|misread| misread.problem);
    match (&expected, &found) {
        (Ok(_), _) | (_, Ok(_)) => assert_eq!(found, expected, "{text}"),
        // Where it is told, one or two characters do not matter.
        (Err(expected), Err(found)) => {
            let said = |problem: &str| problem.split(" at line ").next().map(str::to_owned);
            assert_eq!(said(found), said(expected), "{text}");
        }
    }
}

/// [`alike`], whatever is said of what is wrong.
fn equal<'a, T: Deserialize<'a> + PartialEq + Debug>(text: &'a str) {
    let expected = serde_json::from_str::<T>(text).ok();
    assert_eq!(parse::<T>(text).ok(), expected, "{text}");
}

#[test]
fn everything_serde_can_say() {
    for text in [
        outer().to_string(),
        serde_json::to_string_pretty(&outer()).unwrap(),
    ] {
        alike::<Outer>(&text);
        alike::<Value>(&text);
    }
}

#[test]
fn what_is_wrong_is_said_as_before() {
    for text in [
        r#"{"id":"x"}"#,
        r#"{"id":null}"#,
        r#"{"id":[]}"#,
        r#"{"number":1}"#,
        r#"{"id":"00000000-0000-0000-0000-000000000007","number":1.5}"#,
        r#"{"id":"00000000-0000-0000-0000-000000000007","number":"1"}"#,
        r#"{"id":"00000000-0000-0000-0000-000000000007","number":3000000000}"#,
        r#"{"id":"00000000-0000-0000-0000-000000000007","other":1}"#,
        r#"{"number":1,"number":2}"#,
        r#"{"number":tru}"#,
        r#"{"number" 1}"#,
        r#"{"number":01}"#,
        r#"{"number":-}"#,
        r#"{"number":1e999}"#,
        "{\"id\":\"\u{1}\"}",
        r#"{"id":"\ud800"}"#,
        r#"{"id":"\x"}"#,
        r#"{"id":"#,
        r#"{"id"#,
        r#"{"#,
        r#"{"id":"00000000-0000-0000-0000-000000000007"} x"#,
        r#"{"id":"00000000-0000-0000-0000-000000000007"}}"#,
        "",
        " ",
        "x",
        "\u{0}",
        "7",
        "null",
        r#""text""#,
        "true",
    ] {
        alike::<Inner>(text);
    }
    for text in [
        r#""plain""#,
        r#""none""#,
        r#""value""#,
        r#"{"value":300}"#,
        r#"{"fields":{"a":1}}"#,
        r#"{"plain":null}"#,
        r#"{"none":1}"#,
        "[1]]",
        "[1 2]",
    ] {
        equal::<Kind>(text);
        alike::<Vec<u8>>(text);
        alike::<Value>(text);
    }
}

#[test]
fn the_place_is_named() {
    let place = |text: &str| {
        parse::<BTreeMap<String, Vec<Inner>>>(text)
            .unwrap_err()
            .path
    };
    for (text, path) in [
        (r#"{"a":1}"#, "a"),
        (
            r#"{"a":[{"id":"00000000-0000-0000-0000-000000000007"},{"id":1}]}"#,
            "a[1].id",
        ),
        (
            r#"{"a":[{"id":"00000000-0000-0000-0000-000000000007","x":1}]}"#,
            "a[0].x",
        ),
        (r#"{"a":[{"number":1}]}"#, "a[0]"),
        (r#"{"a":[{"id":"no"}]}"#, "a[0].id"),
        (r#"{"a\n":[3]}"#, "a\n[0]"),
        ("[]", "."),
        ("{} {}", ""),
    ] {
        assert_eq!(place(text), path, "{text}");
    }
}

#[test]
fn an_object_is_an_object() {
    let read = |text: &'static str| read::<Inner>(text).map_err(|Misread { problem, .. }| problem);
    assert_eq!(
        read(r#"["00000000-0000-0000-0000-000000000007", 1]"#).unwrap_err(),
        "invalid type: sequence, expected struct Inner at line 1 column 0"
    );
}

#[test]
fn parts_can_stay_as_they_are() {
    #[derive(Deserialize)]
    struct Parts<'a> {
        #[serde(borrow)]
        borrowed: &'a RawValue,
        owned: Vec<Box<RawValue>>,
        none: Option<Box<RawValue>>,
    }
    let text =
        r#"{ "borrowed": {"a" : [1, "]}"]} , "owned": [ 1.50, "x\"" ,null, {} ], "none": null }"#;
    let parts: Parts = read(text).unwrap();
    assert_eq!(parts.borrowed.get(), r#"{"a" : [1, "]}"]}"#);
    let owned: Vec<_> = parts.owned.iter().map(|part| part.get()).collect();
    assert_eq!(owned, ["1.50", r#""x\"""#, "null", "{}"]);
    assert!(parts.none.is_none());
    assert!(parse::<Vec<Box<RawValue>>>("[{]}]").is_err());
}

#[test]
fn depth_is_bounded() {
    let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    alike::<Value>(&nested(127));
    alike::<Value>(&nested(128));
    assert!(parse::<Value>(&nested(100_000)).is_err());
    assert!(parse::<Box<RawValue>>(&nested(100_000)).is_ok());
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".*".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((".*", inner), 0..5)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_value_is_read_as_it_is(value in value()) {
        alike::<Value>(&value.to_string());
        alike::<Value>(&serde_json::to_string_pretty(&value).unwrap());
    }

    #[test]
    fn what_is_no_json_is_none_here(text in r#"[ \[\]{}:,"\\a-f0-9.eE+\-truln\n]{0,24}"#) {
        equal::<Value>(&text);
        equal::<Outer>(&text);
    }

    #[test]
    fn damage_is_found(at in 0_usize..400, byte in 0_u8..128) {
        let mut text = outer().to_string().into_bytes();
        let at = at % text.len();
        text[at] = byte;
        if let Ok(text) = String::from_utf8(text) {
            equal::<Outer>(&text);
            equal::<Value>(&text);
        }
    }
}

#[test]
fn what_types_did_not_know_is_told() {
    #[derive(Debug, Deserialize)]
    struct Known {
        #[allow(dead_code, reason = "only parsed")]
        list: Vec<Option<Kind>>,
    }
    #[derive(Debug, Deserialize)]
    struct Kept {
        #[allow(dead_code, reason = "only parsed")]
        part: Box<RawValue>,
    }
    let is_typed = |text: &str| parse_closely::<Known>(text).unwrap().is_typed;
    assert!(is_typed(r#"{"list":[null]}"#));
    // A field that nobody asked for may be there twice.
    assert!(!is_typed(r#"{"list":[],"other":1,"other":2}"#));
    assert!(!parse_closely::<Kept>(r#"{"part":1}"#).unwrap().is_typed);
    assert!(!parse_closely::<Value>(r#"{"a":1}"#).unwrap().is_typed);
    assert!(
        !parse_closely::<BTreeMap<String, u8>>("{}")
            .unwrap()
            .is_typed
    );
    assert!(parse_closely::<Vec<u8>>("[1]").unwrap().is_typed);
    // What was not taken apart is JSON all the same.
    assert!(parse_closely::<Kept>(r#"{"part":{"a" 1}}"#).is_err());
    assert!(parse_closely::<Known>(r#"{"list":[],"other":[1 2]}"#).is_err());
}
