// Gemini.

import { anything, base64, fields, filled, integer, list, matching, number, object, one, text, version } from './check.mjs';

const NAME = matching(/^[A-Za-z0-9_-]{1,64}$/);
const KINDS = {
  text: fields({ text: filled }, { thoughtSignature: filled }),
  inlineData: fields({ inlineData: fields({ mimeType: one('image/jpeg', 'image/png', 'image/gif', 'image/webp'), data: base64 }) }),
  functionCall: fields({ functionCall: fields({ name: NAME, args: object }, { id: filled }) }, { thoughtSignature: filled }),
  functionResponse: fields({ functionResponse: fields({ name: NAME, response: object }, { id: filled }) }),
};
const part = (value, at, mistakes) => {
  const kind = Object.keys(KINDS).find((name) => value?.[name] !== undefined);
  if (kind) KINDS[kind](value, at, mistakes);
  else mistakes.add(at, `must have one of ${Object.keys(KINDS).join(', ')}`);
};
const shape = fields({
  contents: list(fields({ role: one('user', 'model'), parts: list(part, { least: 1 }) }), { least: 1 }),
}, {
  systemInstruction: fields({ parts: list(fields({ text: filled }), { least: 1 }) }),
  generationConfig: fields({}, {
    temperature: number(0, 2), topP: number(0, 1), maxOutputTokens: integer(1), seed: integer(), stopSequences: list(filled, { least: 1, most: 5 }),
    responseMimeType: one('application/json'), responseJsonSchema: object,
  }),
  tools: list(fields({ functionDeclarations: list(fields({ name: NAME }, { description: text, parametersJsonSchema: object }), { least: 1 }) }), { least: 1, most: 1 }),
  toolConfig: fields({ functionCallingConfig: fields({ mode: one('AUTO', 'NONE', 'ANY') }, { allowedFunctionNames: list(NAME, { least: 1 }) }) }),
});

function check(body, mistakes, model) {
  shape(body, '', mistakes);
  if (mistakes.list.length) return;
  const modern = version(model) >= 3;
  let open = [];
  body.contents.forEach(({ role, parts }, place) => {
    const at = `contents[${place}]`;
    const calls = parts.filter((it) => it.functionCall);
    const results = parts.filter((it) => it.functionResponse).map((it) => it.functionResponse.name);
    mistakes.unless(role === 'model' || !calls.length, at, 'only the model calls');
    mistakes.unless(role === 'user' || !results.length, at, 'only the user answers calls');
    mistakes.unless(open.length === results.length && open.every((name) => results.includes(name)), at, 'each call needs its result in the next turn');
    mistakes.unless(!modern || !calls.length || calls[0].thoughtSignature, `${at}.parts`, 'the first call needs its thoughtSignature');
    open = calls.map((it) => it.functionCall.name);
  });
  mistakes.unless(!open.length, 'contents', 'a call has no result');
  const config = body.generationConfig ?? {};
  mistakes.unless(modern || !body.tools || !config.responseMimeType, 'generationConfig.responseMimeType', 'not with tools');
  mistakes.unless(!config.responseJsonSchema || config.responseMimeType, 'generationConfig.responseJsonSchema', 'needs responseMimeType');
}

const STATUS = {
  400: 'INVALID_ARGUMENT', 401: 'UNAUTHENTICATED', 403: 'PERMISSION_DENIED', 404: 'NOT_FOUND', 429: 'RESOURCE_EXHAUSTED', 500: 'INTERNAL',
  503: 'UNAVAILABLE', 504: 'DEADLINE_EXCEEDED',
};
const REASONS = { stop: 'STOP', length: 'MAX_TOKENS', tool_calls: 'STOP', content_filter: 'SAFETY' };

/** `code: 'API_KEY_INVALID'` is its bad key, `quota: 'PerDay'` what is used up, `retryDelay: '7s'` for how long. */
function error(status, { code, message, quota, retryDelay }) {
  const google = (name) => `type.googleapis.com/google.rpc.${name}`;
  const bad = code === 'API_KEY_INVALID';
  const details = [
    ...(bad ? [{ '@type': google('ErrorInfo'), reason: code, domain: 'googleapis.com' }] : []),
    ...(quota ? [{ '@type': google('QuotaFailure'), violations: [{ quotaId: `GenerateRequests${quota}PerProjectPerModel`, quotaValue: '10' }] }] : []),
    ...(retryDelay ? [{ '@type': google('RetryInfo'), retryDelay }] : []),
  ];
  const words = bad ? 'API key not valid. Please pass a valid API key.' : message;
  return { error: { code: status, message: words, status: STATUS[status] ?? 'UNKNOWN', ...(details.length && { details }) } };
}

