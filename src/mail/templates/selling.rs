//! The e-mails of selling.

use super::{Draft, Facts};
use crate::language::Language;

impl Facts<'_> {
    /// An amount with its currency.
    fn amount(&self) -> String {
        let total = self.or("total", "0", "0");
        format!("{total} {}", self.get("currency"))
            .trim()
            .to_owned()
    }

    /// Whether there was nothing to pay.
    fn is_free(&self) -> bool {
        let total = self.get("total");
        !total.is_empty() && total.bytes().all(|b| b == b'0' || b == b'.')
    }

    fn linked(
        &self,
        path: &str,
        es: &'static str,
        en: &'static str,
    ) -> Option<(String, &'static str)> {
        let label = match self.language {
            Language::Es => es,
            Language::En => en,
        };
        self.page(path).map(|url| (url, label))
    }
}

/// An order was paid. Data: `order_number`, `invoice_number`, `total`, `currency`, `name`.
pub(super) fn order_completed(facts: &Facts<'_>) -> Draft {
    let order = facts.or("order_number", "su pedido", "your order");
    let (amount, invoice) = (facts.amount(), facts.or("invoice_number", "—", "-"));
    let (subject, what, how) = match facts.language {
        Language::Es if facts.is_free() => (
            format!("Pedido {order} completado"),
            format!(
                "Su pedido {order} está completo y no tiene nada que pagar. La factura es la {invoice}."
            ),
            "Lo que ha pedido ya está disponible en su cuenta.",
        ),
        Language::En if facts.is_free() => (
            format!("Order {order} complete"),
            format!(
                "Your order {order} is complete, and there is nothing to pay. The invoice is {invoice}."
            ),
            "What you ordered is now available in your account.",
        ),
        Language::Es => (
            format!("Pedido {order} pagado"),
            format!(
                "Hemos recibido su pago de {amount} por el pedido {order}. La factura es la {invoice}."
            ),
            "Lo que ha comprado ya está disponible en su cuenta.",
        ),
        Language::En => (
            format!("Order {order} paid"),
            format!(
                "We have received your payment of {amount} for order {order}. The invoice is {invoice}."
            ),
            "What you bought is now available in your account.",
        ),
    };
    Draft {
        subject,
        paragraphs: vec![facts.greeting(), what, how.to_owned()],
        link: facts.linked("/orders", "Ver el pedido", "See the order"),
    }
}

/// Money is on its way back. Data: as [`order_completed`], with the credit note's number.
pub(super) fn order_refunded(facts: &Facts<'_>) -> Draft {
    let order = facts.or("order_number", "su pedido", "your order");
    let (amount, note) = (facts.amount(), facts.or("invoice_number", "—", "-"));
    let (subject, what) = match facts.language {
        Language::Es => (
            format!("Devolución del pedido {order}"),
            format!(
                "Le hemos devuelto {amount} del pedido {order}. La nota de crédito es la {note}."
            ),
        ),
        Language::En => (
            format!("Refund of order {order}"),
            format!("We have refunded {amount} of order {order}. The credit note is {note}."),
        ),
    };
    Draft {
        subject,
        paragraphs: vec![facts.greeting(), what],
        link: facts.linked("/orders", "Ver el pedido", "See the order"),
    }
}

/// Somebody asked for an invoice. Data: as [`order_completed`].
pub(super) fn invoice(facts: &Facts<'_>) -> Draft {
    let (number, order) = (
        facts.or("invoice_number", "sin número", "without a number"),
        facts.or("order_number", "su pedido", "your order"),
    );
    let amount = facts.amount();
    let (subject, what) = match facts.language {
        Language::Es if number.starts_with("CRN-") => (
            format!("Nota de crédito {number}"),
            format!(
                "La nota de crédito {number} del pedido {order}, de {amount}, va adjunta a este mensaje."
            ),
        ),
        Language::En if number.starts_with("CRN-") => (
            format!("Credit note {number}"),
            format!(
                "Credit note {number} of order {order}, of {amount}, is attached to this message."
            ),
        ),
        Language::Es => (
            format!("Factura {number}"),
            format!(
                "La factura {number} del pedido {order}, de {amount}, va adjunta a este mensaje."
            ),
        ),
        Language::En => (
            format!("Invoice {number}"),
            format!("Invoice {number} of order {order}, of {amount}, is attached to this message."),
        ),
    };
    Draft {
        subject,
        paragraphs: vec![facts.greeting(), what],
        link: facts.linked("/invoices", "Ver la factura", "See the invoice"),
    }
}

