//! Variables that hold a secret or, while it is being changed, several of them.

/// The secrets of a variable, the newest last: separated by commas, with or without spaces around them.
/// There is always one; it may be empty, which is for the reader to refuse.
pub fn listed(text: &str) -> impl DoubleEndedIterator<Item = &str> {
    text.split(',').map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::listed;

    #[test]
    fn one_or_several() {
        let read = |text| listed(text).collect::<Vec<_>>();
        assert_eq!(read("one"), ["one"]);
        assert_eq!(read(" old , new "), ["old", "new"]);
        assert_eq!(read("old,"), ["old", ""]);
        assert_eq!(listed("old,new").next_back(), Some("new"));
    }
}
