// What the compiler says of a program for its coverage: which counters stand for which stretches of which file.
// The formats are LLVM's (docs/CoverageMappingFormat, version 7; raw profiles, version 10), as rustc writes them.

import { createHash } from 'node:crypto';
import { isAbsolute, join } from 'node:path';
import { inflateSync } from 'node:zlib';

/** Reads numbers and names one after the other. */
class Reader {
  constructor(bytes, at = 0) {
    this.bytes = bytes;
    this.at = at;
  }

  u32() {
    this.at += 4;
    return this.bytes.readUInt32LE(this.at - 4);
  }

  u64() {
    this.at += 8;
    return this.bytes.readBigUInt64LE(this.at - 8);
  }

  uleb() {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = this.bytes[this.at];
      this.at += 1;
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
  }

  take(length) {
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }

  align(size) {
    this.at = Math.ceil(this.at / size) * size;
  }

  get isAtEnd() {
    return this.at >= this.bytes.length;
  }
}

/** The custom sections of a WebAssembly module by name. */
function wasmSections(file) {
  const reader = new Reader(file, 8);
  const sections = {};
  while (!reader.isAtEnd) {
    const kind = reader.take(1)[0];
    const content = new Reader(reader.take(reader.uleb()));
    if (kind === 0) sections[content.take(content.uleb()).toString()] = content.bytes.subarray(content.at);
  }
  return sections;
}

/** The sections of a 64-bit ELF file by name. */
function elfSections(file) {
  const [table, size, count, names] = [Number(file.readBigUInt64LE(40)), file.readUInt16LE(58), file.readUInt16LE(60), file.readUInt16LE(62)];
  const headers = Array.from({ length: count }, (_, index) => {
    const at = table + index * size;
    return { name: file.readUInt32LE(at), start: Number(file.readBigUInt64LE(at + 24)), length: Number(file.readBigUInt64LE(at + 32)) };
  });
  const nameOf = (offset) => {
    const start = headers[names].start + offset;
    return file.toString('latin1', start, file.indexOf(0, start));
  };
  return Object.fromEntries(headers.map(({ name, start, length }) => [nameOf(name), file.subarray(start, start + length)]));
}

/** Lists of files by the digest that functions name them with. */
function fileLists(section) {
  const lists = new Map();
  const reader = new Reader(section);
  while (reader.at + 16 <= section.length) {
    const [, length] = [reader.u32(), reader.u32(), reader.u32(), reader.u32()];
    const blob = reader.take(length);
    const content = new Reader(blob);
    const [count, , packed] = [content.uleb(), content.uleb(), content.uleb()];
    const names = packed ? new Reader(inflateSync(content.take(packed))) : content;
    const files = Array.from({ length: count }, () => names.take(names.uleb()).toString());
    // The first one is the folder that the others are in.
    const inFolder = files.map((name, index) => (index === 0 || isAbsolute(name) ? name : join(files[0], name)));
    lists.set(createHash('md5').update(blob).digest().readBigUInt64LE(0), inFolder);
    reader.align(8);
  }
  return lists;
}

const KIND = { skipped: 2, branch: 4, decision: 5, condition: 6 };

/** One function: for each stretch of its files what counts it. */
function stretchesOf(reader, files) {
  const ids = Array.from({ length: reader.uleb() }, () => reader.uleb());
  const expressions = Array.from({ length: reader.uleb() }, () => [reader.uleb(), reader.uleb()]);
  const stretches = [];
  for (const id of ids) {
    let line = 0;
    for (let left = reader.uleb(); left > 0; left -= 1) {
      const head = reader.uleb();
      const kind = (head & 3) === 0 && (head & 4) === 0 ? head >> 3 : 0;
      const more = { [KIND.branch]: 2, [KIND.decision]: 2, [KIND.condition]: 5 }[kind] ?? 0;
      for (let index = 0; index < more; index += 1) reader.uleb();
      line += reader.uleb();
      const [column, lines, lastColumn] = [reader.uleb(), reader.uleb(), reader.uleb()];
      const isGap = lastColumn >= 2 ** 31;
      // What an expansion or a decision is made of is counted where it stands.
      if (kind === 0 && ((head & 3) || !(head & 4)) && !isGap) stretches.push({ file: files[id], line, column, lastLine: line + lines, lastColumn, counter: head });
    }
  }
  return { expressions, stretches };
}

