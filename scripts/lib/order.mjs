// The order of a module's functions, for whoever compresses it: gzip finds what repeats only within 32 KB,
// so functions that are alike (the same generic one for another type) stand beside each other.

/** How far back gzip looks, in bytes. */
const WINDOW = 32_768;
/** Bytes that count as repeated only together. */
const PIECE = 6;
/** What occurs in more functions than this tells none apart. */
const MOST_COMMON = 200;
/** Pieces are known by so many bits of their hash. */
const BITS = 24;

/** Reads the sections of a WebAssembly module, as far as they tell where its functions are. */
function functionsOf(module) {
  let at = 8;
  const number = () => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = module[at++];
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) return value;
    }
  };
  const skipLimits = () => {
    const flags = number();
    number();
    if (flags & 1) number();
  };
  // By kind: function, table, memory, global, tag.
  const skipImport = [number, () => { at += 1; skipLimits(); }, skipLimits, () => { at += 2; }, () => { number(); number(); }];
  let imported = 0;
  const bodies = [];
  while (at < module.length) {
    const section = module[at++];
    const length = number();
    const end = at + length;
    if (section === 2) {
      for (let left = number(); left > 0; left--) {
        for (let names = 2; names > 0; names--) {
          const name = number();
          at += name;
        }
        const kind = module[at++];
        if (kind === 0) imported++;
        skipImport[kind]();
      }
    } else if (section === 10) {
      for (let left = number(); left > 0; left--) {
        const size = number();
        bodies.push(module.subarray(at, at + size));
        at += size;
      }
    }
    at = end;
  }
  return { imported, bodies };
}

/** The hashes of a body's pieces, each once. */
function piecesOf(body, seen, stamp) {
  const pieces = [];
  for (let at = 0; at + PIECE <= body.length; at++) {
    let hash = 0;
    for (let i = 0; i < PIECE; i++) hash = Math.imul(hash ^ body[at + i], 0x9e3779b1);
    hash = (hash ^ (hash >>> 15)) >>> (32 - BITS);
    if (seen[hash] === stamp) continue;
    seen[hash] = stamp;
    pieces.push(hash);
  }
  return pieces;
}

/**
 * Puts functions in an order: after each comes the one of which the last 32 KB have the most already, for its
 * size.
 *
 * @returns their indices
 */
function alike(bodies) {
  const seen = new Int32Array(1 << BITS).fill(-1);
  const occurs = new Int32Array(1 << BITS);
  const all = bodies.map((body, index) => piecesOf(body, seen, index));
  for (const pieces of all) for (const piece of pieces) occurs[piece]++;
  const telling = all.map((pieces) => pieces.filter((piece) => occurs[piece] > 1 && occurs[piece] <= MOST_COMMON));
  const having = new Map();
  telling.forEach((pieces, index) => {
    for (const piece of pieces) {
      if (!having.has(piece)) having.set(piece, []);
      having.get(piece).push(index);
    }
  });

  const known = new Float64Array(bodies.length);
  const weight = Float64Array.from(bodies, (body) => 1 / Math.sqrt(body.length + 20));
  const present = new Int32Array(1 << BITS);
  const left = Int32Array.from(bodies, (_, index) => index);
  const order = [];
  let [first, bytes] = [0, 0];
  for (let count = left.length; count > 0; count--) {
    let best = 0;
    for (let i = 1; i < count; i++) {
      if (known[left[i]] * weight[left[i]] > known[left[best]] * weight[left[best]]) best = i;
    }
    const next = left[best];
    left[best] = left[count - 1];
    order.push(next);
    bytes += bodies[next].length;
    for (const piece of telling[next]) {
      if (present[piece]++ === 0) for (const other of having.get(piece)) known[other]++;
    }
    for (; bytes > WINDOW && first < order.length - 1; first++) {
      bytes -= bodies[order[first]].length;
      for (const piece of telling[order[first]]) {
        if (--present[piece] === 0) for (const other of having.get(piece)) known[other]--;
      }
    }
  }
  return order;
}

function leb(value) {
  const bytes = [];
  for (; value > 127; value >>>= 7) bytes.push((value & 127) | 128);
  return Buffer.from([...bytes, value]);
}

const sized = (...parts) => {
  const whole = Buffer.concat(parts);
  return Buffer.concat([leb(whole.length), whole]);
};

/**
 * Names the functions of a module that has no names, so that the order of the names is the one in which they
 * should stand.
 *
 * @param {Buffer} module
 */
export function named(module) {
  const { imported, bodies } = functionsOf(module);
  const names = [];
  alike(bodies).forEach((index, place) => { names[index] = String(place).padStart(6, '0'); });
  const entries = names.flatMap((name, index) => [leb(imported + index), sized(Buffer.from(name))]);
  const functions = Buffer.concat([Buffer.from([1]), sized(leb(names.length), ...entries)]);
  return Buffer.concat([module, Buffer.from([0]), sized(sized(Buffer.from('name')), functions)]);
}
