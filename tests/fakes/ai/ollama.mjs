// Ollama.

import { anything, base64, bool, either, fields, filled, integer, list, matching, number, object, one, text, by } from './check.mjs';

const NAME = matching(/^[A-Za-z0-9_-]{1,64}$/);
const call = fields({ function: fields({ name: NAME, arguments: object }, { index: integer(0) }) }, { id: filled });
const shape = fields({
  model: filled,
  // It streams unless it is told not to: whoever leaves it out has forgotten it.
  stream: bool,
  messages: list(by('role', {
    system: fields({ role: anything, content: filled }),
    user: fields({ role: anything, content: text }, { images: list(base64, { least: 1 }) }),
    assistant: fields({ role: anything, content: text }, { tool_calls: list(call, { least: 1 }) }),
    tool: fields({ role: anything, content: text, tool_name: NAME }, { tool_call_id: filled }),
  }), { least: 1 }),
}, {
  options: fields({}, { temperature: number(0, 2), top_p: number(0, 1), num_predict: integer(1), seed: integer(), stop: list(filled, { least: 1 }) }),
  format: either({ string: one('json'), object }),
  tools: list(fields({ type: one('function'), function: fields({ name: NAME }, { description: text, parameters: object, strict: bool }) }), { least: 1 }),
});

// Zeros are left out.
const usageOf = ({ input, output }) => ({ ...(input && { prompt_eval_count: input }), ...(output && { eval_count: output }) });
const error = (status, { message }) => ({ error: message });
const called = (answer) => answer.calls.map((it, index) => ({ id: it.id, function: { index, name: it.name, arguments: it.arguments } }));
const finishOf = (answer) => ({ done: true, done_reason: answer.finish === 'length' ? 'length' : 'stop', total_duration: 1000, ...usageOf(answer.usage) });

export const ollama = {
  streamType: 'application/x-ndjson',
  keyless: true,
  keyOf: (headers) => headers.authorization?.match(/^Bearer (\S+)$/)?.[1],
  chat: (path) => path === '/api/chat' && {},
  models: (path) => path === '/api/tags',
  modelList: (names) => ({ models: names.map((name) => ({ name, model: name })) }),
  check: (body, mistakes) => shape(body, '', mistakes),
  streams: (body) => body.stream !== false,
  question({ messages, tools = [], format, options = {} }) {
    const results = [];
    for (let at = messages.length - 1; messages[at]?.role === 'tool'; at -= 1) results.unshift(messages[at].content);
    const forced = messages.find(({ role, content }) => role === 'system' && /^You must call (a|the) tool/.test(content));
    return {
      last: messages.findLast(({ role }) => role === 'user')?.content ?? '', results,
      length: messages.reduce((sum, { content }) => sum + content.length, 0),
      tools: tools.map(({ function: it }) => ({ name: it.name, schema: it.parameters })),
      choice: forced ? 'required' : 'auto',
      format: format === 'json' ? 'json' : format ?? 'text',
      most: options.num_predict,
    };
  },
  whole: (answer, { model }) => ({
    model, created_at: '2026-01-01T00:00:00Z', ...finishOf(answer),
    message: { role: 'assistant', content: answer.text, ...(answer.calls.length && { tool_calls: called(answer) }) },
  }),
  chunks(answer, { model }) {
    const line = (message, more = { done: false }) => `${JSON.stringify({ model, created_at: '2026-01-01T00:00:00Z', message: { role: 'assistant', content: '', ...message }, ...more })}\n`;
    return [
      ...answer.pieces.map((piece) => ({ text: line({ content: piece }), piece: true })),
      ...(answer.calls.length ? [{ text: line({ tool_calls: called(answer) }), piece: true }] : []),
      { text: line({}, finishOf(answer)) },
    ];
  },
  error,
  errorInStream: (status, wish) => `${JSON.stringify(error(status, wish))}\n`,
};
