// k6's own module, as far as the scenarios use it: checks are counted for the runner.

/** What was looked at: name → `{ passes, fails }`. */
export const checks = new Map();

/** As k6's `check`: every condition of `sets` is looked at; returns whether all held. */
export function check(value, sets) {
  return Object.entries(sets).map(([name, condition]) => {
    const holds = Boolean(condition(value));
    const counts = checks.get(name) ?? { passes: 0, fails: 0 };
    counts[holds ? 'passes' : 'fails'] += 1;
    checks.set(name, counts);
    return holds;
  }).every(Boolean);
}
