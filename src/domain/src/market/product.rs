//! The life of a product.

use serde::{Deserialize, Serialize};

/// What becomes of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "ProductStatus"))]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Only its vendor sees it.
    Draft,
    /// Announced by its vendor, not in the catalogue yet.
    ComingSoon,
    /// On sale.
    Published,
    /// No longer on sale.
    Archived,
}

impl Status {
    /// The database's spelling.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::ComingSoon => "coming_soon",
            Self::Published => "published",
            Self::Archived => "archived",
        }
    }

    /// Whether it may become `next`. What was on sale is archived, and never a draft
    /// again: somebody may own it.
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        match (self, next) {
            (Self::Draft | Self::ComingSoon, _) => true,
            (Self::Published | Self::Archived, Self::Published | Self::Archived) => true,
            (Self::Published | Self::Archived, Self::Draft | Self::ComingSoon) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_on_sale_is_never_a_draft_again() {
        use Status::{Archived, ComingSoon, Draft, Published};
        for first in [Published, Archived] {
            assert!(!first.may_become(Draft) && !first.may_become(ComingSoon));
            assert!(first.may_become(Published) && first.may_become(Archived));
        }
        for first in [Draft, ComingSoon] {
            for next in [Draft, ComingSoon, Published, Archived] {
                assert!(first.may_become(next));
            }
        }
    }
}
