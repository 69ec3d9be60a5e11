//! JSON read as a type, from one kind of source.
//!
//! serde makes the code that reads a type once for each kind of source. Bodies of requests and what
//! PostgreSQL answers come through the same one here, which knows where it is, so that a mistake has its
//! place; and which reads objects as objects only, where serde would take an array as well, field by field.
//!
//! It takes values apart and leaves it to `serde_json` to say what is JSON: numbers, escapes, and in
//! [`parse`] the whole text.

use serde::Deserialize;
use serde::de::value::BorrowedStrDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, Expected, IgnoredAny, MapAccess, SeqAccess,
    Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use std::borrow::Cow;
use std::fmt::{self, Display, Write};

/// How deep objects and arrays may lie in each other, as in `serde_json`.
const MOST_DEPTH: usize = 127;

/// By this name `serde_json` asks for a value as it stands in the text.
const RAW: &str = "$serde_json::private::RawValue";

/// Why a text could not be read as a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misread {
    /// Where: `list[1].field`; `.` for the whole.
    pub path: String,
    /// What is wrong there, with the line and the column.
    pub problem: String,
}

impl Display for Misread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.problem)
    }
}

impl std::error::Error for Misread {}

/// Reads what is known to be JSON.
///
/// # Errors
/// When it is no `T`.
pub fn read<'de, T: Deserialize<'de>>(text: &'de str) -> Result<T, Misread> {
    let mut reader = Reader::new(text);
    match T::deserialize(&mut reader) {
        Ok(value) => reader.end().map(|()| value),
        Err(problem) => Err(reader.misread(problem)),
    }
}

/// Reads what may be anything.
///
/// # Errors
/// When it is no JSON, or no `T`.
pub fn parse<'de, T: Deserialize<'de>>(text: &'de str) -> Result<T, Misread> {
    let value = read(text)?;
    match syntax(text) {
        None => Ok(value),
        Some(problem) => Err(Misread {
            path: String::new(),
            problem,
        }),
    }
}

/// What `serde_json` has against a text.
fn syntax(text: &str) -> Option<String> {
    let read = serde_json::from_str::<IgnoredAny>(text);
    read.err().map(|error| error.to_string())
}

/// What is wrong, told once it is known where.
#[derive(Debug)]
pub struct Problem(Box<Kind>);

#[derive(Debug)]
enum Kind {
    /// The text is no JSON, or at least not this part of it.
    Syntax(&'static str),
    /// The value is not what was expected.
    Said(String),
}

impl Problem {
    fn syntax() -> Self {
        Self::unless("expected value")
    }

