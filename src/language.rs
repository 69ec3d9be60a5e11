//! The caller's language: Spanish unless English is preferred.

/// A language that answers are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    /// Spanish, the default.
    #[default]
    Es,
    /// English.
    En,
}

impl Language {
    /// Reads an `Accept-Language` header (RFC 9110, 12.5.4). Whichever of the two has the higher
    /// weight wins; at equal weight the one named first.
    pub fn negotiate(header: Option<&str>) -> Self {
        let mut best = (0.0, Self::default());
        for range in header.unwrap_or_default().split(',') {
            let mut parts = range.split(';');
            let tag = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
            let weight = parts
                .find_map(|part| {
                    let (name, value) = part.split_once('=')?;
                    name.trim()
                        .eq_ignore_ascii_case("q")
                        .then(|| value.trim().parse::<f32>().unwrap_or(0.0))
                })
                .unwrap_or(1.0);
            let language = match tag.split('-').next() {
                // Whatever there is: the default.
                Some("es" | "*") => Self::Es,
                Some("en") => Self::En,
                _ => continue,
            };
            if weight > best.0 {
                best = (weight, language);
            }
        }
        best.1
    }

    /// The tag for `Content-Language`.
    pub fn tag(self) -> &'static str {
        match self {
            Self::Es => "es",
            Self::En => "en",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_decide() {
        assert_eq!(Language::negotiate(None), Language::Es);
        assert_eq!(Language::negotiate(Some("en-GB,en;q=0.9")), Language::En);
        assert_eq!(
            Language::negotiate(Some("fr, es;q=0.3, en;q=0.4")),
            Language::En
        );
        assert_eq!(Language::negotiate(Some("en;q=0, es")), Language::Es);
        assert_eq!(Language::negotiate(Some(";;;q=x,,")), Language::Es);
        assert_eq!(Language::negotiate(Some("en;Q=0.1,es;q=0.9")), Language::Es);
        assert_eq!(Language::negotiate(Some("*;q=0.5,en;q=0.1")), Language::Es);
        assert_eq!(Language::negotiate(Some("*;q=0.1,en;q=0.5")), Language::En);
    }
}
