// What the model says: always the same to the same question, in no provider's dialect.

/** The smallest value that fits a JSON schema. */
export function instance(schema, root = schema, depth = 0) {
  if (schema?.$ref) return instance(root.$defs?.[schema.$ref.split('/').at(-1)] ?? {}, root, depth + 1);
  if (schema?.const !== undefined) return schema.const;
  if (schema?.enum) return schema.enum[0];
  if (schema?.anyOf) return instance(schema.anyOf[0], root, depth + 1);
  const type = Array.isArray(schema?.type) ? schema.type[0] : schema?.type;
  if (depth > 10) return null;
  switch (type) {
    case 'string': return 'text';
    case 'number': case 'integer': return schema.minimum ?? 1;
    case 'boolean': return true;
    case 'array': return [instance(schema.items ?? {}, root, depth + 1)];
    case 'null': return null;
    default: return Object.fromEntries(Object.entries(schema?.properties ?? {}).map(([name, it]) => [name, instance(it, root, depth + 1)]));
  }
}

/** Words with the spaces before them: each is a token, and a chunk of a stream. */
export const tokens = (text) => text.match(/\s*\S+|\s+$/g) ?? [];

/**
 * The answer to a question: `{last, results, length, tools, choice, format, most}`, where `results` are those of
 * the tools if they came last, `length` is of all texts, and `format` is `text`, `json` or a schema.
 */
export function answerTo(question, wish = {}) {
  const { last, results, length, tools, choice, format, most } = question;
  let { text, calls = [], refusal } = wish;
  if (text === undefined && refusal === undefined && !calls.length) {
    const wanted = tools.find(({ name }) => name === choice)
      ?? (choice === 'required' ? tools[0] : choice === 'auto' && tools.find(({ name }) => last.includes(name)));
    if (results.length) text = `The tools say: ${results.join('; ')}`;
    else if (wanted) calls = [{ name: wanted.name, arguments: instance(wanted.schema ?? {}) }];
    else if (format === 'text') text = `You said: ${last}`;
    else text = JSON.stringify(format === 'json' ? { answer: `You said: ${last}` } : instance(format));
  }
  let pieces = tokens(text ?? '');
  let finish = wish.finish ?? (calls.length ? 'tool_calls' : 'stop');
  if (most && pieces.length > most) {
    pieces = pieces.slice(0, most);
    finish = wish.finish ?? 'length';
  }
  const usage = {
    input: Math.max(1, Math.ceil(length / 4)), cached: 0, output: Math.max(1, pieces.length + 5 * calls.length), reasoning: 0, ...wish.usage,
  };
  return {
    pieces, text: pieces.join(''), refusal, finish, usage,
    calls: calls.map((call, place) => ({ id: `call_${place + 1}`, arguments: {}, ...call })),
    thought: wish.thought,
  };
}
