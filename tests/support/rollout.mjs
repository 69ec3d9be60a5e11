// Unleash's gradual rollout, written down a second time, so that the tests do not believe the worker.

/** MurmurHash3, x86, 32 bits, of a text. */
export function murmur3(text, seed = 0) {
  const bytes = new TextEncoder().encode(text);
  const rotated = (value, bits) => (value << bits) | (value >>> (32 - bits));
  const mixed = (block) => Math.imul(rotated(Math.imul(block, 0xcc9e2d51), 15), 0x1b873593);
  const whole = bytes.length - (bytes.length % 4);
  const view = new DataView(bytes.buffer);
  let hash = seed;
  for (let at = 0; at < whole; at += 4) {
    hash = (Math.imul(rotated(hash ^ mixed(view.getUint32(at, true)), 13), 5) + 0xe6546b64) | 0;
  }
  let tail = 0;
  for (let at = bytes.length - 1; at >= whole; at -= 1) tail = (tail << 8) | bytes[at];
  hash ^= mixed(tail) ^ bytes.length;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** The place of an id in a group, 1 to 100. */
export const place = (group, id) => (murmur3(`${group}:${id}`) % 100) + 1;
