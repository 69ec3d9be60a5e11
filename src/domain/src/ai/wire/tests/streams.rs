//! Streams: cut anywhere, with errors in them, with garbage in them.

mod cuts;

use super::*;
use crate::ai::chat::{FunctionCall, FunctionType, Replay, ToolCall};
use proptest::prelude::*;
use serde_json::json;

fn kind(provider: Provider) -> &'static str {
    match provider {
        Provider::Local => "application/x-ndjson",
        _ => "text/event-stream; charset=utf-8",
    }
}

/// What came, until the end or a failure; every piece on its own.
fn read(provider: Provider, pieces: &[&[u8]]) -> (Vec<Event>, Result<Answer, Failure>) {
    let head = head(
        200,
        &[("content-type", kind(provider)), ("request-id", "req-1")],
    );
    let mut stream = Stream::new(provider, &head, NOW).unwrap();
    let mut events = Vec::new();
    for piece in pieces {
        match stream.push(piece) {
            Ok(more) => events.extend(more),
            Err(failure) => return (events, Err(failure)),
        }
    }
    match stream.end() {
        Ok((more, answer)) => {
            events.extend(more);
            (events, Ok(answer))
        }
        Err(failure) => (events, Err(failure)),
    }
}

fn sse(chunks: &[Value]) -> String {
    chunks.iter().map(|it| format!("data: {it}\n\n")).collect()
}

/// A good stream of each provider: two pieces of text, a call, usage.
fn good(provider: Provider) -> String {
    match provider {
        Provider::OpenAi | Provider::Groq | Provider::DeepSeek => {
            let chunk = |delta: Value, reason: Value| {
                json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "obfuscation": "xyz",
                    "choices": [{"index": 0, "delta": delta, "finish_reason": reason}], "usage": null})
            };
            let part = |call: Value| json!({"tool_calls": [call]});
            let usage = json!({"prompt_tokens": 10, "completion_tokens": 5,
                "prompt_tokens_details": {"cached_tokens": 4}, "completion_tokens_details": {"reasoning_tokens": 3}});
            let mut chunks = vec![
                chunk(json!({"role": "assistant", "content": "", "refusal": null}), json!(null)),
                chunk(json!({"content": "¡Ho"}), json!(null)),
                chunk(json!({"content": "la 🌍!"}), json!(null)),
                chunk(part(json!({"index": 0, "id": "c1", "type": "function", "function": {"name": "look", "arguments": ""}})), json!(null)),
                chunk(part(json!({"index": 0, "function": {"arguments": "{\"at\":"}})), json!(null)),
                chunk(part(json!({"index": 0, "function": {"arguments": "\"Lima\"}"}})), json!(null)),
                chunk(json!({}), json!("tool_calls")),
            ];
            match provider {
                Provider::Groq => chunks.last_mut().unwrap()["x_groq"] = json!({"id": "req", "usage": usage}),
                _ => chunks.push(json!({"id": "chatcmpl-1", "choices": [], "usage": usage})),
            }
            format!(": keep-alive\n\n\n{}data: [DONE]\n\n", sse(&chunks))
        }
        Provider::Anthropic => {
            let usage = json!({"input_tokens": 3, "cache_read_input_tokens": 4, "cache_creation_input_tokens": 3, "output_tokens": 1});
            [
                json!({"type": "message_start", "message": {"id": "msg_1", "usage": usage}}),
                json!({"type": "ping"}),
                json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
                json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "¡Ho"}}),
                json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "la 🌍!"}}),
                json!({"type": "content_block_stop", "index": 0}),
                json!({"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "id": "c1", "name": "look", "input": {}}}),
                json!({"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": ""}}),
                json!({"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": "{\"at\":"}}),
                json!({"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": "\"Lima\"}"}}),
                json!({"type": "content_block_stop", "index": 1}),
                json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"},
                    "usage": {"output_tokens": 5, "output_tokens_details": {"thinking_tokens": 3}}}),
                json!({"type": "message_stop"}),
            ]
            .iter()
            .map(|it| format!("event: {}\ndata: {it}\n\n", it["type"].as_str().unwrap()))
            .collect()
        }
        Provider::Gemini => {
            let parts = |parts: Value| json!([{"content": {"role": "model", "parts": parts}}]);
            let usage = |out: u64| json!({"promptTokenCount": 10, "cachedContentTokenCount": 4, "candidatesTokenCount": out, "thoughtsTokenCount": 3});
            let mut last = parts(json!([{"functionCall": {"id": "c1", "name": "look", "args": {"at": "Lima"}}}]));
            last[0]["finishReason"] = json!("STOP");
            sse(&[
                json!({"candidates": parts(json!([{"text": "¡Ho"}])), "usageMetadata": usage(1), "responseId": "r"}),
                json!({"candidates": parts(json!([{"text": "la 🌍!"}])), "usageMetadata": usage(1)}),
                json!({"candidates": last, "usageMetadata": usage(2)}),
            ])
            .replace('\n', "\r\n")
        }
        Provider::Local => [
            json!({"message": {"role": "assistant", "content": "¡Ho"}, "done": false}),
            json!({"message": {"role": "assistant", "content": "la 🌍!"}, "done": false}),
            json!({"message": {"role": "assistant", "content": "", "tool_calls": [
                {"id": "c1", "function": {"index": 0, "name": "look", "arguments": {"at": "Lima"}}}]}, "done": false}),
            json!({"message": {"role": "assistant", "content": ""}, "done": true, "done_reason": "stop",
                "prompt_eval_count": 10, "eval_count": 5}),
        ]
        .iter()
        .map(|it| format!("{it}\n"))
        .collect(),
    }
}

