//! JSON read as a type, from one kind of source.
//!
//! serde makes the code that reads a type once for each kind of source. Bodies of requests and what
//! PostgreSQL answers come through the same one here, which knows where it is, so that a mistake has its
//! place; and which reads objects as objects only, where serde would take an array as well, field by field.
//!
//! It takes values apart and leaves it to `serde_json` to say what is JSON: numbers, escapes, and in
//! [`parse`] the whole text when parts of it were not taken apart.

mod problem;
mod types;

use serde::Deserialize;
use serde::de::{Error, Expected, IgnoredAny, Unexpected};
use std::borrow::Cow;
use std::fmt::Write;

pub use problem::Misread;
use problem::{Kind, Problem};

/// How deep objects and arrays may lie in each other, as in `serde_json`.
const MOST_DEPTH: usize = 127;

/// By this name `serde_json` asks for a value as it stands in the text.
const RAW: &str = "$serde_json::private::RawValue";

/// Reads what is known to be JSON.
///
/// # Errors
/// When it is no `T`.
pub fn read<'de, T: Deserialize<'de>>(text: &'de str) -> Result<T, Misread> {
    Reader::new(text).whole()
}

/// What was read of a text that may be anything.
#[derive(Debug)]
pub struct Parsed<T> {
    /// The value.
    pub value: T,
    /// Whether types knew every name in it, so that none was there twice. Otherwise parts were kept, or left out, as
    /// they came.
    pub is_typed: bool,
}

/// Reads what may be anything.
///
/// # Errors
/// When it is no JSON, or no `T`.
pub fn parse<'de, T: Deserialize<'de>>(text: &'de str) -> Result<T, Misread> {
    parse_closely(text).map(|parsed| parsed.value)
}

/// [`parse`], and how closely the text was read.
///
/// # Errors
/// As [`parse`].
pub fn parse_closely<'de, T: Deserialize<'de>>(text: &'de str) -> Result<Parsed<T>, Misread> {
    let mut reader = Reader::new(text);
    let value = reader.whole()?;
    // What was taken apart to its last value is JSON.
    if reader.is_skimmed
        && let Some(problem) = syntax(text)
    {
        let path = String::new();
        return Err(Misread { path, problem });
    }
    let is_typed = !reader.is_skimmed && !reader.is_free;
    Ok(Parsed { value, is_typed })
}

/// What `serde_json` has against a text.
fn syntax(text: &str) -> Option<String> {
    let read = serde_json::from_str::<IgnoredAny>(text);
    read.err().map(|error| error.to_string())
}

/// A step on the way to where the reader is.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// In an object, at no field.
    Object,
    /// At the field whose name begins there in the text.
    Field(usize),
    /// At so many elements of an array.
    Element(usize),
}

/// A text while it is read.
#[derive(Debug)]
pub struct Reader<'de> {
    text: &'de str,
    at: usize,
    path: Vec<Step>,
    /// Whether a value was taken as it stands.
    is_skimmed: bool,
    /// Whether there was an object whose names nobody knew.
    is_free: bool,
}

/// A number as JSON has it.
enum Number {
    Positive(u64),
    Negative(i64),
    Float(f64),
}

impl<'de> Reader<'de> {
    fn new(text: &'de str) -> Self {
        Self {
            text,
            at: 0,
            path: Vec::new(),
            is_skimmed: false,
            is_free: false,
        }
    }