/// A subscription could not be charged. Data: `subscription`, `total`, `currency`, `reason`, `name`; `last` where it is
/// not tried again.
pub(super) fn payment_failed(facts: &Facts<'_>) -> Draft {
    let subscription = facts.or("subscription", "su suscripción", "your subscription");
    let amount = facts.amount();
    let (subject, what) = match facts.language {
        Language::Es => (
            format!("No pudimos cobrar {subscription}"),
            format!("El cobro de {amount} por {subscription} no se completó."),
        ),
        Language::En => (
            format!("We could not charge {subscription}"),
            format!("The charge of {amount} for {subscription} did not go through."),
        ),
    };
    let why = match facts.get("reason").as_str() {
        "no_payment_method" => facts.say("No hay ninguna tarjeta guardada.", "No card is saved."),
        "transfer_awaited" => facts.say(
            "Su transferencia todavía no ha llegado.",
            "Your bank transfer has not arrived yet.",
        ),
        "authentication_required" => facts.say(
            "Su banco pide que confirme el pago usted mismo.",
            "Your bank wants you to confirm the payment yourself.",
        ),
        "insufficient_funds" => facts.say(
            "La tarjeta no tenía saldo suficiente.",
            "The card did not have enough funds.",
        ),
        "expired_card" => facts.say("La tarjeta ha caducado.", "The card has expired."),
        _ => facts.say(
            "El banco rechazó el cargo.",
            "The bank declined the charge.",
        ),
    };
    let how = match facts.data["last"].as_bool() {
        Some(true) => facts.say(
            "Todo sigue funcionando durante unos días. Guarde otra tarjeta o pague el pedido usted mismo para no \
             perder el acceso.",
            "Everything goes on working for a few days. Save another card, or pay the order yourself, so that you \
             do not lose access.",
        ),
        _ => facts.say(
            "Todo sigue funcionando mientras lo intentamos de nuevo. Revise su tarjeta o pague el pedido usted \
             mismo para no perder el acceso.",
            "Everything goes on working while we try again. Check your card, or pay the order yourself, so that \
             you do not lose access.",
        ),
    };
    Draft {
        subject,
        paragraphs: vec![facts.greeting(), format!("{what} {why}"), how.to_owned()],
        link: facts.linked("/orders", "Pagar ahora", "Pay now"),
    }
}

/// Every attempt to charge a subscription failed. Data: as [`payment_failed`].
pub(super) fn subscription_suspended(facts: &Facts<'_>) -> Draft {
    let subscription = facts.or("subscription", "su suscripción", "your subscription");
    let (subject, what, how) = match facts.language {
        Language::Es => (
            format!("{subscription}: suscripción suspendida"),
            format!(
                "No hemos podido cobrar {subscription} y sus licencias han dejado de funcionar."
            ),
            "Vuelven a funcionar en cuanto se pague el pedido pendiente.",
        ),
        Language::En => (
            format!("{subscription}: subscription suspended"),
            format!("We could not charge {subscription}, and its licenses have stopped working."),
            "They work again as soon as the open order is paid.",
        ),
    };
    Draft {
        subject,
        paragraphs: vec![facts.greeting(), what, how.to_owned()],
        link: facts.linked("/orders", "Pagar ahora", "Pay now"),
    }
}

/// Whoever sold a license suspended it. Data: `product`, `order_number`, `reason`, `name`.
pub(super) fn license_suspended(facts: &Facts<'_>) -> Draft {
    let product = facts.or("product", "un producto", "a product");
    let order = facts.or("order_number", "su pedido", "your order");
    let reason = facts.or("reason", "sin indicar", "not given");
    let (subject, what, why) = match facts.language {
        Language::Es => (
            format!("Licencia de {product} suspendida"),
            format!(
                "El vendedor ha suspendido una licencia de {product}, del pedido {order}: ha dejado de funcionar."
            ),
            format!("Motivo: {reason}. Diríjase al vendedor si no está de acuerdo."),
        ),
        Language::En => (
            format!("License of {product} suspended"),
            format!(
                "The seller has suspended a license of {product}, of order {order}: it has stopped working."
            ),
            format!("Reason: {reason}. Ask the seller if you do not agree."),
        ),
    };
    Draft {
        subject,
        paragraphs: vec![facts.greeting(), what, why],
        link: facts.linked("/licenses", "Ver las licencias", "See the licenses"),
    }
}

/// Whoever sold a license lifted its suspension. Data: `product`, `order_number`, `name`.
pub(super) fn license_reactivated(facts: &Facts<'_>) -> Draft {
    let product = facts.or("product", "un producto", "a product");
    let order = facts.or("order_number", "su pedido", "your order");
    let (subject, what) = match facts.language {
        Language::Es => (
            format!("Licencia de {product} reactivada"),
            format!(
                "El vendedor ha levantado la suspensión de una licencia de {product}, del pedido {order}."
            ),
        ),
        Language::En => (
            format!("License of {product} reactivated"),
            format!(
                "The seller has lifted the suspension of a license of {product}, of order {order}."
            ),
        ),
    };
    Draft {
        subject,
        paragraphs: vec![facts.greeting(), what],
        link: facts.linked("/licenses", "Ver las licencias", "See the licenses"),
    }
}

/// A card is about to expire. Data: `brand`, `last4`, `expires`, `name`.
pub(super) fn card_expiring(facts: &Facts<'_>) -> Draft {
    let last4 = facts.or("last4", "····", "····");
    let brand = match facts.get("brand").as_str() {
        "visa" => "Visa ",
        "mastercard" => "Mastercard ",
        "amex" => "American Express ",
        "discover" => "Discover ",
        _ => "",
    };
    let when = match (facts.get("expires"), facts.language) {
        (month, Language::Es) if month.is_empty() => "pronto".to_owned(),
        (month, Language::En) if month.is_empty() => "soon".to_owned(),
        (month, Language::Es) => format!("a finales de {month}"),
        (month, Language::En) => format!("at the end of {month}"),
    };
    let (subject, what, how) = match facts.language {
        Language::Es => (
            format!("Su tarjeta terminada en {last4} caduca {when}"),
            format!(
                "La tarjeta {brand}terminada en {last4}, con la que paga sus suscripciones, caduca {when}."
            ),
            "Guarde otra para que todo siga funcionando.",
        ),
        Language::En => (
            format!("Your card ending in {last4} expires {when}"),
            format!(
                "The {brand}card ending in {last4} that pays your subscriptions expires {when}."
            ),
            "Save another one so that everything goes on working.",
        ),
    };
    Draft {
        subject,
        paragraphs: vec![facts.greeting(), what, how.to_owned()],
        link: facts.linked(
            "/settings/payment-methods",
            "Guardar otra tarjeta",
            "Save another card",
        ),
    }
}