#[test]
fn read_as_the_whole_answer_would_be() {
    for provider in Provider::ALL {
        let (events, answer) = read(provider, &[good(provider).as_bytes()]);
        let local = provider == Provider::Local;
        let usage = Usage {
            input: 10,
            cached: (!local).then_some(4),
            output: 5,
            reasoning: (!local).then_some(3),
        };
        assert_eq!(
            answer.unwrap(),
            Answer {
                content: "¡Hola 🌍!".into(),
                refusal: None,
                tool_calls: vec![ToolCall {
                    id: "c1".into(),
                    kind: FunctionType::Function,
                    function: FunctionCall {
                        name: "look".into(),
                        arguments: "{\"at\":\"Lima\"}".into()
                    },
                }],
                finish: Finish::ToolCalls,
                usage: Some(usage),
                provider_request_id: Some("req-1".into()),
                replay: None,
            },
            "{provider}"
        );
        let texts: Vec<&str> = events
            .iter()
            .filter_map(|it| match it {
                Event::Text(text) => Some(text.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(texts, ["¡Ho", "la 🌍!"], "{provider}");
        let arguments: String = events
            .iter()
            .filter_map(|it| match it {
                Event::ToolCall {
                    index: 0,
                    arguments,
                    ..
                } => Some(arguments.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(arguments, "{\"at\":\"Lima\"}", "{provider}");
        assert!(
            events.contains(&Event::Finish(Finish::ToolCalls))
                && events.contains(&Event::Usage(usage))
        );
    }
}

#[test]
fn a_stream_that_ends_early_is_a_failure() {
    for provider in Provider::ALL {
        let whole = good(provider);
        for share in [0, 1, 2, 3] {
            let cut = whole.len() * share / 5;
            let (_, answer) = read(provider, &[&whole.as_bytes()[..cut]]);
            assert_eq!(answer.unwrap_err().code, code::CUT, "{provider} {share}");
        }
        // The last line may lack its end.
        let (_, answer) = read(provider, &[whole.trim_end().as_bytes()]);
        assert!(answer.is_ok(), "{provider}");
    }
}

#[test]
fn what_came_of_a_stream_that_ends_early_is_still_there() {
    let head = head(200, &[("content-type", kind(Provider::DeepSeek))]);
    let mut stream = Stream::new(Provider::DeepSeek, &head, NOW).unwrap();
    let delta =
        |delta: Value| json!({"choices": [{"index": 0, "delta": delta, "finish_reason": null}]});
    let call =
        |function: Value| json!({"tool_calls": [{"index": 0, "id": "c", "function": function}]});
    for said in [
        json!({"reasoning_content": "abcd"}),
        json!({"content": "efghijkl"}),
        json!({"refusal": "no, never"}),
        call(json!({"name": "look", "arguments": ""})),
        call(json!({"arguments": "{\"at\": "})),
    ] {
        stream.push(sse(&[delta(said)]).as_bytes()).unwrap();
    }
    // Quarters: 4 of thoughts, 8 of text, 10 of a refusal, 4 of a name, 11 of arguments.
    let is_all = |so_far: SoFar<'_>| {
        assert_eq!(so_far.content, "efghijkl");
        assert_eq!(so_far.tool_calls[0].function.arguments, "{\"at\": ");
        assert_eq!((so_far.written, so_far.usage), (37_u64.div_ceil(4), None));
    };
    is_all(stream.so_far());
    assert_eq!(stream.end().unwrap_err().code, code::CUT);
    is_all(stream.so_far());
}

#[test]
fn errors_inside() {
    let anthropic =
        |kind: &str| json!({"type": "error", "error": {"type": kind, "message": "Sentence."}});
    let openai =
        |kind: &str| json!({"error": {"type": kind, "message": "Sentence.", "code": null}});
    let cases = [
        (
            Provider::OpenAi,
            sse(&[openai("server_error")]),
            Class::Fault,
            code::PROVIDER_ERROR,
        ),
        (
            Provider::OpenAi,
            sse(&[openai("insufficient_quota")]),
            Class::Key,
            code::NO_BALANCE,
        ),
        (
            Provider::DeepSeek,
            sse(&[openai("rate_limit_exceeded")]),
            Class::Capacity,
            code::RATE_LIMITED,
        ),
        (
            Provider::Groq,
            sse(&[json!({"choices": [], "x_groq": {"id": "r", "error": "over capacity"}})]),
            Class::Fault,
            code::PROVIDER_ERROR,
        ),
        (
            Provider::Anthropic,
            sse(&[anthropic("overloaded_error")]),
            Class::Capacity,
            code::OVERLOADED,
        ),
        (
            Provider::Anthropic,
            sse(&[anthropic("api_error")]),
            Class::Fault,
            code::PROVIDER_ERROR,
        ),
        (
            Provider::Gemini,
            sse(&[json!({"error": {"code": 503, "status": "UNAVAILABLE", "message": "x"}})]),
            Class::Capacity,
            code::OVERLOADED,
        ),
        (
            Provider::Gemini,
            sse(&[json!({"error": {"status": "INTERNAL", "message": "x"}})]),
            Class::Fault,
            code::PROVIDER_ERROR,
        ),
        (
            Provider::Local,
            "{\"error\":\"runner crashed\"}\n".to_owned(),
            Class::Fault,
            code::PROVIDER_ERROR,
        ),
    ];
    for (provider, error, class, name) in cases {
        let whole = good(provider);
        let first = whole.find("¡Ho").unwrap();
        let line = first + whole[first..].find('\n').unwrap() + 1;
        let begun = format!("{}\n{error}", &whole[..line]);
        for pieces in [vec![begun.as_bytes()], begun.as_bytes().chunks(7).collect()] {
            let (events, answer) = read(provider, &pieces);
            let failure = answer.unwrap_err();
            assert_eq!(
                (failure.class, failure.code, failure.status),
                (class, name, None),
                "{provider} {error}"
            );
            // What came before is told first, however it is cut.
            assert!(
                events.iter().any(|it| matches!(it, Event::Text(_))),
                "{provider}"
            );
        }
    }
}

#[test]
fn an_error_ends_it() {
    let head = head(200, &[]);
    let mut stream = Stream::new(Provider::OpenAi, &head, NOW).unwrap();
    let text = sse(&[
        json!({"choices": [{"delta": {"content": "a"}}]}),
        json!({"error": {"type": "server_error"}}),
    ]);
    assert_eq!(
        stream.push(text.as_bytes()).unwrap(),
        [Event::Text("a".into())]
    );
    assert!(stream.is_done());
    assert!(stream.push(b"data: {}\n").is_err());
    assert_eq!(stream.so_far().content, "a");
    assert_eq!(stream.end().unwrap_err().code, code::PROVIDER_ERROR);
}

#[test]
fn done_needs_no_end() {
    for provider in Provider::ALL {
        let mut stream = Stream::new(provider, &head(200, &[]), NOW).unwrap();
        let text = good(provider) + "data: garbage\n";
        if provider != Provider::Gemini {
            stream.push(text.as_bytes()).unwrap();
            assert!(stream.is_done(), "{provider}");
            assert_eq!(stream.so_far().usage.unwrap().output, 5);
        }
    }
}

#[test]
fn thoughts_are_kept() {
    let thinking = [
        json!({"type": "message_start", "message": {"id": "msg_1", "usage": {"input_tokens": 3, "output_tokens": 1}}}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "h"}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "m"}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "s"}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "id": "c", "name": "f", "input": {}}}),
        json!({"type": "content_block_stop", "index": 1}),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 9}}),
        json!({"type": "message_stop"}),
    ];
    let (events, answer) = read(Provider::Anthropic, &[sse(&thinking).as_bytes()]);
    let answer = answer.unwrap();
    let block = json!({"type": "thinking", "thinking": "hm", "signature": "s"});
    assert_eq!(
        answer.replay,
        Some(Replay::Anthropic {
            thinking: vec![block]
        })
    );
    // No fragment is no argument; the first call is number 0, whatever the block.
    assert_eq!(answer.tool_calls[0].function.arguments, "{}");
    assert!(events.contains(&Event::ToolCall {
        index: 0,
        id: None,
        name: None,
        arguments: "{}".into()
    }));
    let chunk = |delta: Value| json!({"choices": [{"delta": delta}]});
    let deepseek = [
        chunk(json!({"reasoning_content": "h"})),
        chunk(json!({"reasoning_content": "m"})),
        chunk(json!({"content": "x"})),
        json!({"choices": [{"delta": {}, "finish_reason": "stop"}]}),
    ];
    let (_, answer) = read(Provider::DeepSeek, &[sse(&deepseek).as_bytes()]);
    assert_eq!(
        answer.unwrap().replay,
        Some(Replay::DeepSeek {
            reasoning_content: "hm".into()
        })
    );
}

