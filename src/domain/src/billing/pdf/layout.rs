//! Where things stand on the page.

use pdf_writer::{Content, Finish, Name, Pdf, Rect, Ref, Str, TextStr};

use super::Language;
use super::text::{Font, encode, shortened, width, wrapped};
use crate::billing::document::{Document, Kind, Party};

/// A4, in points.
const PAGE: (f32, f32) = (595.0, 842.0);
const LEFT: f32 = 50.0;
const RIGHT: f32 = PAGE.0 - 50.0;
const TOP: f32 = PAGE.1 - 56.0;
/// Nothing of the table goes below.
const BOTTOM: f32 = 80.0;
/// Right edges of the columns of numbers.
const COLUMNS: [f32; 4] = [330.0, 410.0, 470.0, RIGHT];
const DESCRIPTION: f32 = 235.0;
const LEADING: f32 = 12.5;
/// Lines that one text may take: whole sentences, and what fills them with capitals ends in dots.
const MOST_LINES: usize = 6;
/// The width of the words beside sums.
const LABEL: f32 = 320.0;

const INK: f32 = 0.13;
const GREY: f32 = 0.45;

/// Draws a document.
#[must_use]
pub fn render(document: &Document, language: Language) -> Vec<u8> {
    let mut sheets = Sheets::new(document, language);
    sheets.heading();
    sheets.parties();
    sheets.table();
    sheets.sums();
    sheets.file()
}

/// The pages while they are drawn.
struct Sheets<'a> {
    document: &'a Document,
    language: Language,
    pages: Vec<Content>,
    /// How high the next thing stands.
    y: f32,
}

impl<'a> Sheets<'a> {
    fn new(document: &'a Document, language: Language) -> Self {
        Self {
            document,
            language,
            pages: vec![Content::new()],
            y: TOP,
        }
    }

    fn say<'t>(&self, es: &'t str, en: &'t str) -> &'t str {
        match self.language {
            Language::Es => es,
            Language::En => en,
        }
    }

    fn page(&mut self) -> &mut Content {
        if self.pages.is_empty() {
            self.pages.push(Content::new());
        }
        let last = self.pages.len() - 1;
        &mut self.pages[last]
    }

    fn bytes(&mut self, x: f32, y: f32, (font, size, grey): (Font, f32, f32), bytes: &[u8]) {
        let name = match font {
            Font::Regular => Name(b"F1"),
            Font::Bold => Name(b"F2"),
        };
        self.page()
            .set_fill_gray(grey)
            .begin_text()
            .set_font(name, size)
            .set_text_matrix([1.0, 0.0, 0.0, 1.0, x, y])
            .show(Str(bytes))
            .end_text();
    }

    fn text(&mut self, x: f32, y: f32, style: (Font, f32, f32), text: &str) {
        self.bytes(x, y, style, &encode(text));
    }

    /// Text that ends at `x`.
    fn right(&mut self, x: f32, y: f32, style: (Font, f32, f32), text: &str) {
        let bytes = encode(text);
        let from = x - width(style.0, style.1, &bytes);
        self.bytes(from, y, style, &bytes);
    }

    fn rule(&mut self, y: f32, from: f32, thickness: f32, grey: f32) {
        self.page()
            .set_stroke_gray(grey)
            .set_line_width(thickness)
            .move_to(from, y)
            .line_to(RIGHT, y)
            .stroke();
    }

    fn heading(&mut self) {
        let document = self.document;
        let title = match document.kind {
            Kind::Invoice => self.say("Factura", "Invoice"),
            Kind::CreditNote => self.say("Nota de crédito", "Credit note"),
        };
        self.text(LEFT, TOP - 8.0, (Font::Bold, 24.0, INK), title);
        let mut facts = vec![
            (self.say("Número", "Number"), document.number.clone()),
            (self.say("Fecha", "Date"), document.issued_on.clone()),
            (self.say("Pedido", "Order"), document.order_number.clone()),
        ];
        if let Some(original) = &document.corrects {
            let label = match document.kind {
                Kind::CreditNote => self.say("Rectifica la factura", "Corrects invoice"),
                // Its refund failed: what the note took away is invoiced anew.
                Kind::Invoice => self.say("Anula la nota de crédito", "Cancels credit note"),
            };
            facts.push((label, original.clone()));
        }
        let mut y = TOP;
        for (label, value) in facts {
            self.right(RIGHT - 112.0, y, (Font::Regular, 9.0, GREY), label);
            self.right(RIGHT, y, (Font::Bold, 9.0, INK), &value);
            y -= LEADING + 1.5;
        }
        self.y = y.min(TOP - 40.0) - 10.0;
        self.rule(self.y, LEFT, 1.2, INK);
        self.y -= 24.0;
    }