    fn whole<T: Deserialize<'de>>(&mut self) -> Result<T, Misread> {
        match T::deserialize(&mut *self) {
            Ok(value) => self.end().map(|()| value),
            Err(problem) => Err(self.misread(problem)),
        }
    }

    /// The next byte that is no blank; 0 at the end.
    fn peek(&mut self) -> u8 {
        let bytes = self.text.as_bytes();
        while let Some(byte) = bytes.get(self.at) {
            match byte {
                b' ' | b'\n' | b'\r' | b'\t' => self.at += 1,
                byte => return *byte,
            }
        }
        0
    }

    /// Nothing may follow.
    fn end(&mut self) -> Result<(), Misread> {
        if self.peek() == 0 && self.at >= self.text.len() {
            return Ok(());
        }
        Err(Misread {
            path: String::new(),
            ..self.misread(Problem::syntax())
        })
    }

    fn expect(&mut self, byte: u8) -> Result<(), Problem> {
        if self.peek() != byte {
            return Err(Problem::syntax());
        }
        self.at += 1;
        Ok(())
    }

    /// The text of the string that begins here, between its quotes and as it is written.
    fn quoted(&mut self) -> Result<&'de str, Problem> {
        let start = self.at + 1;
        let bytes = self.text.as_bytes();
        let mut at = start;
        loop {
            match bytes.get(at) {
                Some(b'"') => break,
                Some(b'\\') => at += 2,
                Some(_) => at += 1,
                None => return Err(Problem::syntax()),
            }
        }
        self.at = at + 1;
        self.text.get(start..at).ok_or_else(Problem::syntax)
    }

    fn string(&mut self, expected: &dyn Expected) -> Result<Cow<'de, str>, Problem> {
        if self.peek() != b'"' {
            return Err(self.wrong(expected));
        }
        let from = self.at;
        let text = self.quoted()?;
        if !text.bytes().any(|byte| byte == b'\\' || byte < b' ') {
            return Ok(Cow::Borrowed(text));
        }
        let unescaped = serde_json::from_str(&self.text[from..self.at]);
        unescaped
            .map(Cow::Owned)
            .map_err(|_| Problem::unless("unexpected end of hex escape"))
    }

    fn number(&mut self, expected: &dyn Expected) -> Result<Number, Problem> {
        if !matches!(self.peek(), b'-' | b'0'..=b'9') {
            return Err(self.wrong(expected));
        }
        let text = self.scalar();
        // What nearly all numbers are: a few digits.
        if text.len() < 19
            && !text.starts_with('0')
            && text.bytes().all(|byte| byte.is_ascii_digit())
        {
            let digits = text.bytes().map(|byte| u64::from(byte - b'0'));
            return Ok(Number::Positive(
                digits.fold(0, |number, digit| number * 10 + digit),
            ));
        }
        let number: serde_json::Number =
            serde_json::from_str(text).map_err(|_| Problem::unless("number out of range"))?;
        if let Some(number) = number.as_u64() {
            return Ok(Number::Positive(number));
        }
        Ok(match number.as_i64() {
            Some(number) => Number::Negative(number),
            None => Number::Float(number.as_f64().unwrap_or(f64::NAN)),
        })
    }

    fn bool(&mut self, expected: &dyn Expected) -> Result<bool, Problem> {
        match self.peek() {
            b't' => self.word("true").map(|()| true),
            b'f' => self.word("false").map(|()| false),
            _ => Err(self.wrong(expected)),
        }
    }

    fn word(&mut self, word: &str) -> Result<(), Problem> {
        match self.scalar() == word {
            true => Ok(()),
            false => Err(Problem::syntax()),
        }
    }

    /// What stands here and is neither a string, an object nor an array.
    fn scalar(&mut self) -> &'de str {
        let rest = &self.text[self.at..];
        let is_part =
            |byte: u8| matches!(byte, b'+' | b'-' | b'.' | b'0'..=b'9' | b'a'..=b'z' | b'E');
        let length = rest.bytes().take_while(|byte| is_part(*byte)).count();
        self.at += length;
        &rest[..length]
    }

    /// The value that stands here, as it is written.
    fn raw(&mut self) -> Result<&'de str, Problem> {
        self.is_skimmed = true;
        self.peek();
        let from = self.at;
        let mut depth = 0_usize;
        loop {
            match self.peek() {
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' if depth > 0 => {
                    depth -= 1;
                    self.at += 1;
                }
                b',' | b':' if depth > 0 => {
                    self.at += 1;
                    continue;
                }
                b'"' => {
                    self.quoted()?;
                }
                _ => {
                    if self.scalar().is_empty() {
                        return Err(Problem::syntax());
                    }
                }
            }
            if depth == 0 {
                return Ok(&self.text[from..self.at]);
            }
        }
    }

    /// What is here instead of what was expected.
    #[cold]
    fn wrong(&mut self, expected: &dyn Expected) -> Problem {
        let found = match self.peek() {
            b'{' => Unexpected::Map,
            b'[' => Unexpected::Seq,
            b'n' => match self.word("null") {
                Ok(()) => Unexpected::Unit,
                Err(problem) => return problem,
            },
            b't' | b'f' => match self.bool(expected) {
                Ok(value) => Unexpected::Bool(value),
                Err(problem) => return problem,
            },
            b'"' => {
                return match self.string(expected) {
                    Ok(text) => Problem::invalid_type(Unexpected::Str(&text), expected),
                    Err(problem) => problem,
                };
            }
            b'-' | b'0'..=b'9' => match self.number(expected) {
                Ok(Number::Positive(number)) => Unexpected::Unsigned(number),
                Ok(Number::Negative(number)) => Unexpected::Signed(number),
                Ok(Number::Float(number)) => Unexpected::Float(number),
                Err(problem) => return problem,
            },
            _ => return Problem::syntax(),
        };
        Problem::invalid_type(found, expected)
    }

    fn open(&mut self, bracket: u8, step: Step, expected: &dyn Expected) -> Result<(), Problem> {
        if self.peek() != bracket {
            return Err(self.wrong(expected));
        }
        if self.path.len() >= MOST_DEPTH {
            return Err(Problem::custom("recursion limit exceeded"));
        }
        self.at += 1;
        self.path.push(step);
        Ok(())
    }

    fn close(&mut self, bracket: u8) -> Result<(), Problem> {
        self.expect(bracket)?;
        self.path.pop();
        Ok(())
    }

    /// Whether there is another field; its name is next then.
    fn field(&mut self, is_first: bool) -> Result<bool, Problem> {
        self.step(Step::Object);
        if self.peek() == b'}' {
            return Ok(false);
        }
        if !is_first {
            self.expect(b',')?;
        }
        if self.peek() != b'"' {
            return Err(Problem::syntax());
        }
        self.step(Step::Field(self.at));
        Ok(true)
    }

    /// Whether there is another element; it is next then.
    fn element(&mut self, index: usize) -> Result<bool, Problem> {
        if self.peek() == b']' {
            return Ok(false);
        }
        if index > 0 {
            self.expect(b',')?;
        }
        self.step(Step::Element(index));
        Ok(true)
    }

    fn step(&mut self, step: Step) {
        if let Some(last) = self.path.last_mut() {
            *last = step;
        }
    }

    /// The problem with its place.
    #[cold]
    fn misread(&self, problem: Problem) -> Misread {
        let read = &self.text.as_bytes()[..self.at.min(self.text.len())];
        let line = 1 + read.iter().filter(|byte| **byte == b'\n').count();
        let column = read.iter().rev().take_while(|byte| **byte != b'\n').count();
        let at = format!("at line {line} column {column}");
        let problem = match *problem.0 {
            Kind::Said(problem) => format!("{problem} {at}"),
            Kind::Syntax(otherwise) => {
                syntax(self.text).unwrap_or_else(|| format!("{otherwise} {at}"))
            }
        };
        Misread {
            path: self.place(),
            problem,
        }
    }

    fn place(&self) -> String {
        let mut place = String::new();
        for step in &self.path {
            match step {
                Step::Object => {}
                Step::Element(index) => {
                    let _ = write!(place, "[{index}]");
                }
                Step::Field(at) => {
                    let mut reader = Self {
                        at: *at,
                        ..Self::new(self.text)
                    };
                    let name = reader.string(&"a name").unwrap_or_default();
                    if !place.is_empty() {
                        place.push('.');
                    }
                    place.push_str(&name);
                }
            }
        }
        if place.is_empty() {
            place.push('.');
        }
        place
    }
}

#[cfg(test)]
mod tests;
