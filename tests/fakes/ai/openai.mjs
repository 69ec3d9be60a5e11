// OpenAI, Groq and DeepSeek.

import {
  anything, base64, bool, by, either, fields, filled, integer, isStrict, list, matching, number, object, one, text, version,
} from './check.mjs';

const NAME = matching(/^[A-Za-z0-9_-]{1,64}$/);

const image = fields({ type: one('image_url'), image_url: fields({ url: matching(/^(https:\/\/|data:image\/(jpeg|png|gif|webp);base64,)/) }, { detail: one('auto', 'low', 'high') }) });
const parts = list(by('type', { text: fields({ type: one('text'), text: filled }), image_url: image }), { least: 1 });
const call = fields({ id: filled, type: one('function'), function: fields({ name: NAME, arguments: text }) });
const tool = fields({ type: one('function'), function: fields({ name: NAME }, { description: text, parameters: object, strict: bool }) });
const choice = either({
  string: one('auto', 'none', 'required'), object: fields({ type: one('function'), function: fields({ name: NAME }) }),
});

/** What differs between the three. */
const KINDS = {
  openai: {
    roles: ['system', 'developer'], speaker: true, most: 'max_completion_tokens', assistant: { refusal: text },
    more: { reasoning_effort: one('none', 'minimal', 'low', 'medium', 'high', 'xhigh'), seed: integer(), parallel_tool_calls: bool, stream_options: fields({ include_usage: bool }) },
    schema: () => true,
  },
  groq: {
    roles: ['system'], most: 'max_completion_tokens', assistant: {},
    more: { reasoning_effort: one('low', 'medium', 'high'), seed: integer(), parallel_tool_calls: bool },
    schema: (body) => body.model.startsWith('openai/gpt-oss') && !body.stream && !body.tools,
  },
  deepseek: {
    roles: ['system'], speaker: true, most: 'max_tokens', assistant: { reasoning_content: text },
    more: { thinking: fields({ type: one('enabled', 'disabled') }), stream_options: fields({ include_usage: bool }) },
    schema: () => false,
  },
};

function shapeOf(kind) {
  const { roles, speaker, most, assistant, more } = KINDS[kind];
  const said = speaker ? { name: NAME } : {};
  const system = fields({ role: anything, content: filled }, said);
  const format = by('type', {
    json_object: fields({ type: anything }),
    json_schema: fields({ type: anything, json_schema: fields({ name: NAME, schema: object }, { description: text, strict: bool }) }),
  });
  return fields({
    model: filled,
    messages: list(by('role', {
      ...Object.fromEntries(roles.map((role) => [role, system])),
      user: fields({ role: anything, content: either({ string: filled, array: parts }) }, said),
      assistant: fields({ role: anything, content: either({ string: text, null: anything }) }, { tool_calls: list(call, { least: 1 }), ...said, ...assistant }),
      tool: fields({ role: anything, content: text, tool_call_id: filled }),
    }), { least: 1 }),
  }, {
    temperature: number(0, 2), top_p: number(0, 1), [most]: integer(1), stop: list(filled, { least: 1, most: 4 }), stream: bool,
    tools: list(tool, { least: 1, most: 128 }), tool_choice: choice, response_format: format, ...more,
  });
}

const textOf = (content) => (Array.isArray(content) ? content.filter(({ type }) => type === 'text').map((part) => part.text).join('\n') : content ?? '');

/** Every call is answered right after it. */
function checkCalls(messages, mistakes) {
  let open = [];
  messages.forEach((message, place) => {
    if (message.role === 'tool') {
      mistakes.unless(open.includes(message.tool_call_id), `messages[${place}].tool_call_id`, 'names no call that waits for a result');
      open = open.filter((id) => id !== message.tool_call_id);
    } else {
      mistakes.unless(!open.length, `messages[${place}]`, `calls without a result: ${open.join(', ')}`);
      open = (message.tool_calls ?? []).map(({ id }) => id);
    }
  });
  mistakes.unless(!open.length, 'messages', `calls without a result: ${open.join(', ')}`);
}