    fn parties(&mut self) {
        let document = self.document;
        let from = self.say("De", "From").to_owned();
        let to = self.say("Para", "Bill to").to_owned();
        let top = self.y;
        let left = self.party(LEFT, top, &from, &document.seller);
        let right = self.party(LEFT + 260.0, top, &to, &document.buyer);
        self.y = left.min(right) - 22.0;
    }

    fn party(&mut self, x: f32, top: f32, label: &str, party: &Party) -> f32 {
        self.text(x, top, (Font::Bold, 8.0, GREY), &label.to_uppercase());
        let mut y = top - 15.0;
        for line in shortened(Font::Bold, 11.0, &party.name, 230.0, MOST_LINES) {
            self.bytes(x, y, (Font::Bold, 11.0, INK), &line);
            y -= 14.0;
        }
        let tax_id = party.tax_id.as_ref();
        let tax_id = tax_id.map(|id| format!("{}: {id}", self.say("NIF / ID fiscal", "Tax ID")));
        let lines = tax_id.iter().chain(&party.address).chain(&party.email);
        for text in lines {
            for line in shortened(Font::Regular, 9.0, text, 230.0, MOST_LINES) {
                self.bytes(x, y, (Font::Regular, 9.0, INK), &line);
                y -= LEADING;
            }
        }
        y
    }

    /// The heads of the columns.
    fn heads(&mut self) {
        let heads = [
            self.say("Cantidad", "Quantity").to_owned(),
            self.say("Precio", "Unit price").to_owned(),
            self.say("Descuento", "Discount").to_owned(),
            format!(
                "{} ({})",
                self.say("Importe", "Amount"),
                self.document.currency
            ),
        ];
        let y = self.y;
        self.page()
            .set_fill_gray(0.94)
            .rect(LEFT - 6.0, y - 6.0, RIGHT - LEFT + 12.0, 19.0)
            .fill_nonzero();
        let style = (Font::Bold, 8.5, INK);
        let what = self.say("Descripción", "Description").to_owned();
        self.text(LEFT, y, style, &what);
        for (x, head) in COLUMNS.into_iter().zip(heads) {
            self.right(x, y, style, &head);
        }
        self.y -= 22.0;
    }

    /// Begins another page where there is no room for so much.
    fn need(&mut self, height: f32) -> bool {
        if self.y - height >= BOTTOM {
            return false;
        }
        self.pages.push(Content::new());
        self.y = TOP;
        true
    }

    fn table(&mut self) {
        self.heads();
        let style = (Font::Regular, 9.0, INK);
        for line in &self.document.lines {
            let text = &line.description;
            let words = shortened(Font::Regular, 9.0, text, DESCRIPTION, MOST_LINES);
            let height = words.len() as f32 * LEADING;
            if self.need(height) {
                self.heads();
            }
            let y = self.y;
            let numbers = [
                line.quantity.to_string(),
                line.unit_price.clone(),
                line.discount.clone(),
                line.amount.clone(),
            ];
            for (x, number) in COLUMNS.into_iter().zip(numbers) {
                self.right(x, y, style, &number);
            }
            for (row, bytes) in words.iter().enumerate() {
                self.bytes(LEFT, y - row as f32 * LEADING, style, bytes);
            }
            self.y -= height;
            self.rule(self.y + 5.0, LEFT, 0.4, 0.85);
            self.y -= 7.0;
        }
    }

