// Ways to damage a good request, each with whether anything but a refusal could be right.

import { createHash } from 'node:crypto';

/** Random choices that a seed repeats. */
export function createRandom(seed) {
  let state = createHash('sha256').update(String(seed)).digest().readUInt32LE();
  const next = () => {
    // Mulberry32.
    state = (state + 0x6d2b79f5) | 0;
    let bits = Math.imul(state ^ (state >>> 15), 1 | state);
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (limit) => Math.floor(next() * limit);
  return {
    below,
    chance: (part) => next() < part,
    pick: (list) => list[below(list.length)],
    weighted(pairs) {
      let at = next() * pairs.reduce((sum, [, weight]) => sum + weight, 0);
      return pairs.find(([, weight]) => (at -= weight) < 0)[0];
    },
  };
}

const SQL = ["'", "' OR '1'='1", "'; DROP TABLE licenses; --", "') UNION SELECT * FROM users_profile --", '$1', '$$', '\\', "\\'; --", '"', '%', '_',
  "1); UPDATE licenses SET status='active'; --", "x' AND pg_sleep(5) IS NULL --", '/*', '${jndi:ldap://x}', '{{7*7}}', '%s%n', '../../etc/passwd', '<script>'];
const TEXTS = [...SQL, '', ' ', 'x'.repeat(10_000), '漢'.repeat(5_000), '🙂'.repeat(300), '\u202e\u200b\ufeff', '\t\r\n', 'NULL', 'null', 'undefined', 'NaN',
  '300000-01-01', '+300000-01-01T00:00:00Z', '-0001-01-01T00:00:00Z', '0000-00-00', '9999-12-31T23:59:59.999999999Z', '9999-12-31T23:59:59-23:59',
  '0001-01-01T00:00:00Z', '2026-12-31T23:59:60Z', '1970-01-01', 'infinity', 'now', '999.999.999.999', '0.0.0.0', '255.255.255.255', '::', '::1%lo',
  '::ffff:0:0', 'fe80::/10', '10.0.0.0/99', '00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff', 'CELAEST-MKT-A8F9D2E1-0000',
  'celaest-mkt-a8f9d2e1-', 'CELAEST---', 'true', '1', '-1'];
const NUMBERS = ['0', '-0', '-1', '1.5', '1e5', '1e308', '1e400', '-1e400', '1e-400', '2147483648', '4294967296', '9223372036854775808', '18446744073709551616',
  '123456789012345678901234567890', '0.1e1'];
const OTHERS = ['null', 'true', 'false', '[]', '{}', '[null]', '[[]]', '{"":""}', '{"__proto__":{"x":1}}', '[1,"x",null,{}]'];

/** Every place in a JSON value, as a path. */
function places(value, path = []) {
  if (typeof value !== 'object' || value === null) return [path];
  return [path, ...Object.entries(value).flatMap(([key, inner]) => places(inner, [...path, key]))];
}

const MARK = '\u0001place\u0001';

/** The JSON text of a value with raw text at one place. */
function withRaw(value, path, raw) {
  if (path.length === 0) return raw;
  const copy = structuredClone(value);
  path.slice(0, -1).reduce((inner, key) => inner[key], copy)[path.at(-1)] = MARK;
  return JSON.stringify(copy).replace(JSON.stringify(MARK), () => raw);
}

/** Damages the body. */
export function damageBody(random, request) {
  const text = JSON.stringify(request.body);
  const place = random.pick(places(request.body));
  const at = 1 + random.below(text.length - 1);
  const set = (raw, what, hopeless = false) => {
    request.raw = raw;
    return { what, hopeless };
  };
  const bytes = (...codes) => Buffer.concat([Buffer.from(text.slice(0, at)), Buffer.from(codes), Buffer.from(text.slice(at))]);
  return random.weighted([
    [() => set(text.slice(0, at), 'cut off', true), 6],
    [() => set(`${text.slice(0, at)}${random.pick([...'{}[]",:\\\0x0'])}${text.slice(at)}`, 'a character too many'), 6],
    [() => set(`${text}${random.pick(['x', '{}', ',', text])}`, 'something behind it', true), 3],
    [() => set(`{${JSON.stringify(random.pick(['surprise', '__proto__', 'constructor', 'id', 'organization', '', '\u00e9']))}:1${text === '{}' ? '' : ','}${text.slice(1)}`, 'an unknown field', true), 8],
    [() => set(random.pick(['null', '[]', '1', '"x"', `[${text}]`, 'true', '\ufeff{}']), 'no object', true), 4],
    [() => set(withRaw(request.body, place, JSON.stringify(random.pick(TEXTS))), 'a text in a field'), 30],
    [() => set(withRaw(request.body, place, random.pick(NUMBERS)), 'a number in a field'), 12],
    [() => set(withRaw(request.body, place, random.pick(OTHERS)), 'another type in a field'), 12],
    [() => set(withRaw(request.body, place, '"\\u0000"'), 'a NUL in a field', true), 4],
    [() => set(withRaw(request.body, place, '"a\\ud800b"'), 'half a surrogate pair', true), 3],
    [() => set(bytes(...random.pick([[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf8, 0x88, 0x80, 0x80, 0x80]])), 'invalid UTF-8', true), 6],
    [() => {
      const depth = random.pick([200, 2_000, 20_000]);
      const [open, close] = random.pick([['[', ']'], ['{"a":', '}']]);
      return set(withRaw(request.body, place, `${open.repeat(depth)}1${close.repeat(depth)}`), 'nested too deep', true);
    }, 4],
    [() => set(`${text.slice(0, -1)}${text === '{}' ? '' : ','}"x":"${'y'.repeat(2 * 1024 * 1024)}"}`, '2 MB', true), 0.7],
    [() => {
      const [key, value] = random.pick(Object.entries(request.body).concat([['surprise', 1]]));
      return set(`{${JSON.stringify(key)}:${JSON.stringify(value)},${JSON.stringify(key)}:1${text === '{}' ? '' : ','}${text.slice(1)}`, 'a field twice', true);
    }, 4],
    [() => {
      delete request.body[random.pick(Object.keys(request.body))];
      return { what: 'a field left out', hopeless: false };
    }, 3],
    [() => set('', 'nothing'), 1],
  ])();
}

/** Damages one of the path's ids. */
export function damageId(random, request) {
  const name = random.pick(Object.keys(request.ids));
  const good = request.ids[name];
  const odd = random.pick(['0', 'x', '%00', '%ff%fe', `${good}x`, `${good}%20`, good.slice(1), good.replaceAll('-', ''), `%7B${good}%7D`, '%2e%2e%2flicenses',
    'x'.repeat(5_000), '%E6%BC%A2', ...SQL.map(encodeURIComponent), '00000000-0000-4000-8000-000000000000', 'validate']);
  request.ids[name] = odd;
  return { what: 'an id', hopeless: !request.anyName };
}

/** Damages the query string. */
export function damageQuery(random, request) {
  const known = request.query.map((pair) => pair.split('=')[0]);
  const value = random.pick([...TEXTS.map((text) => encodeURIComponent(text.slice(0, 3_000))), ...NUMBERS, '%00', '%ff%fe', '%', '%zz', 'a%00b', '+', '=', '%0d%0a']);
  if (random.chance(0.4) || known.length === 0) {
    const unknown = ['surprise', 'id', 'ORDER', 'page[]', '%00', '', 'organization_id', '__proto__'].filter((name) => !request.parameters.includes(name));
    request.query.push(`${random.pick(unknown)}=${value}`);
    return { what: 'an unknown parameter', hopeless: request.path.startsWith('/api/') };
  }
  const name = random.pick(known);
  if (random.chance(0.3)) {
    request.query.push(request.query.find((pair) => pair.startsWith(`${name}=`)));
    return { what: 'a parameter twice', hopeless: true };
  }
  request.query = request.query.map((pair) => (pair.startsWith(`${name}=`) ? `${name}=${value}` : pair));
  return { what: 'a parameter', hopeless: false };
}

/** Damages the headers. */
export function damageHeaders(random, request) {
  const junk = () => Buffer.from(random.pick([...SQL, 'x'.repeat(10_000), '\xff\xfe', 'é', ';;;', ',', '*', 'a'.repeat(300)])).toString('latin1');
  const add = (name, value, what) => {
    request.headers.push([name, value]);
    return { what, hopeless: false };
  };
  const authorized = request.headers.find(([name]) => name === 'authorization');
  return random.weighted([
    [() => add('accept-language', junk(), 'a strange Accept-Language'), 2],
    [() => add('x-request-id', junk(), 'a second X-Request-Id'), 2],
    [() => add('idempotency-key', junk(), 'a strange Idempotency-Key'), 3],
    [() => add('x-api-key', junk(), 'a strange X-API-Key besides the token'), 2],
    [() => add('origin', junk(), 'a strange Origin'), 2],
    [() => add('user-agent', junk(), 'a strange User-Agent'), 2],
    [() => add('content-type', random.pick(['text/plain', 'multipart/form-data', 'application/xml', 'x']), 'another Content-Type'), 2],
    [() => {
      if (!authorized) return add('authorization', junk(), 'a strange Authorization');
      authorized[1] = random.pick([`${authorized[1]}x`, junk(), `Bearer ${junk()}`, 'Bearer a.b.c', 'Bearer eyJhbGciOiJub25lIn0.e30.', authorized[1].slice(0, -3)]);
      return { what: 'a damaged token', hopeless: !request.isOpen };
    }, 6],
    [() => add('authorization', junk(), 'Authorization twice'), 1],
    [() => {
      request.method = random.pick(['PUT', 'HEAD', 'OPTIONS']);
      return { what: 'another method', hopeless: false };
    }, 2],
  ])();
}
