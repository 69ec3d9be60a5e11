// Selling: how long it takes from a checkout until the license that was bought is valid at the edge, and how fast
// a catalogue of a hundred thousand products is searched.
//
// The buyer's program orders and asks to pay, Stripe's stand-in (of this process, and at once) tells that it was
// paid, and the new license is validated: nothing is left out and nobody waits in between. Both are measured
// next to the line (s), a hop to an object and one query for twenty rows: a search as it is, a sale by its requests.

import { randomUUID } from 'node:crypto';
import { startStripe } from '../fakes/stripe.mjs';
import { fillCatalogue } from '../support/catalogue.mjs';
import { insertApiKey } from '../support/tokens.mjs';
import { deliverEvery } from './ai.mjs';
import { measure, median } from './lines.mjs';
import { load, request } from './load.mjs';

const VENDOR = '10000000-0000-4000-8000-000000000001';
const BUYER = '10000000-0000-4000-8000-000000000002';
const PLAN = '30000000-0000-4000-8000-000000000003';
/** Sales that are under way at the same time. */
const BUYERS = 8;
/** What the worker is asked in a sale: order, pay, Stripe's event, items, license, validation. */
const REQUESTS = 6;

/** The catalogue, a product that is sold, and somebody who buys; what the other functions need of them. */
export async function prepare(client, vars, products) {
  const [product, user] = [randomUUID(), randomUUID()];
  await client.query(
    `INSERT INTO products (id, organization_id, code, name, slug, product_type, status, price, plan_id)
     VALUES ($1, $2, 'SOLD', 'Sold', 'sold', 'software', 'published', 100, $3)`, [product, VENDOR, PLAN]);
  await client.query(
    "INSERT INTO users_profile (id, organization_id, email, role) VALUES ($1, $2, 'bench@buyer.example', 'manager')", [user, BUYER]);
  const { key } = await insertApiKey(client, vars, { user, organization: BUYER });
  await fillCatalogue(client, VENDOR, products);
  return { product, key };
}

/** Starts the stand-in; `vars` are the worker's. */
export async function startShop() {
  const stripe = await startStripe();
  return { stripe, vars: stripe.vars(), stop: async () => stripe.close() };
}

/** One sale, step by step; milliseconds of each. */
async function sale({ core, key, product, stripe }) {
  const took = {};
  const call = async (step, method, path, body) => {
    const started = performance.now();
    const response = await fetch(`http://127.0.0.1:${core}${path}`, {
      // Whoever validates shows no key.
      method, headers: { ...(step !== 'validate' && { 'x-api-key': key }), 'content-type': 'application/json' }, body: body && JSON.stringify(body),
    });
    const text = await response.text();
    took[step] = (took[step] ?? 0) + performance.now() - started;
    if (!response.ok) throw new Error(`${method} ${path} was answered with ${response.status} ${text}`);
    return JSON.parse(text).data;
  };
  const order = await call('order', 'POST', '/api/orders', { items: [{ product_id: product }], billing: { country_code: 'ES' } });
  const payment = await call('pay', 'POST', `/api/orders/${order.id}/pay`, {});
  const started = performance.now();
  const [told] = await stripe.confirm(payment.transaction_id);
  took.paid = performance.now() - started;
  if (told.body?.data?.outcome !== 'processed') throw new Error(`a payment was ${JSON.stringify(told)}`);
  const [item] = await call('look', 'GET', `/api/orders/${order.id}/items`);
  const license = await call('look', 'GET', `/api/licenses/${item.license_ids[0]}`);
  const verdict = await call('validate', 'POST', '/api/licenses/validate', { license_key: license.license_key });
  if (!verdict.valid) throw new Error(`a license that was paid is ${verdict.code}`);
  return took;
}

/** Sells for so many seconds; `rate` and, of one sale, `total` and each step in milliseconds. */
export async function sell({ seconds, ...shop }) {
  const sales = [];
  // What must be warm is warm then.
  await sale(shop);
  const started = performance.now();
  await Promise.all(Array.from({ length: BUYERS }, async () => {
    while (performance.now() - started < seconds * 1000) sales.push(await sale(shop));
  }));
  const rate = (sales.length * 1000) / (performance.now() - started);
  const totals = sales.map((took) => Object.values(took).reduce((sum, one) => sum + one, 0)).sort((a, b) => a - b);
  const steps = Object.fromEntries(Object.keys(sales[0]).map((step) => [step, median(sales.map((took) => took[step]))]));
  return { rate, p50: median(totals), p99: totals[Math.min(totals.length - 1, Math.floor(totals.length * 0.99))], steps };
}

/** The lines of the catalogue, beside the line (s). */
function lines({ sql, core }) {
  const get = (title, path, aim, expects = '"success":true') => ({
    title, port: core, next: 'sql', aim, expects, requests: [request({ port: core, path })],
  });
  return {
    sql,
    few: get('search: three words, one of them rare', '/api/products/search?q=gestor+licencias+777', 0.3),
    many: get('search: two words that one in sixty has', '/api/products/search?q=motor+facturas', 0.1),
    all: get('search: a word that all have', '/api/products/search?q=automatizaciones', 0.05),
    slip: get('search: with a slip', '/api/products/search?q=lisencias', 0.02),
    list: get('the newest 20', '/api/products', 0.7),
    one: get('one product by its slug', '/api/products/by-slug/filled-777', 0.5),
  };
}

/** Measures both; the catalogue's lines and the sales, in rounds. */
export async function measureSelling({ workerd, sql, shop, rounds, seconds, connections, note }) {
  const { ports, pid } = workerd;
  shop.stripe.webhook.url = `http://127.0.0.1:${ports.core}`;
  const delivered = deliverEvery(ports.queue);
  const sales = [];
  for (let round = 1; round <= rounds; round += 1) {
    const beside = await load({ ...sql, connections: BUYERS, seconds });
    const sold = await sell({ core: ports.core, seconds, ...shop });
    sales.push({ ...sold, ratio: (sold.rate * REQUESTS) / beside.rate });
    note(`round ${round} of ${rounds}: ${Math.round(sold.rate)} sales a second`);
  }
  await delivered();
  const catalogue = await measure(lines({ sql, core: ports.core }), { pid, rounds, seconds, connections, note });
  const middle = (figure) => median(sales.map((one) => one[figure]));
  const steps = Object.fromEntries(Object.keys(sales[0].steps).map((step) => [step, median(sales.map((one) => one.steps[step]))]));
  return { catalogue, sales: { rate: middle('rate'), ratio: middle('ratio'), p50: middle('p50'), p99: middle('p99'), steps } };
}

/** The sales in words. */
export function salesTable({ rate, ratio, p50, p99, steps }) {
  const ms = (number) => `${number.toFixed(1)} ms`;
  return [
    `From checkout to a license that is valid at the edge: ${ms(p50)} (p99 ${ms(p99)}), ${rate.toFixed(1)} sales a second of ${BUYERS} buyers at once: their ${REQUESTS} requests each are ${ratio.toFixed(2)} of (s).`,
    `Of it: the order ${ms(steps.order)}, the payment begun ${ms(steps.pay)}, paid and everything given ${ms(steps.paid)}, its license looked up ${ms(steps.look)}, validated ${ms(steps.validate)}.`,
  ].join('\n');
}
