//! Release notes: Markdown that vendors write, as HTML that is safe to show.
//!
//! HTML inside the Markdown is dropped, links lead to the web or to a mailbox, pictures are their text, and
//! every other character is escaped: whatever is written, only the tags below come out.

use super::search::escape;
use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Parser, Tag, TagEnd};
use url::Url;

/// The longest notes, in characters.
pub const MAX_NOTES: usize = 20_000;
/// Things inside one another that are shown as such; deeper ones are flat.
const MAX_NESTED: usize = 20;

/// The Markdown as HTML.
#[must_use]
pub fn html(markdown: &str) -> String {
    let mut html = String::with_capacity(markdown.len() * 2);
    let mut open: Vec<Option<&'static str>> = Vec::new();
    // Of those that are open, how many are shown.
    let mut shown = 0;
    for event in Parser::new(markdown) {
        match event {
            Event::Start(tag) => {
                let deep = shown >= MAX_NESTED;
                let name = if deep { None } else { begin(&tag, &mut html) };
                shown += usize::from(name.is_some());
                open.push(name);
            }
            Event::End(end) => {
                if let Some(name) = open.pop().flatten() {
                    shown -= 1;
                    html.push_str("</");
                    html.push_str(name);
                    html.push('>');
                    if matches!(end, TagEnd::CodeBlock) {
                        html.push_str("</pre>");
                    }
                }
            }
            Event::Text(text) => escape(&text, &mut html),
            Event::Code(text) => {
                html.push_str("<code>");
                escape(&text, &mut html);
                html.push_str("</code>");
            }
            Event::SoftBreak => html.push('\n'),
            Event::HardBreak => html.push_str("<br>"),
            Event::Rule => html.push_str("<hr>"),
            // HTML, and extensions that are switched off.
            _ => {}
        }
    }
    html
}

/// Opens a tag, and says which.
fn begin(tag: &Tag<'_>, html: &mut String) -> Option<&'static str> {
    let name = match tag {
        Tag::Paragraph => "p",
        // The page that shows it has a first heading.
        Tag::Heading { level, .. } => match level {
            HeadingLevel::H1 | HeadingLevel::H2 => "h2",
            HeadingLevel::H3 => "h3",
            _ => "h4",
        },
        Tag::BlockQuote(_) => "blockquote",
        Tag::CodeBlock(kind) => {
            html.push_str("<pre>");
            if let CodeBlockKind::Fenced(language) = kind
                && !language.is_empty()
            {
                html.push_str("<code class=\"language-");
                let word = language.split_whitespace().next().unwrap_or_default();
                escape(word, html);
                html.push_str("\">");
                return Some("code");
            }
            "code"
        }
        Tag::List(Some(1)) => "ol",
        Tag::List(Some(start)) => {
            html.push_str("<ol start=\"");
            html.push_str(&start.to_string());
            html.push_str("\">");
            return Some("ol");
        }
        Tag::List(None) => "ul",
        Tag::Item => "li",
        Tag::Emphasis => "em",
        Tag::Strong => "strong",
        Tag::Link { dest_url, .. } => {
            let url = safe_link(dest_url)?;
            html.push_str("<a href=\"");
            escape(&url, html);
            html.push_str("\" rel=\"nofollow noopener noreferrer\">");
            return Some("a");
        }
        _ => return None,
    };
    html.push('<');
    html.push_str(name);
    html.push('>');
    Some(name)
}

/// Where a link may lead, as a browser reads it.
fn safe_link(text: &str) -> Option<String> {
    let url = Url::parse(text.trim()).ok()?;
    let safe = match url.scheme() {
        "https" | "http" => url.username().is_empty() && url.password().is_none(),
        "mailto" => true,
        _ => false,
    };
    safe.then(|| url.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn markdown_becomes_html() {
        for (markdown, expected) in [
            (
                "# New\n\n- *one*\n- **two** `x<y`",
                "<h2>New</h2><ul><li><em>one</em></li><li><strong>two</strong> <code>x&lt;y</code></li></ul>",
            ),
            ("a\nb  \nc", "<p>a\nb<br>c</p>"),
            (
                "```rust\nlet x = \"&\";\n```",
                "<pre><code class=\"language-rust\">let x = &quot;&amp;&quot;;\n</code></pre>",
            ),
            ("3. c", "<ol start=\"3\"><li>c</li></ol>"),
            (
                "[site](https://a.test/?x=1&y=2)",
                "<p><a href=\"https://a.test/?x=1&amp;y=2\" rel=\"nofollow noopener noreferrer\">site</a></p>",
            ),
            ("![alt](https://a.test/x.png)", "<p>alt</p>"),
        ] {
            assert_eq!(html(markdown), expected, "{markdown}");
        }
    }

    #[test]
    fn what_would_run_does_not() {
        for attack in [
            "<script>alert(1)</script>",
            "a <img src=x onerror=alert(1)> b",
            "[x](javascript:alert(1))",
            "[x](JaVaScRiPt:alert(1))",
            "[x](data:text/html;base64,PHN2Zz4=)",
            "[x](vbscript:x)",
            "[x](&#106;avascript:alert(1))",
            "[x](java\tscript:alert(1))",
            "<javascript:alert(1)>",
            "[x](https://user:secret@a.test/)",
            "```\"><script>\nx\n```",
            "[x](https://a.test/\"onmouseover=\"alert(1))",
        ] {
            let made = html(attack).to_lowercase();
            for sign in [
                "<script",
                "<img",
                "href=\"javascript",
                "href=\"data",
                "href=\"vbscript",
                "secret@",
                " onmouseover=\"",
            ] {
                assert!(!made.contains(sign), "{attack}: {made}");
            }
        }
    }

    #[test]
    fn nesting_has_an_end() {
        let made = html(&">".repeat(5_000));
        assert!(made.matches("<blockquote>").count() <= MAX_NESTED);
    }

    proptest! {
        #[test]
        fn every_tag_is_one_of_ours_and_closed(markdown in "[a-z<>\\[\\]()*_`#\"':/ \n&!-]{0,200}") {
            let made = html(&markdown);
            let mut open = Vec::new();
            for piece in made.split('<').skip(1) {
                let tag = piece.split('>').next().unwrap_or_default();
                let name = tag.trim_start_matches('/').split(' ').next().unwrap_or_default();
                prop_assert!(["p", "h2", "h3", "h4", "blockquote", "pre", "code", "ol", "ul", "li", "em", "strong", "a", "br", "hr"].contains(&name), "{}", tag);
                if ["br", "hr"].contains(&name) { continue; }
                if tag.starts_with('/') {
                    prop_assert_eq!(open.pop(), Some(name.to_owned()));
                } else {
                    open.push(name.to_owned());
                }
            }
            prop_assert!(open.is_empty());
        }
    }
}
