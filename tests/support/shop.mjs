// What the tests of selling share: a worker with a Stripe of its own, a vendor with products, and buyers.

import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { startStack } from '../harness/client.mjs';
import { startStripe } from '../fakes/stripe.mjs';
import { good } from './api.mjs';
import { eventuallyHolds } from './eventually.mjs';
import { PLANS, createOrganization, createProduct, createUser, insert, rowOf, signedIn } from './world.mjs';

/** A running shop. */
export class Shop {
  /** @param {object} [vars] variables of the worker that differ */
  static async open(vars = {}) {
    const shop = new Shop();
    shop.stripe = await startStripe();
    shop.stack = await startStack({ vars: { ...shop.stripe.vars(), ...vars } });
    shop.stripe.webhook.url = shop.stack.url;
    shop.vendor = await createOrganization(shop.stack, { roles: ['admin', 'viewer', 'super_admin'] });
    await shop.place(shop.vendor.id, { country_code: 'ES', name: 'Açaí Software, S. L.', tax_id: 'B12345674', address_line1: 'C/ Ñuño 3, 2.º', city: 'Madrid', postal_code: '28001' });
    shop.buyers = await createOrganization(shop.stack, { roles: ['admin', 'client', 'viewer'] });
    await shop.place(shop.buyers.id, { country_code: 'US', name: 'Buyer & Söhne' });
    return shop;
  }

  async close() {
    await this.stack?.stop();
    this.stripe?.close();
  }

  /** Sets columns of an organization. */
  async place(id, columns) {
    const names = Object.keys(columns);
    await this.stack.pg.query(
      `UPDATE organizations SET ${names.map((name, index) => `${name} = $${index + 2}`)} WHERE id = $1`, [id, ...Object.values(columns)]);
  }

  /** A published product of the vendor's; `more` overrides columns. */
  product(more = {}) {
    return createProduct(this.stack, this.vendor.id, { plan_id: PLANS.professional, price: 100, ...more });
  }

  /** A coupon of the vendor's. */
  async coupon(more = {}) {
    const row = {
      id: randomUUID(), organization_id: this.vendor.id, code: `C${randomBytes(4).toString('hex').toUpperCase()}`,
      discount_type: 'percentage', discount_value: 10, valid_from: new Date(Date.now() - 60_000), ...more,
    };
    await insert(this.stack, 'coupons', row);
    return row;
  }

  /** A tax of a place. */
  async tax(country, rate, more = {}) {
    await insert(this.stack, 'tax_rates', { name: 'IVA', code: `t-${randomUUID()}`, rate, country_code: country, ...more });
  }

  /** Somebody new who buys. */
  async buyer(role = 'client') {
    const id = await createUser(this.stack, this.buyers.id, role);
    return { id, call: await signedIn(this.stack, id) };
  }

  /** An order of one product, as somebody of the buyers. */
  async order(call, product, more = {}) {
    const { quantity, ...body } = more;
    return good(await call('POST', '/api/orders', { body: { items: [{ product_id: product.id, ...(quantity && { quantity }) }], ...body } }), 201);
  }

  /** Begins to pay. */
  async pay(call, order, body = {}) {
    return good(await call('POST', '/api/orders/{id}/pay', { id: order.id, body }));
  }

  /** Orders, pays and has it confirmed; returns the order as it is then. */
  async buy(call, product, more = {}) {
    const order = await this.order(call, product, more);
    const payment = await this.pay(call, order);
    await this.stripe.confirm(payment.transaction_id);
    return { ...good(await call('GET', '/api/orders/{id}', { id: order.id })), intent: payment.transaction_id };
  }

  /** The row of an order. */
  row(order) {
    return rowOf(this.stack, 'orders', order.id);
  }

  /** The row of a subscription. */
  subscription(one) {
    return rowOf(this.stack, 'subscriptions', one.id);
  }

  /** The orders of a subscription's next periods, the first first. */
  renewals(one) {
    return this.rows("SELECT * FROM orders WHERE subscription_id = $1 AND kind = 'renewal' ORDER BY created_at", one.id);
  }

  /** The first license of a subscription's order. */
  async licenseOf(one) {
    return (await this.rows(
      'SELECT l.* FROM licenses l JOIN order_grants g ON g.license_id = l.id WHERE g.order_id = $1 ORDER BY g.position', one.order.id))[0];
  }

  /** What the gateway calls the card of a subscription. */
  async cardOf({ card }) {
    return (await rowOf(this.stack, 'payment_methods', card.id)).gateway_method_id;
  }

  /** How often the gateway was asked to take money. */
  charges() {
    return this.stripe.requests.filter(({ path }) => /payment_intents(\/pi_\w+\/confirm)?$/.test(path)).length;
  }

  /** Time goes by: everything about a subscription is so many days longer ago. */
  async passes(one, days) {
    const ago = (names) => names.map((name) => `${name} = ${name} - make_interval(days => $2)`).join(', ');
    const periods = ['current_period_start', 'current_period_end', 'next_attempt_at', 'first_failed_at', 'suspended_at', 'created_at'];
    await this.rows(`UPDATE subscriptions SET ${ago(periods)} WHERE id = $1`, one.id, days);
    await this.rows(`UPDATE licenses SET ${ago(['starts_at', 'expires_at'])}
      WHERE id IN (SELECT license_id FROM order_grants WHERE order_id = $1)`, one.order.id, days);
    await this.rows(`UPDATE customer_assets SET ${ago(['acquired_at', 'expires_at'])}
      WHERE id IN (SELECT asset_id FROM order_grants WHERE order_id = $1)`, one.order.id, days);
  }

