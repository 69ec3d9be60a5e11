//! Images that a question names by their URLs, for providers that take only images themselves.

use super::attempt::milliseconds;
use crate::platform::clock;
use crate::platform::exchange::Exchange;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use celaest_domain::ai::chat::{ChatRequest, IMAGES};
use celaest_domain::ai::failure::{Class, Failure, code};
use celaest_domain::ai::provider::Provider;
use std::borrow::Cow;

/// All images of a question together, in bytes.
const MAX_BYTES: usize = 10 * 1024 * 1024;

/// The question with those images in it that this provider does not fetch by itself. Where they may be is looked at
/// before anybody is asked.
///
/// # Errors
/// [`Class::Caller`] for an image that is not there, is none, or is too large.
pub async fn put_in(
    request: &ChatRequest,
    provider: Provider,
    end_ms: i64,
) -> Result<Cow<'_, ChatRequest>, Failure> {
    let urls = request.image_urls(provider);
    if urls.is_empty() {
        return Ok(Cow::Borrowed(request));
    }
    let mut with = request.clone();
    let mut room = MAX_BYTES;
    for (place, url) in urls.iter().enumerate() {
        if urls[..place].contains(url) {
            continue;
        }
        let (media_type, bytes) = fetched(url, room, end_ms).await.ok_or_else(unusable)?;
        room -= bytes.len();
        with.inline_image(url, media_type, &STANDARD.encode(&bytes));
    }
    Ok(Cow::Owned(with))
}

fn unusable() -> Failure {
    let words = "An image cannot be fetched: it must be a JPEG, PNG, GIF or WebP image that anybody may read, \
                 and all together no more than 10 MB";
    Failure::new(Class::Caller, code::INVALID_REQUEST).saying(words)
}

async fn fetched(url: &str, most: usize, end_ms: i64) -> Option<(&'static str, Vec<u8>)> {
    let left = || milliseconds(end_ms - clock::now_ms());
    let mut exchange = Exchange::open(url, &[], None, left()).await.ok()?;
    let named = exchange
        .headers
        .iter()
        .find(|(name, _)| name == "content-type");
    let (_, named) = named.filter(|_| exchange.status == 200)?;
    let essence = named
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    let media_type = IMAGES.into_iter().find(|it| *it == essence)?;
    let bytes = exchange.rest(most, left()).await.ok()?;
    (!bytes.is_empty()).then_some((media_type, bytes))
}
