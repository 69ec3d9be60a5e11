use super::*;
use crate::billing::document::{Line, Tax};
use proptest::prelude::*;

fn document(lines: usize) -> Document {
    let text = str::to_owned;
    Document {
        kind: Kind::Invoice,
        number: text("INV-2026-000042"),
        issued_on: text("2026-03-01"),
        order_number: text("ORD-2026-000117"),
        corrects: None,
        currency: text("EUR"),
        seller: Party {
            name: text("Açaí Software, S. L."),
            tax_id: Some(text("B12345674")),
            address: vec![text("C/ Ñuño 3, 2.º ª"), text("28001 Madrid"), text("ES")],
            email: Some(text("facturas@acai.example")),
        },
        buyer: Party {
            name: text("Müller & Söhne"),
            address: vec![text("Straße 1"), text("DE")],
            ..Party::default()
        },
        lines: (0..lines)
            .map(|index| Line {
                description: format!("Licencia anual n.º {index} – €"),
                quantity: 1,
                unit_price: text("100.00"),
                discount: text("10.00"),
                amount: text("90.00"),
            })
            .collect(),
        subtotal: text("100.00"),
        discount: text("10.00"),
        taxes: vec![Tax {
            name: text("IVA"),
            rate: text("21"),
            base: text("90.00"),
            amount: text("18.90"),
            exempt: false,
        }],
        tax: text("18.90"),
        total: text("108.90"),
    }
}

fn has(pdf: &[u8], bytes: &[u8]) -> bool {
    pdf.windows(bytes.len()).any(|window| window == bytes)
}

#[test]
fn one_document_has_one_file() {
    let first = render(&document(3), Language::Es);
    assert!(first.starts_with(b"%PDF-1."));
    assert_eq!(first, render(&document(3), Language::Es));
    assert_ne!(first, render(&document(3), Language::En));
}

#[test]
fn letters_and_the_euro_sign_are_in_the_encoding_of_the_fonts() {
    let pdf = render(&document(1), Language::Es);
    assert!(has(&pdf, b"WinAnsiEncoding"));
    assert!(has(&pdf, b"INV-2026-000042"));
    assert!(has(&pdf, b"(EUR)") || has(&pdf, b"\\(EUR\\)"));
}

#[test]
fn what_a_document_corrects_is_called_what_it_is() {
    let corrects = |kind| {
        let mut document = document(1);
        document.kind = kind;
        document.corrects = Some("X-2026-000001".into());
        render(&document, Language::En)
    };
    let (note, invoice) = (corrects(Kind::CreditNote), corrects(Kind::Invoice));
    assert!(has(&note, b"Corrects invoice") && !has(&note, b"Cancels credit note"));
    assert!(has(&invoice, b"Cancels credit note") && !has(&invoice, b"Corrects invoice"));
}

#[test]
fn many_lines_take_many_pages() {
    let pages = |lines| {
        let pdf = render(&document(lines), Language::En);
        let text = String::from_utf8_lossy(&pdf).into_owned();
        text.matches("/Type /Page\n").count()
    };
    assert_eq!(pages(5), 1);
    assert!(pages(40) >= 2 && pages(200) >= 6);
}

/// Where each text begins and ends, and how high it stands.
fn places(pdf: &[u8]) -> Vec<(f32, f32, f32)> {
    let pdf: String = pdf.iter().map(|byte| char::from(*byte)).collect();
    let texts = pdf.split("BT\n").skip(1);
    texts
        .map(|text| {
            let lines: Vec<&str> = text.lines().collect();
            let words = |place: usize| lines[place].split(' ').collect::<Vec<_>>();
            let number = |word: &str| word.parse::<f32>().unwrap();
            let font = match words(0)[0] {
                "/F1" => Font::Regular,
                _ => Font::Bold,
            };
            let shown = lines[2].strip_suffix(" Tj").unwrap();
            let bytes: Vec<u8> = match shown.strip_prefix('<') {
                Some(hex) => hex
                    .as_bytes()
                    .chunks_exact(2)
                    .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
                    .collect(),
                None => shown[1..shown.len() - 1]
                    .replace('\\', "")
                    .bytes()
                    .collect(),
            };
            let (x, y) = (number(words(1)[4]), number(words(1)[5]));
            (x, x + width(font, number(words(0)[1]), &bytes), y)
        })
        .collect()
}

#[test]
fn the_longest_texts_stay_on_the_page() {
    for letter in ["W", "Word ", "ñ", "m. "] {
        let long = |count: usize| letter.repeat(count).chars().take(count).collect::<String>();
        let party = || Party {
            name: long(255),
            tax_id: Some("W".repeat(20)),
            address: [255, 255, 221, 2].map(long).to_vec(),
            email: Some(long(255)),
        };
        let mut document = Document {
            seller: party(),
            buyer: party(),
            ..document(3)
        };
        for line in &mut document.lines {
            line.description = long(255);
        }
        document.taxes[0].name = long(100);
        for language in [Language::Es, Language::En] {
            for (from, to, y) in places(&render(&document, language)) {
                assert!(from >= LEFT && to <= RIGHT + 0.01, "{from} to {to}");
                assert!((40.0..PAGE.1).contains(&y), "{y}");
            }
        }
    }
}

proptest! {
    #[test]
    fn no_document_panics(name in ".*", description in ".*", amount in ".*", lines in 0_usize..60) {
        let mut document = document(lines);
        document.seller.name = name;
        for line in &mut document.lines {
            line.description.clone_from(&description);
            line.amount.clone_from(&amount);
        }
        let _ = render(&document, Language::Es);
    }
}
