//! Texts with places in them: `{{name}}` is a value, `{{> slug}}` another template, `\{{` the two braces
//! themselves. What is put in is put in as it is and never read again.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;

use crate::text::clip;

/// The longest template, in bytes.
pub const MAX_TEMPLATE: usize = 100_000;
/// The longest text that comes out, in bytes.
pub const MAX_RENDERED: usize = 2_000_000;
/// Variables of a template, those of what it includes included.
pub const MAX_VARIABLES: usize = 100;
/// Templates inside each other.
pub const MAX_DEPTH: usize = 5;
/// Templates that one is put together from.
pub const MAX_INCLUDES: usize = 50;
/// The longest name of a variable or a slug, in bytes.
pub const MAX_NAME: usize = 100;
/// The most characters of names that are none that a sentence shows.
const MAX_SHOWN: usize = 1_000;

/// What is wrong with a template, or with the values for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flaw {
    /// Longer than [`MAX_TEMPLATE`].
    TooLong,
    /// `{{` at this byte has no `}}`.
    Unclosed(usize),
    /// What stands in the braces at this byte is neither a name nor `> slug`.
    BadName(usize),
    /// More than [`MAX_VARIABLES`].
    TooManyVariables,
    /// These are used and not declared.
    Undeclared(Vec<String>),
    /// These are declared and not used.
    Unused(Vec<String>),
    /// These have no value.
    Missing(Vec<String>),
    /// These have a value and are not used.
    Unknown(Vec<String>),
    /// It includes itself, by this way.
    IncludesItself(Vec<String>),
    /// There is no template of this name.
    NoSuchTemplate(String),
    /// More than [`MAX_DEPTH`] inside each other, or put together from more than [`MAX_INCLUDES`].
    TooManyIncludes,
    /// What comes out is longer than [`MAX_RENDERED`].
    TooLongRendered,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "longer than {MAX_TEMPLATE} bytes"),
            Self::Unclosed(at) => write!(f, "the braces at byte {at} are not closed"),
            Self::BadName(at) => write!(
                f,
                "the braces at byte {at} hold neither a name nor '> slug'"
            ),
            Self::TooManyVariables => write!(f, "more than {MAX_VARIABLES} variables"),
            Self::Undeclared(names) => write!(f, "used but not declared: {}", names.join(", ")),
            Self::Unused(names) => write!(f, "declared but not used: {}", names.join(", ")),
            Self::Missing(names) => write!(f, "without a value: {}", names.join(", ")),
            // Nobody asked how many, or how long, names may be that are none.
            Self::Unknown(names) => {
                let names = names.join(", ");
                let (shown, cut) = match clip(&names, MAX_SHOWN) {
                    shown if shown.len() < names.len() => (shown, ", …"),
                    shown => (shown, ""),
                };
                write!(f, "not variables of this template: {shown}{cut}")
            }
            Self::IncludesItself(way) => write!(f, "includes itself: {}", way.join(" > ")),
            Self::NoSuchTemplate(slug) => write!(f, "there is no template {slug}"),
            Self::TooManyIncludes => write!(
                f,
                "more than {MAX_DEPTH} templates inside each other, or more than {MAX_INCLUDES} in all"
            ),
            Self::TooLongRendered => write!(f, "comes to more than {MAX_RENDERED} bytes"),
        }
    }
}

impl std::error::Error for Flaw {}

/// A template that was read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Template {
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Variable(String),
    Include(String),
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn parse(text: &str) -> Result<Self, Flaw> {
        if text.len() > MAX_TEMPLATE {
            return Err(Flaw::TooLong);
        }
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(open) = rest.find("{{") {
            let at = text.len() - rest.len() + open;
            let (before, inside) = (&rest[..open], &rest[open + 2..]);
            if let Some(before) = before.strip_suffix('\\') {
                literal.push_str(before);
                literal.push_str("{{");
                rest = inside;
                continue;
            }
            literal.push_str(before);
            let close = inside.find("}}").ok_or(Flaw::Unclosed(at))?;
            let name = inside[..close].trim();
            let piece = match name.strip_prefix('>') {
                Some(slug) if is_slug(slug.trim()) => Piece::Include(slug.trim().to_owned()),
                None if is_name(name) => Piece::Variable(name.to_owned()),
                _ => return Err(Flaw::BadName(at)),
            };
            if !literal.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut literal)));
            }
            pieces.push(piece);
            rest = &inside[close + 2..];
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            pieces.push(Piece::Text(literal));
        }
        let template = Self { pieces };
        match template.variables().len() {
            0..=MAX_VARIABLES => Ok(template),
            _ => Err(Flaw::TooManyVariables),
        }
    }

    /// The names of its values. Those of what it includes are not among them before [`expand`].
    #[must_use]
    pub fn variables(&self) -> BTreeSet<&str> {
        self.pieces
            .iter()
            .filter_map(|piece| match piece {
                Piece::Variable(name) => Some(name.as_str()),
                _ => None,
            })
            .collect()
    }

    /// The templates it includes.
    #[must_use]
    pub fn includes(&self) -> BTreeSet<&str> {
        self.pieces
            .iter()
            .filter_map(|piece| match piece {
                Piece::Include(slug) => Some(slug.as_str()),
                _ => None,
            })
            .collect()
    }

    /// The text with the values in it: texts as they are, everything else as JSON. Values that are not used are
    /// ignored here; [`check_values`] is where they are refused.
    ///
    /// # Errors
    /// [`Flaw::Missing`], [`Flaw::TooLongRendered`], and [`Flaw::NoSuchTemplate`] where [`expand`] was not called.
    pub fn render(&self, values: &BTreeMap<String, Value>) -> Result<String, Flaw> {
        let mut out = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Variable(name) => match values.get(name) {
                    Some(Value::String(text)) => out.push_str(text),
                    Some(value) => out.push_str(&value.to_string()),
                    None => return Err(Flaw::Missing(vec![name.clone()])),
                },
                Piece::Include(slug) => return Err(Flaw::NoSuchTemplate(slug.clone())),
            }
            if out.len() > MAX_RENDERED {
                return Err(Flaw::TooLongRendered);
            }
        }
        Ok(out)
    }
}