const usageOf = ({ input, cached, output, reasoning }) => ({
  promptTokenCount: input, candidatesTokenCount: output - reasoning, totalTokenCount: input + output,
  ...(cached && { cachedContentTokenCount: cached }), ...(reasoning && { thoughtsTokenCount: reasoning }),
});
const called = (answer, model) => answer.calls.map((it, place) => ({
  functionCall: { name: it.name, args: it.arguments }, ...(version(model) >= 3 && place === 0 && { thoughtSignature: 'sig-1' }),
}));

export const gemini = {
  streamType: 'text/event-stream',
  keyOf: (headers) => headers['x-goog-api-key'],
  checkHeaders: (headers, mistakes) => mistakes.unless(!headers.authorization, 'authorization', 'the key is in x-goog-api-key'),
  chat(path, search) {
    const [, model, method] = path.match(/^\/v1beta\/models\/([^/:]+):(generateContent|streamGenerateContent)$/) ?? [];
    if (!model) return false;
    const stream = method === 'streamGenerateContent';
    return { model: decodeURIComponent(model), stream, wrong: search !== (stream ? '?alt=sse' : '') && 'the query must be alt=sse, and for streams alone' };
  },
  models: (path) => path === '/v1beta/models',
  modelList: (names) => ({ models: names.map((name) => ({ name: `models/${name}`, displayName: name })) }),
  check,
  question(body) {
    const texts = body.contents.filter(({ role }) => role === 'user').flatMap(({ parts }) => parts).filter((it) => it.text !== undefined);
    const all = [...body.contents.flatMap(({ parts }) => parts), ...(body.systemInstruction?.parts ?? [])];
    const results = body.contents.at(-1).parts.filter((it) => it.functionResponse).map((it) => it.functionResponse.response);
    const { mode = 'AUTO', allowedFunctionNames: names } = body.toolConfig?.functionCallingConfig ?? {};
    const config = body.generationConfig ?? {};
    return {
      last: texts.at(-1)?.text ?? '', results: results.map((it) => it.result ?? JSON.stringify(it)),
      length: all.reduce((sum, it) => sum + (it.text ?? '').length, 0),
      tools: (body.tools?.[0].functionDeclarations ?? []).map((it) => ({ name: it.name, schema: it.parametersJsonSchema })),
      choice: names?.[0] ?? { AUTO: 'auto', NONE: 'none', ANY: 'required' }[mode],
      format: config.responseJsonSchema ?? (config.responseMimeType ? 'json' : 'text'),
      most: config.maxOutputTokens,
    };
  },
  whole: (answer, { id, model }) => (answer.blocked ? { promptFeedback: { blockReason: 'SAFETY' }, responseId: id } : {
    candidates: [{
      index: 0, finishReason: REASONS[answer.finish] ?? answer.finish,
      content: { role: 'model', parts: [...(answer.text ? [{ text: answer.text }] : []), ...called(answer, model)] },
    }],
    usageMetadata: usageOf(answer.usage), modelVersion: model, responseId: id,
  }),
  chunks(answer, { id, model }) {
    const chunk = (parts, more = {}) => `data: ${JSON.stringify({
      candidates: [{ index: 0, content: { role: 'model', parts }, ...more }], usageMetadata: usageOf(answer.usage), modelVersion: model, responseId: id,
    })}\r\n\r\n`;
    const last = { finishReason: REASONS[answer.finish] ?? answer.finish };
    return [
      ...answer.pieces.map((piece) => ({ text: chunk([{ text: piece }]), piece: true })),
      ...called(answer, model).map((it) => ({ text: chunk([it]), piece: true })),
      { text: chunk([], last) },
    ];
  },
  error,
  errorInStream: (status, wish) => `data: ${JSON.stringify(error(status, wish))}\r\n\r\n`,
};
