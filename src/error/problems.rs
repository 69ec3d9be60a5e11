//! What is wrong with a value, in the caller's language. Whoever finds it says it in English, once; what
//! stands for it in Spanish is in one table here.

mod spanish;

use serde_json::Value;
use spanish::SPANISH;

/// How far sentences are looked for within the values of others, which may be text of the caller's own.
const DEPTH: u8 = 4;

/// What parsers call the kinds of values, and what people call them.
const KINDS: &[(&str, &str)] = &[
    ("struct ", "an object"),
    ("a map", "an object"),
    ("map", "an object"),
    ("a sequence", "an array"),
    ("sequence", "an array"),
    ("tuple ", "an array"),
    ("enum ", "a string"),
    ("variant identifier", "a string"),
    ("field identifier", "the name of a field"),
    ("newtype struct ", "a value"),
    ("internally tagged enum ", "an object"),
    ("map with a single key", "a string"),
    ("variant index ", "a string"),
    ("a formatted UUID string", "a UUID"),
    ("unit", "null"),
    ("string or map", "a string"),
    ("a borrowed string", "a string"),
    ("Option", "a value"),
    ("option", "a value"),
    ("any valid JSON value", "a value"),
    ("i8", "an integer"),
    ("i16", "an integer"),
    ("i32", "an integer"),
    ("i64", "an integer"),
    ("u8", "an integer"),
    ("u16", "an integer"),
    ("u32", "an integer"),
    ("u64", "an integer"),
    ("usize", "an integer"),
    ("f32", "a number"),
    ("f64", "a number"),
];

/// What a parser found, without the names that the program's own types have.
pub fn plain(problem: &str) -> String {
    let (rest, place) = match problem.rfind(" at line ") {
        Some(at) => problem.split_at(at),
        None => (problem, ""),
    };
    if rest.starts_with("data did not match any variant of ") {
        return format!("none of the forms that this may have{place}");
    }
    let leads = ["invalid type: ", "invalid value: ", "invalid length "];
    let Some(told) = leads.iter().find_map(|lead| rest.strip_prefix(lead)) else {
        return problem.to_owned();
    };
    let Some((found, expected)) = told.rsplit_once(", expected ") else {
        return problem.to_owned();
    };
    let lead = &rest[..rest.len() - told.len()];
    let found = kind(found);
    format!("{lead}{found}, expected {}{place}", kind(expected))
}

fn kind(name: &str) -> &str {
    let known = KINDS
        .iter()
        .find(|(technical, _)| match technical.ends_with(' ') {
            true => name.starts_with(technical),
            false => name == *technical,
        });
    known.map_or(name, |(_, plain)| plain)
}

/// Puts what is wrong into Spanish, wherever details say it.
pub fn in_spanish(details: &mut Value) {
    if let Some(Value::String(problem)) = details.get_mut("problem") {
        *problem = in_words(problem, DEPTH);
    }
    if let Some(Value::Object(fields)) = details.get_mut("fields") {
        let lists = fields.values_mut().filter_map(Value::as_array_mut);
        for problem in lists.flatten() {
            if let Value::String(text) = problem {
                *text = in_words(text, DEPTH);
            }
        }
    }
}

/// The Spanish for what is wrong; what has none stays as it is.
fn in_words(problem: &str, depth: u8) -> String {
    let found = SPANISH
        .iter()
        .copied()
        .flatten()
        .filter(|_| depth > 0)
        .filter_map(|(english, spanish)| Some((english.len(), values(english, problem)?, *spanish)))
        .max_by_key(|(said, ..)| *said);
    let Some((_, values, spanish)) = found else {
        return problem.to_owned();
    };
    let mut values = values.into_iter();
    let mut text = String::new();
    for (index, piece) in spanish.split("{}").enumerate() {
        if index > 0 {
            text.push_str(&in_words(values.next().unwrap_or_default(), depth - 1));
        }
        text.push_str(piece);
    }
    text
}