/// Whether it is a name as programs have them.
fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    name.len() <= MAX_NAME
        && bytes
            .next()
            .is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn is_slug(slug: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    (1..=MAX_NAME).contains(&slug.len()) && slug.bytes().all(allowed)
}

/// The template of the name `slug` with everything it includes in it, found by `find`.
///
/// # Errors
/// When it includes itself by whatever way, what nobody knows, or too much.
pub fn expand<'t>(
    slug: &str,
    template: &'t Template,
    find: &dyn Fn(&str) -> Option<&'t Template>,
) -> Result<Template, Flaw> {
    let mut out = Template::default();
    let (mut way, mut left) = (vec![slug.to_owned()], MAX_INCLUDES);
    put_in(template, find, &mut way, &mut left, &mut out)?;
    match out.variables().len() {
        0..=MAX_VARIABLES => Ok(out),
        _ => Err(Flaw::TooManyVariables),
    }
}

fn put_in<'t>(
    template: &'t Template,
    find: &dyn Fn(&str) -> Option<&'t Template>,
    way: &mut Vec<String>,
    left: &mut usize,
    out: &mut Template,
) -> Result<(), Flaw> {
    for piece in &template.pieces {
        let Piece::Include(slug) = piece else {
            out.pieces.push(piece.clone());
            continue;
        };
        let included = way.contains(slug);
        way.push(slug.clone());
        if included {
            return Err(Flaw::IncludesItself(std::mem::take(way)));
        }
        if way.len() > MAX_DEPTH || *left == 0 {
            return Err(Flaw::TooManyIncludes);
        }
        *left -= 1;
        let found = find(slug).ok_or_else(|| Flaw::NoSuchTemplate(slug.clone()))?;
        put_in(found, find, way, left, out)?;
        way.pop();
    }
    Ok(())
}

/// Whether the variables that are declared are those that the templates, taken together, use.
///
/// # Errors
/// [`Flaw::Undeclared`], else [`Flaw::Unused`].
pub fn check_declared<'n>(
    templates: &[&Template],
    declared: impl IntoIterator<Item = &'n str>,
) -> Result<(), Flaw> {
    both_ways(templates, declared, Flaw::Undeclared, Flaw::Unused)
}

/// Whether the values that are given are those that the templates, taken together, use.
///
/// # Errors
/// [`Flaw::Missing`], else [`Flaw::Unknown`].
pub fn check_values<'n>(
    templates: &[&Template],
    given: impl IntoIterator<Item = &'n str>,
) -> Result<(), Flaw> {
    both_ways(templates, given, Flaw::Missing, Flaw::Unknown)
}

