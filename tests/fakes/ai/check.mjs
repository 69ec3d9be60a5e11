// What a request's body must look like: shapes, and the mistakes found with their paths.

/** Collects mistakes; `at` is where in the body. */
export class Mistakes {
  list = [];

  add(at, what) {
    this.list.push(`${at || 'body'}: ${what}`);
  }

  unless(good, at, what) {
    if (!good) this.add(at, what);
    return Boolean(good);
  }
}

const named = (value) => (Array.isArray(value) ? 'array' : value === null ? 'null' : typeof value);
const type = (wanted, more = () => true, words = '') => (value, at, mistakes) => {
  if (named(value) !== wanted) mistakes.add(at, `must be ${wanted}, is ${named(value)}`);
  else if (!more(value)) mistakes.add(at, words);
};

export const text = type('string');
export const filled = type('string', (value) => value !== '', 'must not be empty');
export const bool = type('boolean');
export const object = type('object');
export const anything = () => {};
export const integer = (least = -Infinity, most = Infinity) => type(
  'number', (value) => Number.isInteger(value) && value >= least && value <= most, `must be a whole number from ${least} to ${most}`,
);
export const number = (least, most) => type('number', (value) => value >= least && value <= most, `must be from ${least} to ${most}`);
export const one = (...words) => (value, at, mistakes) => {
  if (!words.includes(value)) mistakes.add(at, `must be one of ${words.join(', ')}, is ${JSON.stringify(value)}`);
};
export const matching = (pattern) => type('string', (value) => pattern.test(value), `must match ${pattern}`);

export const list = (shape, { least = 0, most = Infinity } = {}) => (value, at, mistakes) => {
  if (!Array.isArray(value)) mistakes.add(at, `must be array, is ${named(value)}`);
  else {
    if (value.length < least || value.length > most) mistakes.add(at, `must have ${least} to ${most} items, has ${value.length}`);
    value.forEach((item, place) => shape(item, `${at}[${place}]`, mistakes));
  }
};

/** An object of these fields and no others. */
export const fields = (required, optional = {}) => (value, at, mistakes) => {
  if (named(value) !== 'object') {
    mistakes.add(at, `must be object, is ${named(value)}`);
    return;
  }
  const inner = (name) => (at ? `${at}.${name}` : name);
  for (const name of Object.keys(required)) if (!(name in value)) mistakes.add(inner(name), 'is missing');
  for (const [name, item] of Object.entries(value)) {
    const shape = required[name] ?? optional[name];
    if (shape) shape(item, inner(name), mistakes);
    else mistakes.add(inner(name), 'is not a field of this provider');
  }
};

/** An object whose field `key` says which of the shapes it has. */
export const by = (key, shapes) => (value, at, mistakes) => {
  const shape = Object.hasOwn(shapes, value?.[key]) ? shapes[value[key]] : undefined;
  if (shape) shape(value, at, mistakes);
  else mistakes.add(`${at}.${key}`, `must be one of ${Object.keys(shapes).join(', ')}, is ${JSON.stringify(value?.[key])}`);
};

/** Either of two shapes, told apart by the type of the value. */
export const either = (shapes) => (value, at, mistakes) => {
  const shape = shapes[named(value)];
  if (shape) shape(value, at, mistakes);
  else mistakes.add(at, `must be ${Object.keys(shapes).join(' or ')}, is ${named(value)}`);
};

export const base64 = matching(/^[A-Za-z0-9+/]+={0,2}$/);

/** The version in a model's name: `gpt-5.4-mini` is 5.4, `claude-opus-4-7` is 4.7. */
export function version(model) {
  const [, major = 0, minor = 0] = model.match(/(\d{1,2})(?:[.-](\d{1,2})(?!\d))?/) ?? [];
  return Number(major) + Number(minor) / 100;
}

/** Whether a schema is as strict mode wants it: everything required, nothing else allowed. */
export function isStrict(schema) {
  if (Array.isArray(schema)) return schema.every(isStrict);
  if (named(schema) !== 'object') return true;
  const closed = !schema.properties
    || (schema.additionalProperties === false && Object.keys(schema.properties).every((name) => schema.required?.includes(name)));
  return closed && Object.values(schema).every(isStrict);
}