function checkFormat(kind, body, mistakes) {
  const format = body.response_format;
  if (format?.type === 'json_schema') {
    mistakes.unless(KINDS[kind].schema(body), 'response_format.type', 'this model takes no schema, or not with streams and tools');
    const { strict, schema } = format.json_schema;
    mistakes.unless(!strict || isStrict(schema), 'response_format.json_schema.schema', 'strict: all required, no additionalProperties');
  }
  if (format?.type === 'json_object') {
    const said = body.messages.some(({ content }) => /json/i.test(textOf(content)));
    mistakes.unless(said, 'messages', 'the word json must be in them');
  }
}

function checkModel(kind, body, mistakes) {
  const thinks = body.thinking?.type !== 'disabled';
  const forced = body.tool_choice === 'required' || typeof body.tool_choice === 'object';
  const images = body.messages.flatMap(({ content }) => (Array.isArray(content) ? content : [])).filter(({ type }) => type === 'image_url');
  for (const { image_url: { url } } of images) {
    const [, data] = url.match(/^data:[^,]*,(.*)/s) ?? [];
    if (data !== undefined) base64(data, 'image_url.url', mistakes);
    if (kind === 'groq') mistakes.unless((data?.length ?? 0) <= 4 * 2 ** 20, 'image_url.url', 'longer than 4 MB');
  }
  if (kind === 'openai' && /^(gpt-|o[134])/.test(body.model)) {
    const modern = !body.model.startsWith('gpt-') || version(body.model) >= 5;
    const draws = 'temperature' in body || 'top_p' in body;
    mistakes.unless(!modern || !draws || body.reasoning_effort === 'none', 'temperature', 'not for this model while it thinks');
    const newest = body.model.startsWith('gpt-') && version(body.model) >= 5.06;
    mistakes.unless(!newest || !body.tools || body.reasoning_effort === 'none', 'tools', 'need reasoning_effort none');
  }
  if (kind === 'deepseek') {
    mistakes.unless(!images.length || body.model === 'deepseek-flash', 'messages', 'this model takes no images');
    mistakes.unless(!thinks || !forced, 'tool_choice', 'not while it thinks');
    const thoughtless = body.messages.some((it) => it.tool_calls && it.reasoning_content === undefined);
    mistakes.unless(!thinks || !thoughtless, 'messages', 'reasoning_content must come back with tool_calls');
  }
}

