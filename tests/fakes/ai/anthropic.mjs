// Anthropic.

import {
  anything, base64, bool, by, either, fields, filled, integer, list, matching, number, object, one, text, version,
} from './check.mjs';

const NAME = matching(/^[A-Za-z0-9_-]{1,64}$/);
const block = by('type', {
  text: fields({ type: anything, text: filled }),
  image: fields({
    type: anything,
    source: by('type', {
      base64: fields({ type: anything, media_type: one('image/jpeg', 'image/png', 'image/gif', 'image/webp'), data: base64 }),
      url: fields({ type: anything, url: matching(/^https:\/\//) }),
    }),
  }),
  tool_use: fields({ type: anything, id: filled, name: NAME, input: object }),
  tool_result: fields({ type: anything, tool_use_id: filled, content: text }, { is_error: bool }),
  thinking: fields({ type: anything, thinking: text, signature: filled }),
  redacted_thinking: fields({ type: anything, data: filled }),
});
const shape = fields({
  model: filled,
  max_tokens: integer(1),
  messages: list(fields({ role: one('user', 'assistant'), content: either({ string: filled, array: list(block, { least: 1 }) }) }), { least: 1 }),
}, {
  system: filled, temperature: number(0, 1), top_p: number(0, 1), stop_sequences: list(filled, { least: 1 }), stream: bool,
  tools: list(fields({ name: NAME, input_schema: by('type', { object }) }, { description: text, strict: bool }), { least: 1 }),
  tool_choice: by('type', {
    auto: fields({ type: anything }, { disable_parallel_tool_use: bool }),
    any: fields({ type: anything }, { disable_parallel_tool_use: bool }),
    tool: fields({ type: anything, name: NAME }, { disable_parallel_tool_use: bool }),
    none: fields({ type: anything }),
  }),
  output_config: fields({ format: fields({ type: one('json_schema'), schema: object }) }),
});

const blocks = ({ content }) => (Array.isArray(content) ? content : [{ type: 'text', text: content }]);

/** Every use of a tool has its result at the start of the very next message. */
function checkTurns(messages, mistakes) {
  mistakes.unless(messages[0].role === 'user', 'messages[0].role', 'must be user');
  let open = [];
  messages.forEach((message, place) => {
    const at = `messages[${place}]`;
    mistakes.unless(message.role !== messages[place - 1]?.role, `${at}.role`, 'roles must alternate');
    const results = blocks(message).filter(({ type }) => type === 'tool_result');
    const first = blocks(message).slice(0, results.length).every(({ type }) => type === 'tool_result');
    mistakes.unless(first, `${at}.content`, 'results must come first');
    const given = results.map((it) => it.tool_use_id);
    mistakes.unless(open.every((id) => given.includes(id)), `${at}.content`, `uses without a result: ${open.join(', ')}`);
    mistakes.unless(given.every((id) => open.includes(id)), `${at}.content`, `results without a use: ${given.join(', ')}`);
    open = message.role === 'assistant' ? blocks(message).filter(({ type }) => type === 'tool_use').map(({ id }) => id) : [];
  });
  mistakes.unless(!open.length, 'messages', `uses without a result: ${open.join(', ')}`);
}

function checkModel(body, mistakes) {
  const { model } = body;
  const strict = version(model) >= 5 || (model.includes('opus') && version(model) >= 4.07);
  const draws = 'temperature' in body || 'top_p' in body;
  mistakes.unless(!strict || !draws, 'temperature', 'not for this model');
  mistakes.unless(!('temperature' in body && 'top_p' in body), 'top_p', 'not together with temperature');
  mistakes.unless(!strict || body.messages.at(-1).role === 'user', 'messages', 'this model takes no beginning of its answer');
  const forced = ['any', 'tool'].includes(body.tool_choice?.type);
  const free = model.includes('fable') || (model.includes('opus') && version(model) >= 5.05);
  mistakes.unless(!forced || !free, 'tool_choice', 'this model cannot be forced');
}

const KINDS = {
  400: 'invalid_request_error', 401: 'authentication_error', 402: 'billing_error', 403: 'permission_error', 404: 'not_found_error',
  413: 'request_too_large', 429: 'rate_limit_error', 504: 'timeout_error', 529: 'overloaded_error',
};
const REASONS = { stop: 'end_turn', length: 'max_tokens', tool_calls: 'tool_use', content_filter: 'refusal' };

const usageOf = ({ input, cached, output, reasoning }) => ({
  input_tokens: input - cached, cache_read_input_tokens: cached, cache_creation_input_tokens: 0,
  output_tokens: output, ...(reasoning && { output_tokens_details: { thinking_tokens: reasoning } }),
});

const error = (status, { message }) => ({ type: 'error', error: { type: KINDS[status] ?? 'api_error', message }, request_id: 'req_1' });
const event = (data) => `event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`;

/** The blocks of an answer, with what they begin with and what follows. */
function parts(answer) {
  const thinking = answer.thought
    ? [{ whole: { type: 'thinking', thinking: answer.thought, signature: 'sig-1' }, begin: { type: 'thinking', thinking: '', signature: '' },
      deltas: [{ type: 'thinking_delta', thinking: answer.thought }, { type: 'signature_delta', signature: 'sig-1' }] }] : [];
  const said = answer.text || (!answer.calls.length && answer.finish !== 'content_filter')
    ? [{ whole: { type: 'text', text: answer.text }, begin: { type: 'text', text: '' },
      deltas: answer.pieces.map((piece) => ({ type: 'text_delta', text: piece })) }] : [];
  const calls = answer.calls.map((it) => {
    const json = JSON.stringify(it.arguments);
    const cuts = json === '{}' ? [] : ['', json.slice(0, 3), json.slice(3)];
    const use = { type: 'tool_use', id: it.id, name: it.name };
    return { whole: { ...use, input: it.arguments }, begin: { ...use, input: {} }, deltas: cuts.map((cut) => ({ type: 'input_json_delta', partial_json: cut })) };
  });
  return [...thinking, ...said, ...calls];
}

export const anthropic = {
  streamType: 'text/event-stream; charset=utf-8',
  keyOf: (headers) => headers['x-api-key'],
  checkHeaders(headers, mistakes) {
    mistakes.unless(headers['anthropic-version'] === '2023-06-01', 'anthropic-version', 'must be 2023-06-01');
    mistakes.unless(!headers.authorization, 'authorization', 'the key is in x-api-key');
  },
  chat: (path) => path === '/v1/messages' && {},
  models: (path) => path === '/v1/models',
  modelList: (names) => ({ data: names.map((id) => ({ type: 'model', id, display_name: id })), has_more: false }),
  check(body, mistakes) {
    shape(body, '', mistakes);
    if (mistakes.list.length) return;
    checkTurns(body.messages, mistakes);
    checkModel(body, mistakes);
  },
  streams: (body) => body.stream === true,
  question(body) {
    const all = body.messages.flatMap(blocks);
    const results = blocks(body.messages.at(-1)).filter(({ type }) => type === 'tool_result');
    const texts = body.messages.filter(({ role }) => role === 'user').flatMap(blocks).filter(({ type }) => type === 'text');
    const asksJson = /answer with (one )?json/i.test(body.system ?? '');
    const { tool_choice: choice = { type: 'auto' } } = body;
    return {
      last: texts.at(-1)?.text ?? '', results: results.map(({ content }) => content),
      length: (body.system ?? '').length + all.reduce((sum, it) => sum + (it.text ?? it.content ?? '').length, 0),
      tools: (body.tools ?? []).map((it) => ({ name: it.name, schema: it.input_schema })),
      choice: { any: 'required', tool: choice.name }[choice.type] ?? choice.type,
      format: body.output_config?.format.schema ?? (asksJson ? 'json' : 'text'),
      most: body.max_tokens,
    };
  },
  whole: (answer, { id, model }) => ({
    id, type: 'message', role: 'assistant', model, content: parts(answer).map(({ whole }) => whole),
    stop_reason: REASONS[answer.finish] ?? answer.finish, stop_sequence: null, usage: usageOf(answer.usage),
  }),
  chunks(answer, { id, model }) {
    const usage = usageOf(answer.usage);
    const content = parts(answer).flatMap(({ begin, deltas }, index) => [
      { text: event({ type: 'content_block_start', index, content_block: begin }) },
      ...deltas.map((delta) => ({ text: event({ type: 'content_block_delta', index, delta }), piece: !delta.type.startsWith('th') && delta.type !== 'signature_delta' })),
      { text: event({ type: 'content_block_stop', index }) },
    ]);
    return [
      { text: event({ type: 'message_start', message: { id, type: 'message', role: 'assistant', model, content: [], stop_reason: null, usage: { ...usage, output_tokens: 1, output_tokens_details: undefined } } }) },
      { text: event({ type: 'ping' }) },
      ...content,
      { text: event({
        type: 'message_delta', delta: { stop_reason: REASONS[answer.finish] ?? answer.finish, stop_sequence: null },
        usage: { output_tokens: usage.output_tokens, output_tokens_details: usage.output_tokens_details },
      }) },
      { text: event({ type: 'message_stop' }) },
    ];
  },
  error,
  errorInStream: (status, wish) => event(error(status, wish)),
  idHeader: 'request-id',
};
