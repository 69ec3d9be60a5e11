//! What a report is; the one statement that answers it is made in [`statement`].

mod statement;

use uuid::Uuid;

pub use statement::header;

/// What a measure counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Things.
    Count,
    /// Money, in the currency that is asked about.
    Money,
    /// US dollars.
    Usd,
    /// A part of one.
    Ratio,
    /// Hundredths.
    Percent,
    /// Milliseconds.
    Ms,
    /// Hours.
    Hours,
    /// Tokens of models.
    Tokens,
}

impl Unit {
    /// In SQL.
    fn text(self) -> &'static str {
        match self {
            Self::Count => "'count'",
            Self::Money => "$8",
            Self::Usd => "'USD'",
            Self::Ratio => "'ratio'",
            Self::Percent => "'percent'",
            Self::Ms => "'ms'",
            Self::Hours => "'hours'",
            Self::Tokens => "'tokens'",
        }
    }
}

/// A number that a report has.
#[derive(Debug)]
pub struct Measure {
    /// Its name; `docs/metrics.md` defines it.
    pub name: &'static str,
    /// What it counts.
    pub unit: Unit,
    /// How it is made of `facts f`, whatever they are grouped by.
    pub sql: &'static str,
    /// Why there is none when there is none.
    pub missing: Option<&'static str>,
    /// It is only of an organization, and nobody's own.
    pub is_shared: bool,
    /// It is only of kinds of things, and of no time.
    pub is_timeless: bool,
}

/// A measure that there always is.
pub const fn measure(name: &'static str, unit: Unit, sql: &'static str) -> Measure {
    Measure {
        name,
        unit,
        sql,
        missing: None,
        is_shared: false,
        is_timeless: false,
    }
}

impl Measure {
    /// There may be nothing to divide by, and this is why.
    pub const fn or(mut self, missing: &'static str) -> Self {
        self.missing = Some(missing);
        self
    }

    /// It is what there is now.
    pub const fn timeless(mut self) -> Self {
        self.is_timeless = true;
        self
    }

    /// Nobody has it alone.
    pub const fn shared(mut self) -> Self {
        self.is_shared = true;
        self
    }
}

/// A kind of things that a report's numbers are of.
#[derive(Debug)]
pub struct Group {
    /// The kind.
    pub by: &'static str,
    /// Which of them a fact is of: a column of `f`.
    pub key: &'static str,
    /// Where their facts `f` are found, in spans `s`.
    pub from: &'static str,
    /// What people call the thing `k.key`.
    pub label: &'static str,
    /// Its measures, that by which they are ordered first.
    pub measures: &'static [&'static str],
    /// Its facts can be told apart by person, and by product.
    pub by_person: bool,
    /// See `by_person`.
    pub by_product: bool,
}

impl Group {
    /// Things that are called by their key, whose facts can be told apart by person and by product.
    pub const fn of(
        by: &'static str,
        key: &'static str,
        from: &'static str,
        measures: &'static [&'static str],
    ) -> Self {
        Self {
            by,
            key,
            from,
            label: "k.key",
            measures,
            by_person: true,
            by_product: true,
        }
    }

    /// The same, called by what `label` finds.
    pub const fn called(mut self, label: &'static str) -> Self {
        self.label = label;
        self
    }

    /// The same with facts that are nobody's.
    pub const fn of_nobody(mut self) -> Self {
        self.by_person = false;
        self
    }

    /// The same with facts that are of no product.
    pub const fn of_no_product(mut self) -> Self {
        self.by_product = false;
        self
    }
}

/// A report.
#[derive(Debug)]
pub struct Report {
    /// What the export calls it.
    pub name: &'static str,
    /// Where it is.
    pub path: &'static str,
    /// Everybody may have it of what is their own.
    pub is_own: bool,
    /// Of which kinds its facts are.
    pub kinds: &'static str,
    /// What it can be narrowed by.
    pub filters: &'static [&'static str],
    /// CTEs of which the last is `facts`: rows with `which` span and the `place` of the bucket they are of.
    pub facts: &'static str,
    /// The CTE with all `currency`s, if there are several.
    pub currencies: Option<&'static str>,
    /// Its numbers.
    pub measures: &'static [&'static Measure],
    /// By what.
    pub groups: &'static [Group],
    /// Where the facts `f` of the first group are found in buckets `b`, if the report's lines are its ten largest things
    /// and not its measures.
    pub split: Option<&'static str>,
}

/// What comes of the statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// [`super::model::Answer`].
    Answer,
    /// Arrays of texts, as a table has them.
    Texts,
    /// Objects.
    Objects,
}

/// Whose numbers are asked for.
#[derive(Debug, Clone, Copy)]
pub struct Whose {
    /// The organization's; none for all together.
    pub organization: Option<Uuid>,
    /// This person's alone.
    pub person: Option<Uuid>,
}
