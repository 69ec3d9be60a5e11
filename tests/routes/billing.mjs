// Orders, payments, subscriptions, invoices, cards, coupons and taxes.

import { createHmac, randomUUID } from 'node:crypto';
import { PLANS, insert, insertLicense } from '../support/world.mjs';

const STRIPE = '70000000-0000-4000-8000-000000000001';
const MANUAL = '70000000-0000-4000-8000-000000000002';

/** An order of somebody, sold by our own organization; `fields` overrides columns, `more` adds what belongs to it. */
const order = (fields, more) => async ({ stack, ours }, owner) => {
  const row = {
    id: randomUUID(), organization_id: ours.id, user_id: owner ?? ours.users.admin, seller_id: ours.id, currency: 'USD',
    subtotal: 10, total: 10, billing_address: { country_code: 'ES' }, expires_at: new Date(Date.now() + 3_600_000), ...fields,
  };
  await insert(stack, 'orders', row);
  const item = randomUUID();
  await insert(stack, 'order_items', {
    id: item, order_id: row.id, organization_id: ours.id, product_id: ours.product.id, name: 'Walk', unit_price: 10, total: 10,
    list_total: 10, net_total: 10,
  });
  return { id: row.id, ...await more?.(stack, row, item) };
};

/** An order that gave a license; `fields` overrides the license's columns. */
const sold = (fields) => order({ status: 'completed', completed_at: new Date() }, async (stack, row, item) => {
  const license = await insertLicense(stack, row.organization_id, { owner_id: row.user_id, ...fields });
  await insert(stack, 'order_grants', {
    order_item_id: item, position: 0, order_id: row.id, organization_id: row.organization_id, license_id: license.id,
  });
  return { inner_id: license.id };
});

const DOCUMENT = {
  kind: 'invoice', number: 'INV-2026-999999', issued_on: '2026-03-01', order_number: 'ORD-2026-999999', corrects: null,
  currency: 'USD', seller: { name: 'Walk', tax_id: null, address: ['ES'], email: null },
  buyer: { name: 'Walk', tax_id: null, address: ['ES'], email: null },
  lines: [{ description: 'Walk', quantity: 1, unit_price: '10.00', discount: '0.00', amount: '10.00' }],
  subtotal: '10.00', discount: '0.00', taxes: [], tax: '0.00', total: '10.00',
};

let numbers = 0;
const invoiced = async (stack, row) => {
  const id = randomUUID();
  numbers += 1;
  await insert(stack, 'invoices', {
    id, organization_id: row.organization_id, user_id: row.user_id, order_id: row.id, seller_id: row.seller_id, status: 'paid',
    invoice_number: `INV-2025-${numbers}-${process.pid}`, subtotal: 10, total: 10, document: DOCUMENT, issued_at: new Date(),
  });
  return id;
};

const invoice = async (world, owner) => {
  let id;
  await order({ status: 'completed' }, async (stack, row) => {
    id = await invoiced(stack, row);
  })(world, owner);
  return { id };
};

const subscription = async (world, owner) => {
  const id = randomUUID();
  await order({ status: 'completed' }, async (stack, row, item) => {
    const start = new Date(Date.now() - 5 * 86_400_000);
    await insert(stack, 'subscriptions', {
      id, organization_id: row.organization_id, user_id: row.user_id, seller_id: row.seller_id, order_item_id: item, plan_id: PLANS.starter,
      name: 'Starter', quantity: 1, unit_price: 1, currency: 'USD', billing_cycle: 'monthly', current_period_start: start,
      current_period_end: new Date(Date.now() + 25 * 86_400_000), next_attempt_at: new Date(Date.now() + 24 * 86_400_000),
    });
  })(world, owner);
  return { id };
};

/** What has ended with the cancellation it was given can go on. */
const ending = async (world, owner) => {
  const made = await subscription(world, owner);
  await world.stack.pg.query('UPDATE subscriptions SET cancel_at_period_end = true WHERE id = $1', [made.id]);
  return made;
};

