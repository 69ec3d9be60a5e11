//! Text in the encoding of the standard fonts, and how wide it is.

use unicode_normalization::UnicodeNormalization;

/// A standard font.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Font {
    /// Helvetica.
    Regular,
    /// Helvetica-Bold.
    Bold,
}

/// An ellipsis.
const DOTS: u8 = 0x85;

/// What Windows-1252 has between 0x80 and 0x9F; the others are Latin-1. A space stands where it has nothing.
const HIGH: &str = "\u{20ac} \u{201a}\u{192}\u{201e}\u{2026}\u{2020}\u{2021}\u{2c6}\u{2030}\u{160}\u{2039}\u{152} \u{17d}  \
                    \u{2018}\u{2019}\u{201c}\u{201d}\u{2022}\u{2013}\u{2014}\u{2dc}\u{2122}\u{161}\u{203a}\u{153} \u{17e}\u{178}";

/// Letters that no mark makes, and what people write in their place; kinds of spaces and dashes.
const SIMILAR: &[(char, &str)] = &[
    ('\u{142}', "l"),
    ('\u{141}', "L"),
    ('\u{111}', "d"),
    ('\u{110}', "D"),
    ('\u{131}', "i"),
    ('\u{2212}', "-"),
    ('\u{2010}', "-"),
    ('\u{2011}', "-"),
    ('\u{202f}', " "),
    ('\u{2009}', " "),
    ('\u{2007}', " "),
    ('\u{200b}', ""),
    ('\u{ad}', ""),
    ('\u{feff}', ""),
];

/// The text in Windows-1252. A letter that is not in it loses its marks, and what has no likeness there is a
/// question mark.
pub fn encode(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    for c in text.nfc() {
        if let Some(byte) = byte_of(c) {
            bytes.push(byte);
        } else if let Some((_, similar)) = SIMILAR.iter().find(|(known, _)| *known == c) {
            bytes.extend(similar.bytes());
        } else {
            let plain: Vec<u8> = c.nfkd().filter_map(byte_of).collect();
            match plain.is_empty() {
                true => bytes.push(b'?'),
                false => bytes.extend(plain),
            }
        }
    }
    bytes
}

fn byte_of(c: char) -> Option<u8> {
    match u32::from(c) {
        0..=31 | 127 => Some(b' '),
        0xa0 => Some(b' '),
        code @ (32..=126 | 0xa1..=0xac | 0xae..=0xff) => u8::try_from(code).ok(),
        0xad => None,
        _ => {
            let place = HIGH.chars().position(|known| known == c)?;
            u8::try_from(0x80 + place).ok()
        }
    }
}

/// How wide encoded text is at a size, in points.
pub fn width(font: Font, size: f32, bytes: &[u8]) -> f32 {
    let widths = match font {
        Font::Regular => &REGULAR,
        Font::Bold => &BOLD,
    };
    let units: u32 = bytes
        .iter()
        .map(|byte| u32::from(widths[usize::from(byte.saturating_sub(32))]))
        .sum();
    units as f32 * size / 1000.0
}

/// Text broken into lines of at most `most` points; a word that is longer is broken as well.
pub fn wrapped(font: Font, size: f32, text: &str, most: f32) -> Vec<Vec<u8>> {
    let mut lines = Vec::new();
    let mut line: Vec<u8> = Vec::new();
    for word in text.split_whitespace() {
        let mut word = encode(word);
        loop {
            let mut longer = line.clone();
            if !longer.is_empty() {
                longer.push(b' ');
            }
            longer.extend(&word);
            if width(font, size, &longer) <= most {
                line = longer;
                break;
            }
            if !line.is_empty() {
                lines.push(std::mem::take(&mut line));
                continue;
            }
            let fitting = (1..=word.len())
                .rev()
                .find(|end| width(font, size, &word[..*end]) <= most)
                .unwrap_or(1);
            let rest = word.split_off(fitting);
            lines.push(std::mem::replace(&mut word, rest));
            if word.is_empty() {
                break;
            }
        }
    }
    if !line.is_empty() || lines.is_empty() {
        lines.push(line);
    }
    lines
}

/// [`wrapped`] in at most so many lines: what is longer ends in dots.
pub fn shortened(font: Font, size: f32, text: &str, most: f32, count: usize) -> Vec<Vec<u8>> {
    let mut lines = wrapped(font, size, text, most);
    if lines.len() > count {
        lines.truncate(count);
        if let Some(last) = lines.last_mut() {
            last.push(DOTS);
            while last.len() > 1 && width(font, size, last) > most {
                last.remove(last.len() - 2);
            }
        }
    }
    lines
}

