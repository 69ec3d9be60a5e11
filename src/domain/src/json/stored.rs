//! How large JSON is once PostgreSQL has stored it.
//!
//! `jsonb` writes every number out in full, so the five bytes `1e308` become 309. Whatever is kept is
//! measured as it will be read again, not as it came.

use serde_json::{Number, Value};

/// The length of the text that `jsonb` makes of a value, in bytes.
#[must_use]
pub fn stored_len(value: &Value) -> usize {
    match value {
        Value::Null => 4,
        Value::Bool(true) => 4,
        Value::Bool(false) => 5,
        Value::Number(number) => number_len(number),
        Value::String(text) => text_len(text),
        Value::Array(items) => around(items.iter().map(stored_len)),
        Value::Object(fields) => fields_len(fields),
    }
}

/// [`stored_len`] of an object.
#[must_use]
pub fn fields_len(fields: &serde_json::Map<String, Value>) -> usize {
    around(
        fields
            .iter()
            .map(|(key, value)| text_len(key) + 2 + stored_len(value)),
    )
}

/// Brackets around parts with `, ` between them.
fn around(parts: impl Iterator<Item = usize>) -> usize {
    let (count, sum) = parts.fold((0_usize, 0_usize), |(count, sum), part| {
        (count + 1, sum.saturating_add(part))
    });
    sum.saturating_add(2 + 2 * count.saturating_sub(1))
}

fn text_len(text: &str) -> usize {
    let escaped = |byte: u8| match byte {
        b'"' | b'\\' | 0x08 | 0x09 | 0x0a | 0x0c | 0x0d => 2,
        0..=0x1f => 6,
        _ => 1,
    };
    2 + text.bytes().map(escaped).sum::<usize>()
}

/// A number without an exponent.
fn number_len(number: &Number) -> usize {
    let text = number.to_string();
    let Some((mantissa, exponent)) = text.split_once(['e', 'E']) else {
        return text.len();
    };
    let sign = usize::from(mantissa.starts_with('-'));
    let (whole, fraction) = mantissa
        .trim_start_matches('-')
        .split_once('.')
        .unwrap_or((mantissa.trim_start_matches('-'), ""));
    let exponent: i64 = exponent.parse().unwrap_or(i64::MAX);
    let point = whole.len() as i64 + exponent;
    let digits = whole.len() + fraction.len();
    let far = |distance: i64| usize::try_from(distance).unwrap_or(usize::MAX / 2);
    sign + match point {
        // 0.000…digits
        ..=0 => 2 + far(-point) + digits,
        // digits…000
        point if far(point) >= digits => far(point),
        _ => digits + 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn numbers_are_written_out() {
        let number = |text: &str| stored_len(&serde_json::from_str(text).unwrap());
        for (text, length) in [
            ("1e308", 309),
            ("-1.7976931348623157e308", 310),
            ("1e-300", 302),
            ("1.5e-7", 10),
            ("0", 1),
            ("-12.5", 5),
            ("18446744073709551615", 20),
            ("1e3", 6),
        ] {
            assert_eq!(number(text), length, "{text}");
        }
    }

    #[test]
    fn everything_else_is_as_jsonb_writes_it() {
        // {"a": [1, "x\n", null], "b": {}}
        assert_eq!(stored_len(&json!({"a": [1, "x\n", null], "b": {}})), 32);
        assert_eq!(stored_len(&json!([])), 2);
        assert_eq!(stored_len(&json!("\u{1}é")), 10);
        let amplified = Value::Array(vec![json!(1e308); 2_000]);
        assert!(amplified.to_string().len() < 15_000 && stored_len(&amplified) > 600_000);
    }

    proptest! {
        #[test]
        fn never_less_than_what_came(number: f64, text in ".*") {
            let value = json!([number, text]);
            prop_assert!(stored_len(&value) + 4 >= value.to_string().len());
        }
    }
}
