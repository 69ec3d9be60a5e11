// When a job is due: the five fields of a cron expression, in UTC, as Cron Triggers read them: days of the week
// count from Sunday, which is 1. Numbers, lists, ranges and steps; what else there may be is refused when the
// configuration is made.

const FIELDS = [[0, 59], [0, 23], [1, 31], [1, 12], [1, 7]];

/** The values that one field of an expression names, between `low` and `high`. */
function valuesOf(field, [low, high]) {
  return new Set(field.split(',').flatMap((part) => {
    const found = /^(?:\*|(\d+)(?:-(\d+))?)(?:\/(\d+))?$/.exec(part);
    if (!found) throw new Error(`cron: "${part}" is not understood`);
    const [, from, to, step] = found.map((text) => (text === undefined ? undefined : Number(text)));
    const first = from ?? low;
    const last = to ?? (from === undefined || step ? high : from);
    if (first < low || last > high || first > last || step === 0) throw new Error(`cron: "${part}" is out of ${low}-${high}`);
    return Array.from({ length: Math.floor((last - first) / (step ?? 1)) + 1 }, (_, index) => first + index * (step ?? 1));
  }));
}

/** Whether an expression is due in the minute that begins at `time` (Unix milliseconds). */
export function isDue(expression, time) {
  const fields = expression.trim().split(/\s+/);
  if (fields.length !== FIELDS.length) throw new Error(`cron: "${expression}" has not five fields`);
  const at = new Date(time);
  const now = [at.getUTCMinutes(), at.getUTCHours(), at.getUTCDate(), at.getUTCMonth() + 1, at.getUTCDay() + 1];
  const [minute, hour, day, month, weekday] = fields.map((field, index) => valuesOf(field, FIELDS[index]).has(now[index]));
  // Either of the two days will do where both are given.
  const days = fields[2] !== '*' && fields[4] !== '*' ? day || weekday : day && weekday;
  return minute && hour && days && month;
}