#[test]
fn what_is_no_stream() {
    for provider in Provider::ALL {
        for kind in ["text/html", "text/plain", "application/octet-stream"] {
            assert!(Stream::new(provider, &head(200, &[("content-type", kind)]), NOW).is_err());
        }
        let begin = if provider == Provider::Local {
            ""
        } else {
            "data: "
        };
        for garbage in ["{", "[1]", "5", "null", "\"x\"", "<html>", "{}"] {
            let line = format!("{begin}{garbage}\n");
            assert_eq!(
                read(provider, &[line.as_bytes()]).1.unwrap_err().class,
                Class::Fault,
                "{provider} {garbage}"
            );
        }
        assert!(read(provider, &[b"data: \xff\n"]).1.is_err());
    }
}

#[test]
fn nothing_grows_without_end() {
    for provider in Provider::ALL {
        let mut stream = Stream::new(provider, &head(200, &[]), NOW).unwrap();
        let line = [b'x'; 65_536];
        let ended = (0..100).find_map(|_| stream.push(&line).err());
        assert_eq!(ended.unwrap().code, code::TOO_LARGE, "{provider}");
        let mut stream = Stream::new(provider, &head(200, &[]), NOW).unwrap();
        let text = "x".repeat(100_000);
        let chunk = match provider {
            Provider::Local => {
                format!("{}\n", json!({"message": {"content": text}, "done": false}))
            }
            Provider::Gemini => {
                sse(&[json!({"candidates": [{"content": {"parts": [{"text": text}]}}]})])
            }
            Provider::Anthropic => sse(&[
                json!({"type": "content_block_delta", "delta": {"type": "text_delta", "text": text}}),
            ]),
            _ => sse(&[json!({"choices": [{"delta": {"content": text}}]})]),
        };
        let ended = (0..100).find_map(|_| stream.push(chunk.as_bytes()).err());
        assert_eq!(ended.unwrap().code, code::TOO_LARGE, "{provider}");
        assert!(stream.so_far().content.len() <= MAX_ANSWER_BYTES);
    }
    let calls = (0..200_u64).map(|index| {
        json!({"choices": [{"delta": {"tool_calls": [
        {"index": index, "id": "c", "function": {"name": "f", "arguments": ""}}]}}]})
    });
    let (events, answer) = read(
        Provider::OpenAi,
        &[sse(&calls.collect::<Vec<_>>()).as_bytes()],
    );
    assert!(answer.is_err() && events.len() == crate::ai::chat::MAX_TOOLS);
}
