//! What may be wrong with a value, in both languages.

mod ai;
mod parsers;
mod values;

/// Sentences with a `{}` wherever a value stands; the values keep their order. Of those that fit the one that says most counts.
pub const SPANISH: [&[(&str, &str)]; 3] = [parsers::SENTENCES, values::SENTENCES, ai::SENTENCES];
