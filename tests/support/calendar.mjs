// Calendar months as people count them, and comparisons of moments.

import assert from 'node:assert/strict';

/** The same day and time `months` later, or the last day of that month. */
export function addMonths(moment, months) {
  const date = new Date(moment);
  const day = date.getUTCDate();
  date.setUTCDate(1);
  date.setUTCMonth(date.getUTCMonth() + months);
  const last = new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 0)).getUTCDate();
  date.setUTCDate(Math.min(day, last));
  return date;
}

/** Asserts that two moments are the same, whatever their spelling. */
export function sameMoment(actual, expected, message) {
  assert.equal(new Date(actual).toISOString(), new Date(expected).toISOString(), message);
}

/** Asserts that two moments are less than `seconds` apart. */
export function about(actual, expected, seconds = 30) {
  const apart = Math.abs(new Date(actual) - new Date(expected)) / 1000;
  assert.ok(apart < seconds, `${actual} is ${apart} s from ${new Date(expected).toISOString()}`);
}
