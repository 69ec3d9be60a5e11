//! Comma-separated values: RFC 4180, safe to open in a spreadsheet.

/// Adds a record with its line end.
///
/// A field that a spreadsheet would take for a formula gets an apostrophe in
/// front, which spreadsheets read as "this is text"; a number is none. `None` is an empty field.
pub fn push_record<'a>(out: &mut String, fields: impl IntoIterator<Item = Option<&'a str>>) {
    for (place, field) in fields.into_iter().enumerate() {
        if place > 0 {
            out.push(',');
        }
        push_field(out, field.unwrap_or_default());
    }
    out.push_str("\r\n");
}

/// What a formula begins with, in both widths: spreadsheets in East Asian locales read the wide ones too.
const FORMULA: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];

/// Whether a field is digits, perhaps with a point among them and a minus in front.
fn is_number(field: &str) -> bool {
    let digits = field.strip_prefix('-').unwrap_or(field);
    let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
    [whole, part]
        .iter()
        .all(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()))
}

fn push_field(out: &mut String, field: &str) {
    let guard = match field.starts_with(FORMULA) && !is_number(field) {
        true => "'",
        false => "",
    };
    if field.contains([',', '"', '\r', '\n']) {
        out.push('"');
        out.push_str(guard);
        out.push_str(&field.replace('"', "\"\""));
        out.push('"');
    } else {
        out.push_str(guard);
        out.push_str(field);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(fields: &[&str]) -> String {
        let mut out = String::new();
        push_record(&mut out, fields.iter().map(|field| Some(*field)));
        out
    }

    /// A reader of its own, as RFC 4180 describes one.
    fn read(text: &str) -> Vec<Vec<String>> {
        let (mut records, mut record, mut field) = (Vec::new(), Vec::new(), String::new());
        let mut quoted = false;
        let mut rest = text.chars().peekable();
        while let Some(c) = rest.next() {
            match c {
                '"' if quoted && rest.peek() == Some(&'"') => field.extend(rest.next()),
                '"' => quoted = !quoted,
                ',' if !quoted => record.push(std::mem::take(&mut field)),
                '\r' if !quoted && rest.peek() == Some(&'\n') => {
                    rest.next();
                    record.push(std::mem::take(&mut field));
                    records.push(std::mem::take(&mut record));
                }
                c => field.push(c),
            }
        }
        assert!(record.is_empty() && field.is_empty() && !quoted);
        records
    }

    #[test]
    fn fields_are_quoted_only_where_they_must_be() {
        assert_eq!(
            line(&["a", "b c", "", "d,e", "f\"g"]),
            "a,b c,,\"d,e\",\"f\"\"g\"\r\n"
        );
        let mut out = String::new();
        push_record(&mut out, [None, Some("x")]);
        assert_eq!(out, ",x\r\n");
    }

    #[test]
    fn formulas_become_text() {
        assert_eq!(
            line(&["=1+1", "+a", "-b", "@c", "a=b"]),
            "'=1+1,'+a,'-b,'@c,a=b\r\n"
        );
        assert_eq!(
            line(&["＝1+1", "＋a", "－b", "＠c"]),
            "'＝1+1,'＋a,'－b,'＠c\r\n"
        );
        assert_eq!(line(&["=A1,\"x\""]), "\"'=A1,\"\"x\"\"\"\r\n");
        assert_eq!(
            line(&["-1", "-1.50", "-1+1", "-", "-.5", "+1"]),
            "-1,-1.50,'-1+1,'-,'-.5,'+1\r\n"
        );
        assert_eq!(line(&["\tx", "\r\ny"]), "'\tx,\"'\r\ny\"\r\n");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(records in proptest::collection::vec(
            proptest::collection::vec("[a-z=＝+@\",\r\n\t'é-]{0,6}", 1..5), 0..6)) {
            let mut out = String::new();
            for record in &records {
                push_record(&mut out, record.iter().map(|field| Some(field.as_str())));
            }
            let guarded: Vec<Vec<String>> = records.iter().map(|record| record.iter().map(|field| {
                let formula = field.starts_with(FORMULA);
                if formula { format!("'{field}") } else { field.clone() }
            }).collect()).collect();
            prop_assert_eq!(read(&out), guarded);
        }
    }
}