    fn sums(&mut self) {
        let document = self.document;
        let is_zero = |text: &str| text.bytes().all(|b| matches!(b, b'0' | b'.'));
        let mut rows = vec![(
            self.say("Subtotal", "Subtotal").to_owned(),
            document.subtotal.clone(),
        )];
        if !is_zero(&document.discount) {
            rows.push((
                self.say("Descuento", "Discount").to_owned(),
                format!("-{}", document.discount),
            ));
        }
        for tax in &document.taxes {
            let of = self.say("sobre", "of");
            rows.push((
                format!("{} {} % {of} {}", tax.name, tax.rate, tax.base),
                tax.amount.clone(),
            ));
        }
        let exempt = document.taxes.iter().any(|tax| tax.exempt);
        let rows: Vec<_> = rows
            .iter()
            .map(|(label, amount)| (wrapped(Font::Regular, 9.0, label, LABEL), amount))
            .collect();
        let lines: usize = rows.iter().map(|(label, _)| label.len()).sum();
        self.need(lines as f32 * 15.0 + 70.0);
        self.y -= 8.0;
        for (label, amount) in rows {
            let y = self.y;
            self.right(RIGHT, y, (Font::Regular, 9.0, INK), amount);
            for line in label {
                let x = COLUMNS[2] - width(Font::Regular, 9.0, &line);
                let y = self.y;
                self.bytes(x, y, (Font::Regular, 9.0, GREY), &line);
                self.y -= 15.0;
            }
        }
        self.rule(self.y + 8.0, 330.0, 0.8, INK);
        self.y -= 8.0;
        let total = match document.kind {
            Kind::Invoice => self.say("Total pagado", "Total paid"),
            Kind::CreditNote => self.say("Total devuelto", "Total refunded"),
        };
        let total = format!("{total} ({})", document.currency);
        let y = self.y;
        self.right(COLUMNS[2], y, (Font::Bold, 11.0, INK), &total);
        self.right(RIGHT, y, (Font::Bold, 11.0, INK), &document.total);
        self.y -= 30.0;
        if exempt {
            let note = self.say(
                "Inversión del sujeto pasivo: el impuesto corresponde al destinatario.",
                "Reverse charge: the recipient accounts for the tax.",
            );
            let y = self.y;
            self.text(LEFT, y, (Font::Regular, 9.0, INK), note);
        }
    }

    /// Numbers the pages and writes the file.
    fn file(mut self) -> Vec<u8> {
        let count = self.pages.len();
        let pages = std::mem::take(&mut self.pages);
        let mut done = Vec::with_capacity(count);
        for (index, page) in pages.into_iter().enumerate() {
            self.pages = vec![page];
            let number = match self.language {
                Language::Es => format!("Página {} de {count}", index + 1),
                Language::En => format!("Page {} of {count}", index + 1),
            };
            let foot = format!("{} · {}", self.document.seller.name, self.document.number);
            let foot = wrapped(Font::Regular, 8.0, &foot, 380.0).swap_remove(0);
            self.rule(56.0, LEFT, 0.4, 0.8);
            self.bytes(LEFT, 42.0, (Font::Regular, 8.0, GREY), &foot);
            self.right(RIGHT, 42.0, (Font::Regular, 8.0, GREY), &number);
            done.append(&mut self.pages);
        }
        write(self.document, self.language, done)
    }
}

fn write(document: &Document, language: Language, contents: Vec<Content>) -> Vec<u8> {
    let reference = |number: usize| Ref::new(i32::try_from(number).unwrap_or(i32::MAX));
    let (catalog, tree, info) = (reference(1), reference(2), reference(3));
    let fonts = [
        (Name(b"F1"), reference(4), Name(b"Helvetica")),
        (Name(b"F2"), reference(5), Name(b"Helvetica-Bold")),
    ];
    let places: Vec<_> = (0..contents.len())
        .map(|index| (reference(6 + 2 * index), reference(7 + 2 * index)))
        .collect();
    let mut pdf = Pdf::new();
    pdf.catalog(catalog)
        .pages(tree)
        .lang(TextStr(match language {
            Language::Es => "es",
            Language::En => "en",
        }));
    pdf.pages(tree)
        .kids(places.iter().map(|(page, _)| *page))
        .count(i32::try_from(places.len()).unwrap_or(i32::MAX));
    pdf.document_info(info)
        .title(TextStr(&document.number))
        .author(TextStr(&document.seller.name))
        .producer(TextStr("CELAEST Core"));
    for (_, font, base) in fonts {
        pdf.type1_font(font)
            .base_font(base)
            .encoding_predefined(Name(b"WinAnsiEncoding"));
    }
    for ((page, content), drawn) in places.into_iter().zip(contents) {
        let mut sheet = pdf.page(page);
        sheet
            .media_box(Rect::new(0.0, 0.0, PAGE.0, PAGE.1))
            .parent(tree)
            .contents(content);
        let mut resources = sheet.resources();
        let mut known = resources.fonts();
        for (name, font, _) in fonts {
            known.pair(name, font);
        }
        known.finish();
        resources.finish();
        sheet.finish();
        pdf.stream(content, &drawn.finish());
    }
    pdf.finish()
}

#[cfg(test)]
mod tests;