/// Widths of the characters from 32 on, in thousandths of the size (Adobe Font Metrics).
#[rustfmt::skip]
const REGULAR: [u16; 224] = [
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278,
    556, 556, 556, 556, 556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556,
    1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833, 722, 778,
    667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556,
    333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556,
    556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584, 350,
    556, 350, 222, 556, 333, 1000, 556, 556, 333, 1000, 667, 333, 1000, 350, 611, 350,
    350, 222, 222, 333, 333, 350, 556, 1000, 333, 1000, 500, 333, 944, 350, 500, 667,
    278, 333, 556, 556, 556, 556, 260, 556, 333, 737, 370, 556, 584, 333, 737, 333,
    400, 584, 333, 333, 333, 556, 537, 278, 333, 333, 365, 556, 834, 834, 834, 611,
    667, 667, 667, 667, 667, 667, 1000, 722, 667, 667, 667, 667, 278, 278, 278, 278,
    722, 722, 778, 778, 778, 778, 778, 584, 778, 722, 722, 722, 722, 667, 667, 611,
    556, 556, 556, 556, 556, 556, 889, 500, 556, 556, 556, 556, 278, 278, 278, 278,
    556, 556, 556, 556, 556, 556, 556, 584, 611, 556, 556, 556, 556, 500, 556, 500,
];

/// The same for the bold font.
#[rustfmt::skip]
const BOLD: [u16; 224] = [
    278, 333, 474, 556, 556, 889, 722, 238, 333, 333, 389, 584, 278, 333, 278, 278,
    556, 556, 556, 556, 556, 556, 556, 556, 556, 556, 333, 333, 584, 584, 584, 611,
    975, 722, 722, 722, 722, 667, 611, 778, 722, 278, 556, 722, 611, 833, 722, 778,
    667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 333, 278, 333, 584, 556,
    333, 556, 611, 556, 611, 556, 333, 611, 611, 278, 278, 556, 278, 889, 611, 611,
    611, 611, 389, 556, 333, 611, 556, 778, 556, 556, 500, 389, 280, 389, 584, 350,
    556, 350, 278, 556, 500, 1000, 556, 556, 333, 1000, 667, 333, 1000, 350, 611, 350,
    350, 278, 278, 500, 500, 350, 556, 1000, 333, 1000, 556, 333, 944, 350, 500, 667,
    278, 333, 556, 556, 556, 556, 280, 556, 333, 737, 370, 556, 584, 333, 737, 333,
    400, 584, 333, 333, 333, 611, 556, 278, 333, 333, 365, 556, 834, 834, 834, 611,
    722, 722, 722, 722, 722, 722, 1000, 722, 667, 667, 667, 667, 278, 278, 278, 278,
    722, 722, 778, 778, 778, 778, 778, 584, 778, 722, 722, 722, 722, 667, 667, 611,
    556, 556, 556, 556, 556, 556, 889, 556, 556, 556, 556, 556, 278, 278, 278, 278,
    611, 611, 611, 611, 611, 611, 611, 584, 611, 611, 611, 611, 611, 556, 611, 556,
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_windows_1252_has() {
        assert_eq!(
            encode("áéñÑ¿¡ü€–"),
            [0xe1, 0xe9, 0xf1, 0xd1, 0xbf, 0xa1, 0xfc, 0x80, 0x96]
        );
        assert_eq!(encode("e\u{301}"), [0xe9], "composed first");
        assert_eq!(encode("Łódź\u{202f}−1"), b"L\xf3dz -1");
        assert_eq!(encode("日\n"), b"? ");
        assert_eq!(encode("\u{178}\u{17e}\u{2122}"), [0x9f, 0x9e, 0x99]);
    }

    #[test]
    fn widths_are_those_of_the_font() {
        assert!((width(Font::Regular, 10.0, b"Hello") - 22.78).abs() < 0.001);
        assert!((width(Font::Bold, 1000.0, b"A") - 722.0).abs() < 0.001);
    }

    proptest! {
        #[test]
        fn lines_fit_and_nothing_is_lost(text in "[ -~áéñ]{0,200}") {
            let lines = wrapped(Font::Regular, 9.0, &text, 100.0);
            prop_assert!(lines.iter().all(|line| width(Font::Regular, 9.0, line) <= 100.0));
            let letters = |bytes: &[u8]| bytes.iter().copied().filter(|b| *b != b' ').collect::<Vec<_>>();
            let kept: Vec<u8> = lines.iter().flat_map(|line| letters(line)).collect();
            prop_assert_eq!(kept, letters(&encode(&text)));
        }

        #[test]
        fn what_is_shortened_fits(text in "[ -~áéñ]{0,200}", count in 1_usize..5) {
            let lines = shortened(Font::Bold, 9.0, &text, 100.0, count);
            prop_assert!(lines.len() <= count && lines.iter().all(|line| width(Font::Bold, 9.0, line) <= 100.0));
            let whole = wrapped(Font::Bold, 9.0, &text, 100.0);
            prop_assert_eq!(lines == whole, whole.len() <= count);
        }

        #[test]
        fn no_text_panics(text in ".*") {
            let _ = wrapped(Font::Bold, 9.0, &text, 50.0);
        }
    }
}
