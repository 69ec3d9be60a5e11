// The cron triggers of wrangler.toml, fired on this machine as the platform fires them.

const MINUTE = 60_000;

/** Whether a field such as `2-57/5`, `*` or `1,15` has a number; `lowest` is the field's first. */
function has(field, number, lowest) {
  return field.split(',').some((part) => {
    const [range, step = '1'] = part.split('/');
    const [from, to] = range === '*' ? [lowest, Infinity] : range.split('-').map(Number);
    const last = to ?? (part.includes('/') ? Infinity : from);
    return number >= from && number <= last && (number - from) % Number(step) === 0;
  });
}

/** Whether an expression of five fields is due in the minute of a date, in UTC. */
export function isDue(expression, date) {
  const [minute, hour, day, month, weekday] = expression.trim().split(/\s+/);
  const days = has(day, date.getUTCDate(), 1);
  // The platform counts from Sunday, which is 1.
  const weekdays = has(weekday, date.getUTCDay() + 1, 1);
  return has(minute, date.getUTCMinutes(), 0) && has(hour, date.getUTCHours(), 0) && has(month, date.getUTCMonth() + 1, 1)
    // As cron has it: with both given, either one is enough.
    && (day === '*' || weekday === '*' ? days && weekdays : days || weekdays);
}

/**
 * Fires what is due at the start of each minute.
 *
 * @param {string} url the worker's
 * @param {string[]} expressions
 * @param {(text: string) => void} complain is told of a job that could not be started
 * @returns {() => void} stops it
 */
export function startClock(url, expressions, complain) {
  let timer;
  const fire = async (expression, time) => {
    try {
      const query = new URLSearchParams({ cron: expression, time: String(time) });
      const answer = await fetch(`${url}/cdn-cgi/local/scheduled?${query}`);
      const text = await answer.text();
      if (!answer.ok) complain(`cron ${expression}: ${answer.status} ${text}`);
    } catch (error) {
      complain(`cron ${expression}: ${error.cause?.message ?? error.message}`);
    }
  };
  const wait = () => {
    const next = (Math.floor(Date.now() / MINUTE) + 1) * MINUTE;
    timer = setTimeout(() => {
      for (const expression of expressions) if (isDue(expression, new Date(next))) fire(expression, next);
      wait();
    }, next - Date.now());
    timer.unref();
  };
  wait();
  return () => clearTimeout(timer);
}
