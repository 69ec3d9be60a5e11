// The platform's list prices: what is paid for a million of each on the Workers Paid plan, in US dollars,
// beyond what its five dollars a month include. Change the date together with a price.

/** The day on which the pages below said so. */
export const READ_ON = '2026-11-25';

const DOCS = 'https://developers.cloudflare.com';

/**
 * By what `counting.js` and `queue.js` count. `usd` is for a million; `included` is what a month has of it
 * before anything is paid, and is left out of the figures.
 */
export const PRICES = {
  // Subrequests cost nothing. Runs of queue consumers are taken as requests, which can only be too much.
  requests: { unit: 'requests', usd: 0.30, included: 10e6, page: `${DOCS}/workers/platform/pricing/` },
  cpuMs: { unit: 'CPU ms', usd: 0.02, included: 30e6, page: `${DOCS}/workers/platform/pricing/` },
  // Every fetch, every RPC and every alarm.
  objectRequests: { unit: 'object requests', usd: 0.15, included: 1e6, page: `${DOCS}/durable-objects/platform/pricing/` },
  // Those of them that nobody asked for.
  alarms: { unit: 'of these alarms', usd: 0, page: `${DOCS}/durable-objects/platform/pricing/` },
  // Wall-clock time in which an object has something to do, times the 128 MB that each is billed for.
  gbSeconds: { unit: 'object GB-s', usd: 12.50, included: 400_000, page: `${DOCS}/durable-objects/platform/pricing/` },
  rowsRead: { unit: 'rows read', usd: 0.001, included: 25e9, page: `${DOCS}/durable-objects/platform/pricing/` },
  // Deletes are writes, and setting an alarm is one.
  rowsWritten: { unit: 'rows written', usd: 1.00, included: 50e6, page: `${DOCS}/durable-objects/platform/pricing/` },
  // For each 64 KB of a message: written, read, deleted.
  queueOperations: { unit: 'queue operations', usd: 0.40, included: 1e6, page: `${DOCS}/queues/platform/pricing/` },
  // Unlimited on the paid plan; counted, because the database has a price of its own.
  statements: { unit: 'SQL statements', usd: 0, page: `${DOCS}/hyperdrive/platform/pricing/` },
};

/** What a million cost, of which one uses `units`. */
export const perMillion = (units) => Object.entries(PRICES).reduce((sum, [name, { usd }]) => sum + units[name] * usd, 0);
