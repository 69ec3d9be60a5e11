// Facts that analytics count, written down by hand at any time.

import { randomUUID } from 'node:crypto';
import { insert, insertLicense, PLANS } from './world.mjs';

/** The date so many days ago, in UTC: what is older than its retention is not added up any more. */
export const day = (ago) => new Date(Date.now() - ago * 86_400_000).toISOString().slice(0, 10);

/** The first of the month so many months ago, in UTC. */
export function month(ago) {
  const now = new Date();
  return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - ago, 1)).toISOString().slice(0, 10);
}

/** Writes facts of one vendor. */
export class Facts {
  /** @param {object} stack @param {object} home an organization as `createOrganization` makes it */
  constructor(stack, home) {
    Object.assign(this, { stack, home });
  }

  /** A paid order of one thing; `more` overrides columns of the order. */
  async sale(at, total, { product = this.home.product, plan = PLANS.professional, tax = 0, discount = 0, quantity = 1, ...more } = {}) {
    const id = randomUUID();
    const net = total - tax;
    await insert(this.stack, 'orders', {
      id, organization_id: this.home.id, user_id: this.home.users.admin, seller_id: this.home.id, status: 'completed', currency: 'USD',
      subtotal: net + discount, discount_total: discount, tax_total: tax, total, completed_at: at, created_at: at, ...more,
    });
    await insert(this.stack, 'order_items', {
      order_id: id, organization_id: this.home.id, product_id: product?.id, plan_id: plan, name: 'Thing', quantity,
      unit_price: (net + discount) / quantity, total: net + discount, list_total: net + discount, discount_total: discount, net_total: net, tax_total: tax,
    });
    return id;
  }

  /** What was paid back of an order. */
  async refund(order, at, amount) {
    await insert(this.stack, 'refunds', {
      order_id: order, organization_id: this.home.id, seller_id: this.home.id, amount, status: 'succeeded', created_at: at, succeeded_at: at,
    });
  }

  /** An AI request that ended; `more` overrides columns. */
  async task(at, more = {}) {
    const license = more.license_id ?? (this.license ??= (await insertLicense(this.stack, this.home.id, { product_id: this.home.product.id })).id);
    await insert(this.stack, 'processed_tasks', {
      organization_id: this.home.id, user_id: this.home.users.admin, license_id: license, status: 'completed', tokens_input: 100,
      tokens_output: 50, cost_usd: 0.02, execution_time_ms: 1000, created_at: at, completed_at: at, ...more,
    });
  }

  /** A movement of monthly revenue. */
  async movement(at, movement, mrr, { movements = 1 } = {}) {
    this.subscription ??= await this.#subscribe();
    await insert(this.stack, 'subscription_movements', {
      organization_id: this.home.id, subscription_id: this.subscription, currency: 'USD', product_id: this.home.product.id, movement,
      movements, mrr_delta: mrr, created_at: at,
    });
  }

  /** A subscription that is worth nothing itself. */
  async #subscribe() {
    const id = randomUUID();
    const order = await this.sale('2020-01-01T00:00:00Z', 0);
    const { rows: [item] } = await this.stack.pg.query('SELECT id FROM order_items WHERE order_id = $1', [order]);
    await insert(this.stack, 'subscriptions', {
      id, organization_id: this.home.id, user_id: this.home.users.admin, seller_id: this.home.id, order_item_id: item.id, name: 'Thing',
      quantity: 1, unit_price: 0, currency: 'USD', billing_cycle: 'monthly', current_period_start: '2026-01-01', current_period_end: '2026-02-01',
    });
    return id;
  }
}