  /** Rows of a statement. */
  async rows(sql, ...values) {
    return (await this.stack.pg.query(sql, values)).rows;
  }

  /** Rows of a statement that asks who wants to know. */
  async seenBySystem(sql) {
    const client = await this.stack.pg.connect();
    try {
      await client.query("BEGIN; SET LOCAL celaest.access = 'system'");
      return (await client.query(sql)).rows;
    } finally {
      await client.query('ROLLBACK');
      client.release();
    }
  }

  /** The licenses, assets and invoices that an order gave. */
  async given(order) {
    const [found] = await this.rows(
      `SELECT (SELECT count(*)::int FROM order_grants WHERE order_id = $1 AND license_id IS NOT NULL) AS licenses,
         (SELECT count(*)::int FROM customer_assets WHERE order_id = $1) AS assets,
         (SELECT count(*)::int FROM invoices WHERE order_id = $1 AND kind = 'invoice' AND status <> 'draft') AS invoices,
         (SELECT count(*)::int FROM invoices WHERE order_id = $1 AND kind = 'credit_note') AS credits,
         (SELECT count(*)::int FROM audit_logs WHERE resource_id = $1 AND event = 'order.completed' AND organization_id = (
           SELECT organization_id FROM orders WHERE id = $1)) AS completed`, order.id);
    return found;
  }

  /** Every promise about money at once, for all that was ever sold here. */
  async balanced() {
    const [money] = await this.rows(
      `SELECT (SELECT coalesce(sum(total), 0) FROM orders WHERE status IN ('completed', 'refunded')) AS captured,
         (SELECT coalesce(sum(refunded_total), 0) FROM orders) AS refunded,
         (SELECT coalesce(sum(total), 0) FROM invoices WHERE kind = 'invoice' AND document IS NOT NULL) AS invoiced,
         (SELECT coalesce(sum(total), 0) FROM invoices WHERE kind = 'credit_note') AS credited`);
    const number = (text) => Number(text);
    assert.equal(
      Math.round((number(money.captured) - number(money.refunded)) * 100),
      Math.round((number(money.invoiced) - number(money.credited)) * 100), JSON.stringify(money));
    // And what reports say, added up or not yet: of each seller, in each currency.
    const apart = await this.seenBySystem(
      `WITH reported AS (
         SELECT f.organization_id AS seller, f.currency, sum(CASE f.kind WHEN 'order' THEN f.total ELSE -f.total END) AS revenue
         FROM analytics_sales(NULL, 'product', '-infinity', '2100-01-01') f GROUP BY 1, 2
       ), billed AS (
         SELECT seller_id AS seller, currency, sum(CASE kind WHEN 'invoice' THEN total ELSE -total END) AS revenue
         FROM invoices WHERE document IS NOT NULL GROUP BY 1, 2
       )
       SELECT * FROM reported r FULL JOIN billed b USING (seller, currency) WHERE coalesce(r.revenue, 0) <> coalesce(b.revenue, 0)`);
    assert.deepEqual(apart, []);
    const moved = await this.rows(
      `SELECT s.id, m.mrr FROM subscriptions s
       LEFT JOIN (SELECT subscription_id, sum(mrr_delta) AS mrr FROM subscription_movements GROUP BY 1) m ON m.subscription_id = s.id
       WHERE coalesce(m.mrr, 0) <> coalesce(subscription_mrr(s.status, s.quantity, s.unit_price, s.billing_cycle), 0)`);
    assert.deepEqual(moved, []);
    const wrong = await this.rows(
      `SELECT o.id, o.status, sum(i.quantity)::int AS bought,
         (SELECT count(*)::int FROM order_grants g WHERE g.order_id = o.id) AS given,
         (SELECT count(*)::int FROM customer_assets a WHERE a.order_id = o.id) AS assets
       FROM orders o JOIN order_items i ON i.order_id = o.id WHERE o.kind = 'purchase'
       GROUP BY o.id HAVING (o.status IN ('completed', 'refunded')) <> (
         (SELECT count(*) FROM order_grants g WHERE g.order_id = o.id) = sum(i.quantity)
         AND (SELECT count(*) FROM customer_assets a WHERE a.order_id = o.id)
           = coalesce(sum(i.quantity) FILTER (WHERE i.product_id IS NOT NULL), 0))`);
    assert.deepEqual(wrong, []);
    const gaps = await this.rows(
      `SELECT seller_id, kind, min(n) AS first, max(n) AS last, count(*)::int AS count FROM (
         SELECT seller_id, kind, split_part(invoice_number, '-', 3)::int AS n FROM invoices WHERE document IS NOT NULL) AS numbered
       GROUP BY 1, 2 HAVING min(n) <> 1 OR max(n) <> count(*)`);
    assert.deepEqual(gaps, []);
  }

  /** Runs a job and waits for what `holds` asserts. */
  async job(cron, holds) {
    await this.stack.triggerCron(cron);
    return holds && eventuallyHolds(holds);
  }
}

/** The jobs of selling. */
export const JOBS = { payments: '1-59/5 * * * *', renewals: '3-58/5 * * * *', reconcile: '47 * * * *', cards: '7 9 * * *' };
