//! What somebody types to find something: its words, and where they are in a text.

/// Words of a search; further ones are left out.
pub const MAX_WORDS: usize = 8;
/// The longest word, in characters; what is beyond is left out.
const MAX_WORD: usize = 40;
/// How much two words must have in common to be taken for one another.
const ALIKE: f64 = 0.45;
/// Characters of a piece of text around what was found.
const PIECE: usize = 240;

/// The words of a text that somebody typed, as they are: letters and digits.
#[must_use]
pub fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(|word| word.chars().take(MAX_WORD).collect())
        .take(MAX_WORDS)
        .collect()
}

/// A word as it is compared: small letters without accents.
#[must_use]
pub fn folded(word: &str) -> String {
    word.chars()
        .flat_map(char::to_lowercase)
        .map(|c| match c {
            'á' | 'à' | 'â' | 'ä' | 'ã' | 'å' => 'a',
            'é' | 'è' | 'ê' | 'ë' => 'e',
            'í' | 'ì' | 'î' | 'ï' => 'i',
            'ó' | 'ò' | 'ô' | 'ö' | 'õ' | 'ø' => 'o',
            'ú' | 'ù' | 'û' | 'ü' => 'u',
            'ñ' => 'n',
            'ç' => 'c',
            'ý' | 'ÿ' => 'y',
            other => other,
        })
        .collect()
}

/// A word with what it is compared by.
struct Word {
    text: String,
    /// In order, each once.
    trigrams: Vec<[char; 3]>,
}

impl Word {
    fn new(word: &str) -> Self {
        let text = folded(word);
        let padded: Vec<char> = "  ".chars().chain(text.chars()).chain([' ']).collect();
        let mut trigrams: Vec<_> = padded
            .windows(3)
            .map(|three| [three[0], three[1], three[2]])
            .collect();
        trigrams.sort_unstable();
        trigrams.dedup();
        Self { text, trigrams }
    }

    /// Whether it is one that was looked for: it begins with it, is another form of it, or is it but for a slip.
    fn is_found(&self, wanted: &Self) -> bool {
        if self.text.starts_with(&wanted.text) {
            return true;
        }
        let common = self
            .text
            .chars()
            .zip(wanted.text.chars())
            .take_while(|(one, other)| one == other)
            .count();
        // Another ending of the same word.
        if common >= 5 && common + 3 >= wanted.text.chars().count() {
            return true;
        }
        let (one, other) = (&self.trigrams, &wanted.trigrams);
        let (less, more) = (one.len().min(other.len()), one.len().max(other.len()));
        // Words of such different lengths have not enough in common, whatever they are.
        if (less as f64) < ALIKE * more as f64 {
            return false;
        }
        let shared = one
            .iter()
            .filter(|three| other.binary_search(three).is_ok())
            .count();
        shared as f64 / (one.len() + other.len() - shared) as f64 >= ALIKE
    }
}

/// A text as HTML in which the words that were looked for are marked with `<mark>`; of a long one the piece
/// around the first. None where nothing is found.
#[must_use]
pub fn highlighted(text: &str, wanted: &[String]) -> Option<String> {
    let wanted: Vec<_> = wanted.iter().map(|word| Word::new(word)).collect();
    let mut places = Vec::new();
    let mut end = text.len();
    let mut start = None;
    for (at, c) in text.char_indices().chain([(text.len(), ' ')]) {
        match (c.is_alphanumeric(), start) {
            (true, None) => start = Some(at),
            (false, Some(from)) => {
                // Nothing beyond the piece is shown.
                if from > end {
                    break;
                }
                let word = Word::new(&text[from..at]);
                if wanted.iter().any(|one| word.is_found(one)) {
                    if places.is_empty() {
                        (_, end) = piece(text, from);
                    }
                    places.push((from, at));
                }
                start = None;
            }
            _ => {}
        }
    }
    let (first, _) = *places.first()?;
    let (from, to) = piece(text, first);
    let mut marked = String::new();
    if from > 0 {
        marked.push('…');
    }
    let mut at = from;
    for (begin, end) in places {
        if begin < from || end > to {
            continue;
        }
        escape(&text[at..begin], &mut marked);
        marked.push_str("<mark>");
        escape(&text[begin..end], &mut marked);
        marked.push_str("</mark>");
        at = end;
    }
    escape(&text[at..to], &mut marked);
    if to < text.len() {
        marked.push('…');
    }
    Some(marked)
}

/// Where the piece of a text begins and ends that shows what is at `first`.
fn piece(text: &str, first: usize) -> (usize, usize) {
    if text.chars().count() <= PIECE {
        return (0, text.len());
    }
    let before = text[..first].char_indices().rev().nth(PIECE / 3);
    // From the beginning of a word on.
    let from = before.map_or(0, |(at, _)| {
        text[at..first].find(' ').map_or(first, |gap| at + gap + 1)
    });
    let to = text[from..]
        .char_indices()
        .nth(PIECE)
        .map_or(text.len(), |(at, _)| from + at);
    (from, to)
}

/// Adds a text to HTML as text.
pub(super) fn escape(text: &str, html: &mut String) {
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            other => html.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn marked(text: &str, asked: &str) -> Option<String> {
        highlighted(text, &words(asked))
    }

    #[test]
    fn words_are_letters_and_digits() {
        assert_eq!(
            words("  gestión de-cobros, 2.0'); DROP"),
            ["gestión", "de", "cobros", "2", "0", "DROP"]
        );
        assert_eq!(words("& | ! <-> :*"), Vec::<String>::new());
        assert_eq!(words(&"x ".repeat(50)).len(), MAX_WORDS);
        assert_eq!(words(&"y".repeat(500))[0].len(), MAX_WORD);
    }

    #[test]
    fn what_was_found_is_marked() {
        for (text, asked, expected) in [
            (
                "Gestor de Automatización",
                "automatizacion",
                "Gestor de <mark>Automatización</mark>",
            ),
            (
                "Gestor de licencias",
                "lice",
                "Gestor de <mark>licencias</mark>",
            ),
            (
                "Gestor de licencias",
                "lisencias",
                "Gestor de <mark>licencias</mark>",
            ),
            (
                "Automatizaciones",
                "automatización",
                "<mark>Automatizaciones</mark>",
            ),
            (
                "a <b>bold</b> & b",
                "bold",
                "a &lt;b&gt;<mark>bold</mark>&lt;/b&gt; &amp; b",
            ),
        ] {
            assert_eq!(marked(text, asked).as_deref(), Some(expected), "{asked}");
        }
        assert_eq!(marked("Panel de rutas", "factura"), None);
    }

    #[test]
    fn of_a_long_text_a_piece_is_shown() {
        let text = format!("{} aguja {}", "paja ".repeat(100), "paja ".repeat(100));
        let shown = marked(&text, "aguja").unwrap();
        assert!(shown.contains("<mark>aguja</mark>") && shown.chars().count() < PIECE + 20);
        assert!(shown.starts_with("…paja") && shown.ends_with('…'));
    }

    proptest! {
        #[test]
        fn nothing_but_marks_is_html(text in ".{0,600}", asked in ".{0,40}") {
            if let Some(shown) = marked(&text, &asked) {
                let bare = shown.replace("<mark>", "").replace("</mark>", "");
                prop_assert!(!bare.contains(['<', '>', '"']));
            }
        }
    }
}