/**
 * The functions of a program.
 *
 * @param {Buffer} file a WebAssembly module or an ELF file, built with `-Cinstrument-coverage`
 * @returns {{ name: bigint, expressions: number[][], stretches: object[] }[]} `name` is the digest of the function's
 */
export function functionsOf(file) {
  const sections = file.readUInt32LE(0) === 0x464c457f ? elfSections(file) : wasmSections(file);
  const lists = fileLists(sections.__llvm_covmap);
  const functions = [];
  const reader = new Reader(sections.__llvm_covfun);
  while (reader.at + 28 <= reader.bytes.length) {
    const name = reader.u64();
    const length = reader.u32();
    reader.u64();
    const files = lists.get(reader.u64());
    functions.push({ name, ...stretchesOf(new Reader(reader.take(length)), files) });
    reader.align(8);
  }
  return functions;
}

/** How often a counter says that something ran: one of the function's own, or the sum or difference of two others. */
export function valueOf(counter, counts, expressions) {
  const id = Math.floor(counter / 4);
  if (counter % 4 === 0) return 0;
  if (counter % 4 === 1) return counts?.[id] ?? 0;
  const [left, right] = expressions[id].map((one) => valueOf(one, counts, expressions));
  return counter % 4 === 2 ? Math.max(0, left - right) : left + right;
}

/** Adds what functions counted to `counts`, by the digests of their names. */
function addCounts(counts, { records, counters, distance, pointer }) {
  // Digests of name and body, then pointers: the first is how far the counters are from this record.
  const size = Math.ceil((16 + 4 * pointer + 4 + 6 + 4) / 8) * 8;
  for (let at = 0; at + size <= records.length; at += size) {
    const name = records.readBigUInt64LE(at);
    const relative = pointer === 8 ? Number(records.readBigInt64LE(at + 16)) : records.readInt32LE(at + 16);
    const first = relative + at - distance;
    const length = records.readUInt32LE(at + 16 + 4 * pointer);
    const sums = counts.get(name) ?? new Float64Array(length);
    for (let index = 0; index < Math.min(length, sums.length); index += 1) sums[index] += Number(counters.readBigUInt64LE(first + 8 * index));
    counts.set(name, sums);
  }
}

/** What a worker of ours counted (`src/coverage.rs`), added to `counts`. */
export function addDump(counts, dump) {
  const [dataAt, dataLength, countersAt, countersLength] = [0, 4, 8, 12].map((at) => dump.readUInt32LE(at));
  addCounts(counts, {
    records: dump.subarray(16, 16 + dataLength), counters: dump.subarray(16 + dataLength, 16 + dataLength + countersLength),
    distance: countersAt - dataAt, pointer: 4,
  });
}

/** What a program on this machine counted (a `.profraw` file), added to `counts`. */
export function addProfile(counts, file) {
  const head = Array.from({ length: 16 }, (_, index) => file.readBigInt64LE(index * 8));
  // The upper bits of the version are flags.
  const version = head[1] & 0xffn;
  if (version !== 10n) throw new Error(`profiles of version ${version} are not understood`);
  const [, , ids, functions, before, numbers, , , , , distance] = head.map(Number);
  const start = 16 * 8 + ids;
  const records = file.subarray(start, start + functions * 64);
  const first = start + records.length + before;
  addCounts(counts, { records, counters: file.subarray(first, first + numbers * 8), distance, pointer: 8 });
}