const card = async ({ stack, ours }, owner) => {
  const id = randomUUID();
  await insert(stack, 'payment_methods', {
    id, organization_id: ours.id, user_id: owner ?? ours.users.admin, gateway_id: STRIPE, card_brand: 'visa', card_last4: '4242',
    card_exp_month: 12, card_exp_year: 2090,
  });
  return { id };
};

const coupon = async ({ stack, ours }) => {
  const row = { id: randomUUID(), organization_id: ours.id, code: `W${randomUUID().slice(0, 8)}`, discount_type: 'percentage', discount_value: 10 };
  await insert(stack, 'coupons', row);
  return { id: row.id, key: row.code, product: ours.product.id };
};

const rate = async ({ stack }) => {
  const id = randomUUID();
  // No two active ones of one place.
  await insert(stack, 'tax_rates', { id, name: 'Walk', code: `walk-${id}`, rate: 1, country_code: 'ZZ', state: id, is_active: true });
  return { id };
};

const event = async ({ stack }) => {
  const id = randomUUID();
  await insert(stack, 'payment_events', {
    id, provider: 'stripe', event_id: `evt_${id}`, type: 'walk.unknown', payload: { data: { object: {} } }, error: 'walk',
  });
  return { id };
};

/** An event as Stripe signs it, which was here before. */
const signed = async ({ stack }) => {
  const body = { id: `evt_${randomUUID()}`, type: 'walk.unknown', livemode: false, data: { object: { id: 'x' } } };
  await insert(stack, 'payment_events', { provider: 'stripe', event_id: body.id, type: body.type, payload: {}, processed_at: new Date() });
  const time = Math.floor(Date.now() / 1000);
  const signature = createHmac('sha256', stack.vars.STRIPE_WEBHOOK_SECRET).update(`${time}.${JSON.stringify(body)}`).digest('hex');
  return { text: JSON.stringify(body), headers: { 'stripe-signature': `t=${time},v1=${signature}` } };
};

const oneOrder = { errorWhenUnknown: 'ORDER_NOT_FOUND', make: order() };
const readOrder = { ...oneOrder, permission: 'orders:read', clientSeesOwnOnly: true };
const soldLicense = { ...oneOrder, permission: 'orders:refund', errorWhenInnerUnknown: 'LICENSE_NOT_FOUND' };
const writeOrder = { ...oneOrder, permission: 'orders:write' };
const oneSubscription = { errorWhenUnknown: 'SUBSCRIPTION_NOT_FOUND', make: subscription };
const oneInvoice = { errorWhenUnknown: 'INVOICE_NOT_FOUND', make: invoice };
const oneCard = { permission: 'payment_methods:write', errorWhenUnknown: 'PAYMENT_METHOD_NOT_FOUND', make: card };
const oneCoupon = { permission: 'coupons:write', errorWhenUnknown: 'COUPON_NOT_FOUND', make: async (world) => ({ id: (await coupon(world)).id }) };

