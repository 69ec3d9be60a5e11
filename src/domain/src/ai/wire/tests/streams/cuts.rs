//! Streams that are cut anywhere, and anything that is none.

use super::*;

fn cut(text: &[u8], places: &[prop::sample::Index]) -> Vec<Vec<u8>> {
    let mut at: Vec<usize> = places.iter().map(|it| it.index(text.len() + 1)).collect();
    at.extend([0, text.len()]);
    at.sort_unstable();
    at.windows(2)
        .map(|pair| text[pair[0]..pair[1]].to_vec())
        .collect()
}

proptest! {
    #[test]
    fn cut_anywhere_it_is_the_same(
        provider in prop::sample::select(Provider::ALL.to_vec()),
        places in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        end in any::<prop::sample::Index>(),
    ) {
        let whole = good(provider);
        for text in [whole.as_bytes(), &whole.as_bytes()[..end.index(whole.len())]] {
            let pieces = cut(text, &places);
            let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
            prop_assert_eq!(read(provider, &pieces), read(provider, &[text]));
        }
    }

    #[test]
    fn garbage_never_panics(
        provider in prop::sample::select(Provider::ALL.to_vec()),
        noise in prop::collection::vec(any::<u8>(), 0..40),
        place in any::<prop::sample::Index>(),
        status in 200..600_u16,
    ) {
        let mut bytes = good(provider).into_bytes();
        let at = place.index(bytes.len());
        bytes.splice(at..(at + noise.len()).min(bytes.len()), noise.iter().copied());
        let _ = read(provider, &[&bytes]);
        let _ = answer(provider, &head(status, &[]), &bytes, NOW);
        let _ = answer(provider, &head(status, &[]), &noise, NOW);
    }

    #[test]
    fn any_json_is_an_answer_or_a_failure(
        provider in prop::sample::select(Provider::ALL.to_vec()),
        value in anything(),
        status in prop::sample::select(vec![200_u16, 400, 404, 429, 500]),
    ) {
        let text = value.to_string();
        let _ = answer(provider, &head(status, &[]), text.as_bytes(), NOW);
        let line = if provider == Provider::Local { format!("{text}\n") } else { format!("data: {text}\n\n") };
        let _ = read(provider, &[line.as_bytes()]);
    }
}

/// JSON with the names that are looked for, and the wrong things behind them.
fn anything() -> impl Strategy<Value = Value> {
    let names = [
        "choices",
        "delta",
        "message",
        "content",
        "tool_calls",
        "function",
        "arguments",
        "name",
        "id",
        "index",
        "usage",
        "prompt_tokens",
        "completion_tokens",
        "finish_reason",
        "error",
        "code",
        "type",
        "text",
        "candidates",
        "parts",
        "functionCall",
        "args",
        "finishReason",
        "done",
        "details",
        "violations",
        "quotaId",
        "retryDelay",
        "x_groq",
        "content_block",
        "stop_reason",
        "usageMetadata",
        "thoughtSignature",
        "promptFeedback",
    ];
    let leaf = prop_oneof![
        Just(json!(null)),
        Just(json!(true)),
        Just(json!(-1)),
        Just(json!(1e300)),
        Just(json!(0)),
        Just(json!("stop")),
        Just(json!("tool_use")),
        Just(json!("content_block_start")),
        Just(json!("message_delta")),
        Just(json!("9s")),
        Just(json!(u64::MAX)),
    ];
    leaf.prop_recursive(6, 64, 6, move |inner| {
        let name = prop::sample::select(names.to_vec());
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec((name, inner), 0..6).prop_map(|fields| Value::Object(
                fields
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value))
                    .collect()
            )),
        ]
    })
}