/// The values of a problem that is this sentence.
fn values<'a>(sentence: &str, problem: &'a str) -> Option<Vec<&'a str>> {
    let mut pieces = sentence.split("{}");
    let mut rest = problem.strip_prefix(pieces.next()?)?;
    let mut values = Vec::new();
    let mut pieces = pieces.peekable();
    while let Some(piece) = pieces.next() {
        let at = match pieces.peek() {
            None => rest
                .len()
                .checked_sub(piece.len())
                .filter(|_| rest.ends_with(piece))?,
            Some(_) => rest.find(piece)?,
        };
        values.push(&rest[..at]);
        rest = &rest[at + piece.len()..];
    }
    rest.is_empty().then_some(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_of_a_type_is_shown() {
        for (told, shown) in [
            (
                "invalid type: sequence, expected struct Invitation at line 1 column 2",
                "invalid type: an array, expected an object at line 1 column 2",
            ),
            (
                "invalid type: string \"x\", expected u32",
                "invalid type: string \"x\", expected an integer",
            ),
            (
                "invalid value: integer `-1`, expected u32 at line 1 column 9",
                "invalid value: integer `-1`, expected an integer at line 1 column 9",
            ),
            (
                "invalid type: null, expected a string",
                "invalid type: null, expected a string",
            ),
            (
                "unknown field `a`, expected `b` or `c`",
                "unknown field `a`, expected `b` or `c`",
            ),
            (
                "expected value at line 1 column 1",
                "expected value at line 1 column 1",
            ),
            (
                "invalid type: null, expected internally tagged enum Part at line 1 column 9",
                "invalid type: null, expected an object at line 1 column 9",
            ),
            (
                "invalid type: null, expected a formatted UUID string",
                "invalid type: null, expected a UUID",
            ),
            (
                "data did not match any variant of untagged enum ToolChoice at line 1 column 9",
                "none of the forms that this may have at line 1 column 9",
            ),
        ] {
            assert_eq!(plain(told), shown);
        }
    }

    #[test]
    fn sentences_with_values() {
        for (english, expected) in [
            ("length is greater than 100", "la longitud es mayor que 100"),
            (
                "invalid type: string \"x\", expected an integer at line 1 column 9",
                "tipo no válido: el texto \"x\"; se esperaba un número entero en la línea 1, columna 9",
            ),
            (
                "unknown field `a`, expected `b` or `c`",
                "campo desconocido `a`; se esperaba `b` o `c`",
            ),
            ("must be 0 to 1000", "debe ser de 0 a 1000"),
            (
                "must be an RFC 3339 time or a date, years 1970 to 9999",
                "debe ser una fecha o una hora RFC 3339, de los años 1970 a 9999",
            ),
            ("unknown field `after`", "campo desconocido `after`"),
            (
                "UUID parsing failed: invalid character: found `x` at 0",
                "no es un UUID",
            ),
            ("something new", "something new"),
            (
                "none of the forms that this may have at line 1 column 9",
                "no tiene ninguna de las formas posibles en la línea 1, columna 9",
            ),
            (
                "invalid type: null, expected a text or a list of parts",
                "tipo no válido: nulo; se esperaba un texto o una lista de partes",
            ),
            ("failed to parse a UUID", "no es un UUID"),
            (
                "unknown field `expected expected expected expected expected x`, expected `b`",
                "campo desconocido `se esperaba se esperaba se esperaba expected expected x`; se esperaba `b`",
            ),
        ] {
            assert_eq!(in_words(english, DEPTH), expected);
        }
    }

    /// The sentences that sources hand to an error, with a number for each value.
    fn said(text: &str) -> Vec<String> {
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        let mut found = Vec::new();
        for maker in [
            "garde::Error::new(",
            "Error::field(",
            "wrong_query(",
            "refuse(",
            "stuck(",
            "\"problem\": ",
            "\"fields\": { ",
            "serde::de::Error::custom(",
            "check(",
            "judged(",
            "unless(",
            "write!(f, ",
            "const NAME: &str = ",
        ] {
            for place in text.split(maker).skip(1) {
                let ends = [";\n", "#[", "fn "].map(|end| place.find(end));
                let end = ends.into_iter().flatten().min().unwrap_or(place.len());
                let literals = place[..end].split('"').skip(1).step_by(2);
                let is_sentence =
                    |literal: &&str| literal.contains(' ') && literal.contains(char::is_alphabetic);
                let sentence = literals.filter(is_sentence).last();
                found.extend(sentence.map(str::to_owned));
            }
        }
        for sentence in &mut found {
            while let (Some(from), Some(to)) = (sentence.find('{'), sentence.find('}')) {
                sentence.replace_range(from..=to, "7");
            }
        }
        found
    }

    #[test]
    fn everything_that_is_said_has_its_spanish() {
        let mut folders = vec![
            std::path::PathBuf::from("src/http"),
            "src/modules".into(),
            "src/db".into(),
        ];
        let mut sentences = ["ai/chat/validate.rs", "ai/template.rs"]
            .map(|file| format!("src/domain/src/{file}"))
            .iter()
            .flat_map(|path| said(&std::fs::read_to_string(path).unwrap()))
            .collect::<Vec<_>>();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => folders.push(path),
                    false => sentences.extend(said(&std::fs::read_to_string(path).unwrap())),
                }
            }
        }
        assert!(sentences.len() > 40, "{}", sentences.len());
        let english = [
            " of ",
            " with ",
            " characters",
            " letters",
            " at most ",
            " and ",
            " or ",
            " two ",
            " six ",
        ];
        let has_none = |sentence: &&String| {
            let told = in_words(sentence, DEPTH);
            told == **sentence || english.iter().any(|word| told.contains(word))
        };
        let missing: Vec<_> = sentences.iter().filter(has_none).collect();
        assert!(missing.is_empty(), "no Spanish for {missing:#?}");
    }
}
