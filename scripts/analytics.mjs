// npm run analytics:backfill -- --from <date> [--to <date>]: adds the facts of a time up anew, from the rows
// themselves; --to is not included, and today without it. What is added up is the same afterwards unless something
// was wrong: answers are right all the while. It can be stopped and run again, and beside the worker's own job.
//
// The database is DATABASE_URL, as its owner, or the local one.

import { bootstrap } from './lib/bootstrap.mjs';
import { Problem } from './lib/terminal.mjs';

const USAGE = 'usage: npm run analytics:backfill -- --from <YYYY-MM-DD> [--to <YYYY-MM-DD>]';
const DAY = 86_400_000;
/** Days that are marked at a time, and quarters of an hour that are added up at a time. */
const DAYS = 31;
const QUARTERS = 2_000;

/** A day in UTC, in Unix milliseconds. */
function dayOf(text) {
  const at = Date.parse(`${text}T00:00:00Z`);
  if (!/^\d{4}-\d\d-\d\d$/.test(text) || Number.isNaN(at) || new Date(at).toISOString().slice(0, 10) !== text) throw new Problem(`"${text}" is not a date.\n${USAGE}`);
  return at;
}

function read([command, ...words]) {
  if (command !== 'backfill') throw new Problem(USAGE);
  const options = {};
  for (let at = 0; at < words.length; at += 2) {
    if (!['--from', '--to'].includes(words[at]) || !words[at + 1]) throw new Problem(USAGE);
    options[words[at].slice(2)] = dayOf(words[at + 1]);
  }
  if (options.from === undefined) throw new Problem(USAGE);
  const { from, to = Math.ceil(Date.now() / DAY) * DAY } = options;
  if (from >= to) throw new Problem('--from is not before --to.');
  return { from, to };
}

async function backfill(url, { from, to }) {
  const { withClient } = await import('./lib/database.mjs');
  await withClient(url, async (client) => {
    await client.query("SELECT set_config('celaest.access', 'system', false)");
    const one = async (sql, values) => Number((await client.query(sql, values)).rows[0].n);
    for (let at = from; at < to; at += DAYS * DAY) {
      const [first, last] = [at, Math.min(at + DAYS * DAY, to)].map((moment) => new Date(moment));
      const marked = await one('SELECT analytics_backfill($1, $2) AS n', [first, last]);
      const place = await one('SELECT coalesce(max(id), 0) AS n FROM analytics_marks');
      // Somebody else may be at work: then what is left is theirs, and is waited for. What comes in meanwhile is not.
      while (await one('SELECT count(*) AS n FROM analytics_marks WHERE id <= $1 AND quarter >= $2 AND quarter < $3', [place, first, last]) > 0) {
        if (await one('SELECT analytics_aggregate($1) AS n', [QUARTERS]) === 0) await new Promise((resolve) => { setTimeout(resolve, 200); });
      }
      process.stdout.write(`${first.toISOString().slice(0, 10)} to ${last.toISOString().slice(0, 10)}: ${marked} quarters of an hour\n`);
    }
  });
}

await bootstrap(async () => {
  const period = read(process.argv.slice(2));
  if (process.env.DATABASE_URL) {
    await backfill(process.env.DATABASE_URL, period);
    return;
  }
  const { migrateLocal, startLocalServer } = await import('./lib/local-database.mjs');
  const server = await startLocalServer({ share: true });
  try {
    await migrateLocal(server, () => {});
    await backfill(server.ownerUrl, period);
  } finally {
    await server.stop();
  }
});