/** The dialect of one of the three. */
export function dialect(kind) {
  const shape = shapeOf(kind);
  const usageOf = ({ input, cached, output, reasoning }) => ({
    prompt_tokens: input, completion_tokens: output, total_tokens: input + output,
    ...(kind === 'deepseek' ? { prompt_cache_hit_tokens: cached, prompt_cache_miss_tokens: input - cached }
      : { prompt_tokens_details: { cached_tokens: cached } }),
    completion_tokens_details: { reasoning_tokens: reasoning },
  });
  const called = (calls, more) => calls.map((it, index) => ({
    ...more(index), id: it.id, type: 'function', function: { name: it.name, arguments: JSON.stringify(it.arguments) },
  }));
  const thought = (answer) => (kind === 'deepseek' && answer.thought ? { reasoning_content: answer.thought } : {});
  const error = (status, { code, message }) => ({ error: { message, type: kindOf(status, code), param: null, code: code ?? null } });
  return {
    streamType: 'text/event-stream; charset=utf-8',
    keyOf: (headers) => headers.authorization?.match(/^Bearer (\S+)$/)?.[1],
    chat: (path) => path === (kind === 'groq' ? '/openai/v1/chat/completions' : '/v1/chat/completions') && {},
    models: (path) => path === (kind === 'groq' ? '/openai/v1/models' : '/v1/models'),
    modelList: (names) => ({ object: 'list', data: names.map((id) => ({ id, object: 'model', owned_by: kind })) }),
    check(body, mistakes) {
      shape(body, '', mistakes);
      if (mistakes.list.length) return;
      checkCalls(body.messages, mistakes);
      checkFormat(kind, body, mistakes);
      checkModel(kind, body, mistakes);
    },
    streams: (body) => body.stream === true,
    question(body) {
      const { messages, tools = [], tool_choice: wish = 'auto', response_format: format } = body;
      const results = [];
      for (let at = messages.length - 1; messages[at]?.role === 'tool'; at -= 1) results.unshift(messages[at].content);
      return {
        last: textOf(messages.findLast(({ role }) => role === 'user')?.content), results,
        length: messages.reduce((sum, { content }) => sum + textOf(content).length, 0),
        tools: tools.map(({ function: it }) => ({ name: it.name, schema: it.parameters })),
        choice: wish.function?.name ?? wish,
        format: format?.json_schema?.schema ?? (format ? 'json' : 'text'),
        most: body.max_completion_tokens ?? body.max_tokens,
      };
    },
    whole: (answer, { id, model }) => ({
      id, object: 'chat.completion', created: 1, model,
      choices: [{
        index: 0, finish_reason: answer.finish, logprobs: null,
        message: {
          role: 'assistant', content: answer.calls.length || answer.refusal ? null : answer.text,
          ...(kind === 'openai' && { refusal: answer.refusal ?? null, annotations: [] }), ...thought(answer),
          ...(answer.calls.length && { tool_calls: called(answer.calls, () => ({})) }),
        },
      }],
      usage: usageOf(answer.usage),
    }),
    chunks(answer, { id, model, body }) {
      const counted = kind === 'groq' || body.stream_options?.include_usage;
      const chunk = (delta, finish = null, more = {}) => `data: ${JSON.stringify({
        id, object: 'chat.completion.chunk', created: 1, model, choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }],
        ...(kind === 'openai' && { obfuscation: 'aN7q', ...(counted && { usage: null }) }), ...more,
      })}\n\n`;
      const said = (name, piece) => ({ text: chunk({ [name]: piece }), piece: true });
      const begun = { text: chunk({ role: 'assistant', content: answer.calls.length ? null : '' }) };
      const thoughts = kind === 'deepseek' && answer.thought ? [{ text: chunk({ reasoning_content: answer.thought }) }] : [];
      const asked = called(answer.calls, (index) => ({ index })).flatMap((it) => {
        const half = Math.ceil(it.function.arguments.length / 2);
        const more = (part) => ({ text: chunk({ tool_calls: [{ index: it.index, function: { arguments: part } }] }), piece: true });
        return [
          { text: chunk({ tool_calls: [{ ...it, function: { name: it.function.name, arguments: '' } }] }), piece: true },
          more(it.function.arguments.slice(0, half)), more(it.function.arguments.slice(half)),
        ];
      });
      const usage = usageOf(answer.usage);
      const last = kind === 'groq' ? chunk({}, answer.finish, { x_groq: { id: 'req_1', usage }, usage }) : chunk({}, answer.finish);
      const totals = kind !== 'groq' && counted
        ? [{ text: `data: ${JSON.stringify({ id, object: 'chat.completion.chunk', created: 1, model, choices: [], usage })}\n\n` }] : [];
      return [
        begun, ...thoughts, ...answer.pieces.map((piece) => said('content', piece)),
        ...(answer.refusal ? [said('refusal', answer.refusal)] : []), ...asked, { text: last }, ...totals, { text: 'data: [DONE]\n\n' },
      ];
    },
    error,
    errorInStream: (status, wish) => `data: ${JSON.stringify(error(status, wish))}\n\n`,
    idHeader: 'x-request-id',
  };
}

function kindOf(status, code) {
  if (code === 'insufficient_quota') return code;
  if (status === 429) return 'requests';
  return status < 500 ? 'invalid_request_error' : 'server_error';
}