export default {
  'GET /api/orders': { permission: 'orders:read', rowsOfNewTenant: 0, clientSeesOwnOnly: true, make: order() },
  'POST /api/orders': {
    permission: 'orders:write', status: 201,
    make: async ({ ours }) => ({ body: { items: [{ product_id: ours.product.id }], billing: { country_code: 'ES' } } }),
  },
  'GET /api/orders/{id}': readOrder,
  'GET /api/orders/{id}/items': readOrder,
  'GET /api/orders/{id}/refunds': readOrder,
  'POST /api/orders/{id}/pay': { ...writeOrder, body: { gateway: 'manual' } },
  'POST /api/orders/{id}/cancel': { ...writeOrder, body: {} },
  'POST /api/orders/{id}/settle': {
    ...oneOrder, permission: 'orders:refund', body: { reference: 'walk' },
    make: order({ gateway_id: MANUAL, status: 'processing', payments_begun: 1 }),
  },
  'POST /api/orders/{id}/refund': {
    ...oneOrder, permission: 'orders:refund', status: 201, body: { amount: 1 },
    make: order({ gateway_id: MANUAL, status: 'completed', completed_at: new Date() }, async (stack, row) => {
      await invoiced(stack, row);
    }),
  },

  'GET /api/orders/{id}/licenses': { ...oneOrder, permission: 'orders:refund', make: sold() },
  'POST /api/orders/{id}/licenses/{inner_id}/suspend': { ...soldLicense, body: { reason: 'walk' }, make: sold() },
  'POST /api/orders/{id}/licenses/{inner_id}/reactivate': {
    ...soldLicense, body: {}, make: sold({ status: 'suspended', suspension_reason: 'walk' }),
  },

  'GET /api/subscriptions': { permission: 'orders:read', rowsOfNewTenant: 0, clientSeesOwnOnly: true, make: subscription },
  'GET /api/subscriptions/{id}': { ...oneSubscription, permission: 'orders:read', clientSeesOwnOnly: true },
  'POST /api/subscriptions/{id}/cancel': { ...oneSubscription, permission: 'orders:write', body: {} },
  'POST /api/subscriptions/{id}/resume': { ...oneSubscription, permission: 'orders:write', body: {}, make: ending },
  'POST /api/subscriptions/{id}/change-plan': { ...oneSubscription, permission: 'orders:write', body: { plan_id: PLANS.professional } },

  'GET /api/invoices': { permission: 'invoices:read', rowsOfNewTenant: 0, clientSeesOwnOnly: true, make: invoice },
  'GET /api/invoices/{id}': { ...oneInvoice, permission: 'invoices:read', clientSeesOwnOnly: true },
  'GET /api/invoices/{id}/pdf': { ...oneInvoice, permission: 'invoices:read', clientSeesOwnOnly: true, contentType: 'application/pdf' },
  'POST /api/invoices/{id}/send': { ...oneInvoice, permission: 'invoices:send', status: 202, body: {} },

  'GET /api/payment-methods': { permission: 'payment_methods:read', rowsOfNewTenant: 0, clientSeesOwnOnly: true, make: card },
  'POST /api/payment-methods': { permission: 'payment_methods:write', status: 201, body: {} },
  'DELETE /api/payment-methods/{id}': { ...oneCard, status: 204 },
  'POST /api/payment-methods/{id}/default': { ...oneCard, body: {} },

  'GET /api/coupons': { permission: 'coupons:write', rowsOfNewTenant: 0, make: oneCoupon.make },
  'POST /api/coupons': {
    permission: 'coupons:write', status: 201,
    make: async () => ({ body: { code: `R${randomUUID().slice(0, 8)}`, discount_type: 'percentage', discount_value: 12.5 } }),
  },
  'PATCH /api/coupons/{id}': { ...oneCoupon, body: { description: 'changed' } },
  'DELETE /api/coupons/{id}': { ...oneCoupon, status: 204 },
  'GET /api/coupons/{key}/validate': {
    permission: 'coupons:read', belongsToNoTenant: true,
    make: async (world) => {
      const { key, product } = await coupon(world);
      return { key, query: { product_id: product } };
    },
  },

  'GET /api/tax-rates': { permission: 'tax_rates:read', belongsToNoTenant: true },
  'POST /api/tax-rates': {
    permission: 'tax_rates:write', status: 201,
    make: async () => ({ body: { name: 'IVA', code: `w-${randomUUID().slice(0, 8)}`, rate: 21, country_code: 'ZZ', state: randomUUID() } }),
  },
  'PATCH /api/tax-rates/{id}': { permission: 'tax_rates:write', errorWhenUnknown: 'TAX_RATE_NOT_FOUND', make: rate, body: { rate: 9.975 } },

  'POST /api/webhooks/stripe': { open: true, make: signed },
  'GET /api/payment-differences': { permission: 'system:read' },
  'GET /api/payment-events': { permission: 'system:read', make: event },
  'POST /api/payment-events/{id}/replay': {
    permission: 'system:write', errorWhenUnknown: 'PAYMENT_EVENT_NOT_FOUND', make: event, body: { dismiss: true },
  },
};
