// The cron triggers of wrangler.toml, fired on this machine as the platform fires them.

import { isDue } from '../../self-host/cron.mjs';

const MINUTE = 60_000;

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
      for (const expression of expressions) if (isDue(expression, next)) fire(expression, next);
      wait();
    }, next - Date.now());
    timer.unref();
  };
  wait();
  return () => clearTimeout(timer);
}
