use super::*;
use serde_json::json;

const DASHBOARD: Option<&str> = Some("https://dash.example");

#[test]
fn every_template_is_complete_in_both_languages_whatever_the_data() {
    for (name, _) in TEMPLATES {
        let es = render(name, "es", &json!({}), DASHBOARD).unwrap();
        let en = render(name, "en-GB", &json!({}), DASHBOARD).unwrap();
        assert_ne!(es.subject, en.subject);
        assert_ne!(es.text, en.text);
        for letter in [es, en] {
            assert!(
                letter.text.contains("https://dash.example"),
                "{}",
                letter.text
            );
            assert!(letter.html.contains("href=\"https://dash.example"));
            assert!(!letter.text.contains("  ") && !letter.subject.contains("  "));
        }
        let nonsense = render(name, "xx", &json!([1]), None).unwrap();
        assert!(!nonsense.html.contains("href"));
    }
    assert_eq!(render("nothing", "es", &json!({}), None), None);
}

#[test]
fn what_people_write_stays_text() {
    let data = json!({
        "organization": "<script>alert(1)</script>\r\nBcc: a@b.c", "inviter": "O'Neil & \"Co\"",
        "url": "javascript:alert(1)",
    });
    let letter = render("invitation", "en", &data, None).unwrap();
    assert!(!letter.subject.contains(['\r', '\n']));
    assert!(
        letter.subject.contains("<script>"),
        "plain text is not HTML"
    );
    assert!(!letter.html.contains("<script") && letter.html.contains("&lt;script&gt;"));
    assert!(letter.html.contains("O&#39;Neil &amp; &quot;Co&quot;"));
    assert!(!letter.html.contains("javascript") && !letter.text.contains("javascript"));
}

#[test]
fn a_link_is_taken_whole_or_not_at_all() {
    let html = |url: &str| {
        let letter = render("invitation", "es", &json!({ "url": url }), DASHBOARD).unwrap();
        letter.html
    };
    let long = format!(
        "https://dash.example/invitation?email={}&x=1",
        "%40".repeat(250)
    );
    assert!(html(&long).contains(&escaped(&long)));
    for url in [
        "https://a b",
        "ftp://x",
        &format!("https://{}", "x".repeat(3_000)),
    ] {
        assert!(html(url).contains("href=\"https://dash.example\""), "{url}");
    }
}

#[test]
fn long_values_are_cut() {
    let data = json!({ "organization": "ñ".repeat(10_000) });
    let letter = render("invitation", "es", &data, None).unwrap();
    assert!(letter.subject.chars().count() < 400);
}

#[test]
fn a_webhook_says_why() {
    let say = |reason: &str| {
        let data = json!({ "name": "ERP", "address": "https://erp.example/in", "reason": reason });
        render("webhook_disabled", "es", &data, DASHBOARD)
            .unwrap()
            .text
    };
    assert!(say("gone").contains("410") && !say("failing").contains("410"));
    assert!(say("gone").contains("https://erp.example/in"));
}

#[test]
fn selling_is_told_as_it_is() {
    let text = |template: &str, locale: &str, data: serde_json::Value| {
        render(template, locale, &data, DASHBOARD).unwrap().text
    };
    let paid = json!({ "order_number": "ORD-1", "total": "108.00", "currency": "EUR" });
    assert!(text("order_completed", "es", paid.clone()).contains("108.00 EUR"));
    assert!(text("order_completed", "en", paid).contains("108.00 EUR"));
    for locale in ["es", "en"] {
        let free = json!({ "order_number": "ORD-1", "total": "0.00", "currency": "EUR" });
        assert!(!text("order_completed", locale, free).contains("0.00"));
        let note = json!({ "invoice_number": "CRN-2026-000001" });
        let letter = render("invoice", locale, &note, DASHBOARD).unwrap();
        assert!(!letter.subject.contains("Factura") && !letter.subject.contains("Invoice"));
        let failed = |reason: &str, last: bool| {
            let data = json!({ "total": "5", "reason": reason, "last": last });
            text("payment_failed", locale, data)
        };
        assert_ne!(
            failed("no_payment_method", true),
            failed("authentication_required", true)
        );
        assert_ne!(
            failed("transfer_awaited", true),
            failed("card_declined", true)
        );
        assert_ne!(
            failed("card_declined", true),
            failed("card_declined", false)
        );
    }
    let card = json!({ "brand": "visa", "last4": "4242", "expires": "12/2026" });
    assert!(text("card_expiring", "es", card).contains("La tarjeta Visa terminada en 4242"));
}
