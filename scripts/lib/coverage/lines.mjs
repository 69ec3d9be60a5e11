// From counted stretches to lines: which ones count, and how often each ran.

import { valueOf } from './llvm.mjs';

/** The stretches of all functions by their file and place, each with how often it ran in all of its copies. */
export function stretchesByFile(functions, counts, isOurs) {
  const files = new Map();
  for (const { name, expressions, stretches } of functions) {
    for (const { file, counter, ...place } of stretches) {
      if (!isOurs(file)) continue;
      if (!files.has(file)) files.set(file, new Map());
      const places = files.get(file);
      const key = [place.line, place.column, place.lastLine, place.lastColumn].join(':');
      const known = places.get(key) ?? { ...place, count: 0 };
      known.count += valueOf(counter, counts.get(name), expressions);
      places.set(key, known);
    }
  }
  return new Map([...files].map(([file, places]) => [file, [...places.values()]]));
}

const isInner = (one, other) => one.line > other.line || (one.line === other.line && (one.column > other.column
  || (one.column === other.column && (one.lastLine < other.lastLine || (one.lastLine === other.lastLine && one.lastColumn < other.lastColumn)))));

/**
 * How often each line ran; null for lines that hold nothing to run. A line ran as often as the busiest stretch that
 * starts in it, or as the innermost one around its start, unless another takes its place with the first character.
 *
 * @param {string[]} source the file's lines
 */
export function linesOf(source, stretches) {
  return source.map((text, index) => {
    if (/^\s*(\/\/|$)/.test(text)) return null;
    const number = index + 1;
    const starting = stretches.filter(({ line }) => line === number);
    const first = text.search(/\S/) + 1;
    const isCovered = starting.some(({ column }) => column <= first);
    const around = isCovered ? [] : stretches.filter(({ line, lastLine }) => line < number && lastLine >= number);
    if (around.length + starting.length === 0) return null;
    const inner = around.length ? [around.reduce((best, one) => (isInner(one, best) ? one : best))] : [];
    return Math.max(...[...inner, ...starting].map(({ count }) => count));
  });
}

/** Lines of the worker, as it is built, with what the native tests ran of them added. */
export function together(worker, native) {
  return worker.map((count, index) => (count === null ? null : count + (native?.[index] ?? 0)));
}