    /// Of what the whole text shows, or else this.
    #[cold]
    fn unless(otherwise: &'static str) -> Self {
        Self(Box::new(Kind::Syntax(otherwise)))
    }
}

impl Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Kind::Syntax(text) => f.write_str(text),
            Kind::Said(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for Problem {}

impl Error for Problem {
    #[cold]
    fn custom<T: Display>(message: T) -> Self {
        Self(Box::new(Kind::Said(message.to_string())))
    }

    #[cold]
    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        match found {
            Unexpected::Unit => {
                Self::custom(format_args!("invalid type: null, expected {expected}"))
            }
            found => Self::custom(format_args!("invalid type: {found}, expected {expected}")),
        }
    }
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

impl<'de> Deserializer<'de> for &mut Reader<'de> {
    type Error = Problem;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.peek() {
            b'{' => self.deserialize_map(visitor),
            b'[' => self.deserialize_seq(visitor),
            b'"' => self.deserialize_str(visitor),
            b'n' => self.deserialize_unit(visitor),
            b't' | b'f' => self.deserialize_bool(visitor),
            _ => self.deserialize_f64(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        let value = self.bool(&visitor)?;
        visitor.visit_bool(value)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.number(&visitor)? {
            Number::Positive(number) => visitor.visit_u64(number),
            Number::Negative(number) => visitor.visit_i64(number),
            Number::Float(number) => visitor.visit_f64(number),
        }
    }

    fn deserialize_i8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_i16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_i32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_u8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_u16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.string(&visitor)? {
            Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
            Cow::Owned(text) => visitor.visit_string(text),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        let name = self.string(&visitor)?;
        visitor.visit_str(&name)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        if self.peek() == b'n' {
            self.word("null")?;
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        if self.peek() != b'n' {
            return Err(self.wrong(&visitor));
        }
        self.word("null")?;
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Problem> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Problem> {
        if name == RAW {
            let text = Some(self.raw()?);
            return visitor.visit_map(Raw { text });
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.open(b'[', Step::Element(0), &visitor)?;
        let value = visitor.visit_seq(Elements {
            reader: self,
            index: 0,
        })?;
        self.close(b']')?;
        Ok(value)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.open(b'{', Step::Object, &visitor)?;
        let value = visitor.visit_map(Fields {
            reader: self,
            is_first: true,
        })?;
        self.close(b'}')?;
        Ok(value)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        let has_value = self.peek() != b'"';
        if has_value {
            self.open(b'{', Step::Object, &visitor)?;
            self.field(true)?;
        }
        let value = visitor.visit_enum(Variant {
            reader: self,
            has_value,
        })?;
        if has_value {
            self.close(b'}')?;
        }
        Ok(value)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.raw()?;
        visitor.visit_unit()
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Problem> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Problem> {
        self.deserialize_seq(visitor)
    }

    forward_to_deserialize_any! { char bytes byte_buf }
}

struct Fields<'r, 'de> {
    reader: &'r mut Reader<'de>,
    is_first: bool,
}

impl<'de> MapAccess<'de> for Fields<'_, 'de> {
    type Error = Problem;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Problem> {
        let is_first = std::mem::replace(&mut self.is_first, false);
        match self.reader.field(is_first)? {
            true => seed.deserialize(&mut *self.reader).map(Some),
            false => Ok(None),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Problem> {
        self.reader.expect(b':')?;
        seed.deserialize(&mut *self.reader)
    }
}

struct Elements<'r, 'de> {
    reader: &'r mut Reader<'de>,
    index: usize,
}

impl<'de> SeqAccess<'de> for Elements<'_, 'de> {
    type Error = Problem;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Problem> {
        if !self.reader.element(self.index)? {
            return Ok(None);
        }
        self.index += 1;
        seed.deserialize(&mut *self.reader).map(Some)
    }
}

/// A variant: its name alone, or an object with its name and its value.
struct Variant<'r, 'de> {
    reader: &'r mut Reader<'de>,
    has_value: bool,
}

impl<'de> Variant<'_, 'de> {
    fn value(&self, expected: &str) -> Result<(), Problem> {
        match self.has_value {
            true => Ok(()),
            false => Err(Problem::invalid_type(Unexpected::UnitVariant, &expected)),
        }
    }
}

impl<'de> EnumAccess<'de> for Variant<'_, 'de> {
    type Error = Problem;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Problem> {
        let name = seed.deserialize(&mut *self.reader)?;
        if self.has_value {
            self.reader.expect(b':')?;
        }
        Ok((name, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_, 'de> {
    type Error = Problem;

    fn unit_variant(self) -> Result<(), Problem> {
        match self.has_value {
            true => <()>::deserialize(self.reader),
            false => Ok(()),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Problem> {
        self.value("newtype variant")?;
        seed.deserialize(self.reader)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Problem> {
        self.value("tuple variant")?;
        self.reader.deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        self.value("struct variant")?;
        self.reader.deserialize_map(visitor)
    }
}

/// A value as it stands in the text, as `serde_json` takes it.
struct Raw<'de> {
    text: Option<&'de str>,
}

impl<'de> MapAccess<'de> for Raw<'de> {
    type Error = Problem;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Problem> {
        match self.text {
            Some(_) => seed
                .deserialize(BorrowedStrDeserializer::new(RAW))
                .map(Some),
            None => Ok(None),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Problem> {
        let text = self.text.take().unwrap_or_default();
        seed.deserialize(BorrowedStrDeserializer::new(text))
    }
}

#[cfg(test)]
mod tests;