fn both_ways<'n>(
    templates: &[&Template],
    names: impl IntoIterator<Item = &'n str>,
    absent: fn(Vec<String>) -> Flaw,
    idle: fn(Vec<String>) -> Flaw,
) -> Result<(), Flaw> {
    let used: BTreeSet<&str> = templates.iter().flat_map(|it| it.variables()).collect();
    let names: BTreeSet<&str> = names.into_iter().collect();
    let missing = |have: &BTreeSet<&str>, want: &BTreeSet<&str>| -> Vec<String> {
        want.difference(have)
            .map(|name| (*name).to_owned())
            .collect()
    };
    let (without, idlers) = (missing(&names, &used), missing(&used, &names));
    match (without.is_empty(), idlers.is_empty()) {
        (false, _) => Err(absent(without)),
        (true, false) => Err(idle(idlers)),
        (true, true) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn read(text: &str) -> Template {
        Template::parse(text).unwrap()
    }

    fn render(text: &str, values: Value) -> Result<String, Flaw> {
        read(text).render(&serde_json::from_value(values).unwrap())
    }

    #[test]
    fn values_go_in_as_they_are() {
        let values = json!({"name": "{{other}}", "n": 2, "list": ["a"], "other": "never"});
        assert_eq!(
            render(
                r#"{{name}}, {{ n }} {{list}} \{{name}} {"a":{"b":1}}"#,
                values
            )
            .unwrap(),
            r#"{{other}}, 2 ["a"] {{name}} {"a":{"b":1}}"#
        );
        assert_eq!(
            render("{{a}}", json!({})),
            Err(Flaw::Missing(vec!["a".into()]))
        );
    }

    #[test]
    fn flaws_are_named() {
        for (text, flaw) in [
            ("x{{name", Flaw::Unclosed(1)),
            ("é{{}}", Flaw::BadName(2)),
            ("{{a b}}", Flaw::BadName(0)),
            ("{{1a}}", Flaw::BadName(0)),
            ("{{> }}", Flaw::BadName(0)),
            ("{{{a}}}", Flaw::BadName(0)),
        ] {
            assert_eq!(Template::parse(text), Err(flaw), "{text}");
        }
        assert_eq!(
            Template::parse(&"x".repeat(MAX_TEMPLATE + 1)),
            Err(Flaw::TooLong)
        );
        let many: String = (0..=MAX_VARIABLES)
            .map(|n| format!("{{{{v{n}}}}}"))
            .collect();
        assert_eq!(Template::parse(&many), Err(Flaw::TooManyVariables));
        let (one, other) = (read("{{a}} {{b}}"), read("{{c}}"));
        let both = [&one, &other];
        let names = |list: &[&str]| list.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        assert_eq!(check_declared(&both, ["a", "b", "c"]), Ok(()));
        assert_eq!(
            check_declared(&both, ["a", "d"]),
            Err(Flaw::Undeclared(names(&["b", "c"])))
        );
        assert_eq!(
            check_values(&both, ["a", "b", "c", "d"]),
            Err(Flaw::Unknown(names(&["d"])))
        );
        let unknown = |count| Flaw::Unknown(vec!["n".repeat(10); count]).to_string();
        assert!(unknown(2).ends_with("nnnnnnnnnn, nnnnnnnnnn"));
        assert!(unknown(10_000).len() < 1_100 && unknown(10_000).ends_with(", …"));
    }

    #[test]
    fn includes() {
        let texts = BTreeMap::from([
            ("a", read("A {{x}} {{> b}}")),
            ("b", read("B {{y}}{{> c}}")),
            ("c", read("C")),
            ("self", read("{{> self}}")),
            ("one", read("{{> two}}")),
            ("two", read("{{> one}}")),
            ("lost", read("{{> nobody}}")),
            ("many", read(&"{{> c}}".repeat(MAX_INCLUDES + 1))),
        ]);
        let expand = |slug: &str| super::expand(slug, &texts[slug], &|it| texts.get(it));
        let whole = expand("a").unwrap();
        assert_eq!(whole.variables(), BTreeSet::from(["x", "y"]));
        let values = BTreeMap::from([("x".into(), json!(1)), ("y".into(), json!(2))]);
        assert_eq!(whole.render(&values).unwrap(), "A 1 B 2C");
        let way = |list: &[&str]| {
            Err(Flaw::IncludesItself(
                list.iter().map(|it| (*it).into()).collect(),
            ))
        };
        assert_eq!(expand("self"), way(&["self", "self"]));
        assert_eq!(expand("one"), way(&["one", "two", "one"]));
        assert_eq!(expand("lost"), Err(Flaw::NoSuchTemplate("nobody".into())));
        assert_eq!(expand("many"), Err(Flaw::TooManyIncludes));
        let deep: BTreeMap<String, Template> = (0..9)
            .map(|n| (format!("d{n}"), read(&format!("{{{{> d{}}}}}", n + 1))))
            .collect();
        let expanded = super::expand("d0", &deep["d0"], &|it| deep.get(it));
        assert_eq!(expanded, Err(Flaw::TooManyIncludes));
    }

    #[test]
    fn what_comes_out_is_bounded() {
        let values = json!({"a": "x".repeat(MAX_RENDERED / 10)});
        assert_eq!(
            render(&"{{a}}".repeat(11), values),
            Err(Flaw::TooLongRendered)
        );
    }

    proptest! {
        #[test]
        fn anything_is_read_or_refused(text in r"[{}\\> a-c_é]{0,40}") {
            if let Ok(template) = Template::parse(&text) {
                let values = template.variables().into_iter().map(|name| (name.to_owned(), json!("{{"))).collect();
                if template.includes().is_empty() {
                    prop_assert!(template.render(&values).is_ok());
                }
            }
        }

        #[test]
        fn a_text_without_braces_is_itself(text in "[^{]*") {
            prop_assert_eq!(read(&text).render(&BTreeMap::new()).unwrap(), text);
        }
    }
}
