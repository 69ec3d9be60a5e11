// Orders before they are paid: what they come to, coupons, giving up, and how they are paid.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { good, refused, refusedFields } from './support/api.mjs';
import { eventuallyHolds } from './support/eventually.mjs';
import { JOBS, Shop } from './support/shop.mjs';
import { createProduct, rowOf } from './support/world.mjs';

let shop;
let stripe;
let buyer;
before(async () => {
  shop = await Shop.open();
  ({ stripe } = shop);
  buyer = await shop.buyer();
});
after(() => shop?.close());

const order = (body, call = buyer.call) => call('POST', '/api/orders', { body });
const items = (...products) => products.map(({ id }) => ({ product_id: id }));
const worth = (coupon) => rowOf(shop.stack, 'coupons', coupon.id).then((row) => row.redemption_count);

describe('totals', () => {
  test('taxes of the country and the state, in its place or beside it, and of those who owe it themselves', async () => {
    await shop.tax('CA', 5, { name: 'GST' });
    await shop.tax('CA', 9.975, { name: 'QST', state: 'Quebec' });
    await shop.tax('ES', 21, { exempt_with_tax_id: true });
    await shop.tax('ES', 7, { name: 'IGIC', state: 'Canarias', replaces_country: true });
    await shop.tax('DE', 19, { name: 'USt', exempt_with_tax_id: true });
    await shop.tax('MX', 16, { is_inclusive: true });
    const product = await shop.product();
    const totals = async (billing) => {
      const made = good(await order({ items: items(product), billing }), 201);
      return [made.tax_total, made.total, made.tax_lines.map(({ name, rate, amount }) => `${name} ${rate} ${amount}`).join(', ')];
    };
    assert.deepEqual(await totals({ country_code: 'CA' }), [5, 105, 'GST 5 5.00']);
    assert.deepEqual(await totals({ country_code: 'CA', state: 'quebec' }), [14.98, 114.98, 'GST 5 5.00, QST 9.975 9.98']);
    assert.deepEqual(await totals({ country_code: 'ES', state: 'Canarias' }), [7, 107, 'IGIC 7 7.00']);
    assert.deepEqual(await totals({ country_code: 'DE' }), [19, 119, 'USt 19 19.00']);
    assert.deepEqual(await totals({ country_code: 'DE', tax_id: 'DE 123.456.789' }), [0, 100, 'USt 19 0.00']);
    // The seller is in Spain: there it is charged.
    assert.deepEqual(await totals({ country_code: 'ES', tax_id: 'B-12345674' }), [21, 121, 'IVA 21 21.00']);
    assert.deepEqual(await totals({ country_code: 'MX' }), [13.79, 100, 'IVA 16 13.79']);
    assert.deepEqual(await totals({ country_code: 'FR' }), [0, 100, '']);
  });

  test('of a seller who does not say where they are nobody is in another country', async () => {
    await shop.place(shop.vendor.id, { country_code: null });
    const made = good(await order({ items: items(await shop.product()), billing: { country_code: 'DE', tax_id: 'DE 123.456.789' } }), 201);
    await shop.place(shop.vendor.id, { country_code: 'ES' });
    assert.deepEqual([made.tax_total, made.tax_lines[0].exempt], [19, false]);
  });

  test('currencies without decimals, with three, and those that only look as if they had some', async () => {
    for (const [currency, price, minor, total] of [['JPY', 999, 999, 999], ['KWD', 5.12, 5120, 5.12], ['UGX', 5, 500, 5], ['EUR', 0.5, 50, 0.5]]) {
      const made = await shop.order(buyer.call, await shop.product({ price, currency }));
      assert.equal(made.total, total);
      const { transaction_id: id } = await shop.pay(buyer.call, made);
      assert.deepEqual([stripe.intents.get(id).amount, stripe.intents.get(id).currency], [minor, currency.toLowerCase()]);
    }
  });

  test('a price that the buyer did not see is told, not charged', async () => {
    const product = await shop.product();
    const details = refused(await order({ items: [{ product_id: product.id, unit_price: 99 }] }), 409, 'PRICE_CHANGED');
    assert.deepEqual(details, { items: [{ item: 0, unit_price: 100 }] });
    good(await order({ items: [{ product_id: product.id, unit_price: 100 }] }), 201);
  });
});

describe('bad input', () => {
  test('has a clear answer, and leaves nothing', async () => {
    const product = await shop.product();
    const [{ count: before }] = await shop.rows('SELECT count(*)::int FROM orders');
    const one = { product_id: product.id };
    refused(await order({ items: [{ ...one, quantity: -1 }] }), 400, 'INVALID_BODY');
    refused(await order({ items: [{ ...one, quantity: 1.5 }] }), 400, 'INVALID_BODY');
    refusedFields(await order({ items: [{ ...one, quantity: 0 }] }), 'items[0].quantity');
    refusedFields(await order({ items: [] }), 'items');
    refusedFields(await order({ items: Array(2_000).fill(one) }), 'items');
    refusedFields(await order({ items: Array(50).fill({ ...one, quantity: 3 }) }), 'items');
    refusedFields(await order({ items: [{ product_id: randomUUID() }] }), 'items[0].product_id');
    refusedFields(await order({ items: [{}] }), 'items[0].product_id');
    refusedFields(await order({ items: [{ ...one, plan_id: randomUUID() }] }), 'items[0].product_id');
    for (const status of ['draft', 'archived', 'coming_soon']) {
      refusedFields(await order({ items: items(await shop.product({ status })) }), 'items[0].product_id');
    }
    const foreign = await createProduct(shop.stack, shop.buyers.id);
    refusedFields(await order({ items: items(product, foreign) }), 'items[1].product_id');
    refusedFields(await order({ items: items(product, await shop.product({ currency: 'EUR' })) }), 'items[1].product_id');
    refusedFields(await order({ items: [{ product_id: (await shop.product({ price: 9_999_999_999 })).id, quantity: 2 }] }), 'items');
    refusedFields(await order({ items: items(product), billing: { country_code: 'usa' } }), 'billing.country_code');
    refusedFields(await order({ items: items(product), billing: { country_code: 'US', tax_id: '<x>' } }), 'billing.tax_id');
    refusedFields(await order({ items: items(product), coupon_code: 'NOPE' }), 'coupon_code');
    const theirs = await shop.coupon({ organization_id: shop.buyers.id });
    refusedFields(await order({ items: items(product), coupon_code: theirs.code }), 'coupon_code');
    const [{ count }] = await shop.rows('SELECT count(*)::int FROM orders');
    assert.equal(count, before);
  });
});

describe('coupons', () => {
  test('say why they do not count', async () => {
    const [product, other] = [await shop.product(), await shop.product()];
    const day = 86_400_000;
    for (const [more, reason] of [
      [{ is_active: false }, 'inactive'],
      [{ valid_from: new Date(Date.now() + day) }, 'not_yet_valid'],
      [{ valid_from: new Date(Date.now() - 2 * day), valid_until: new Date(Date.now() - day) }, 'expired'],
      [{ max_redemptions: 1, redemption_count: 1 }, 'used_up'],
      [{ product_ids: [other.id] }, 'other_products'],
      [{ min_order_amount: 100.01 }, 'below_minimum'],
      [{ discount_type: 'fixed_amount', currency: 'EUR' }, 'other_currency'],
    ]) {
      const coupon = await shop.coupon(more);
      assert.deepEqual(refused(await order({ items: items(product), coupon_code: coupon.code }), 409, 'COUPON_NOT_APPLICABLE'), { reason });
      const asked = good(await buyer.call('GET', '/api/coupons/{key}/validate', { key: coupon.code, query: { product_id: product.id } }));
      assert.deepEqual([asked.is_valid, asked.reason, asked.discount_amount], [false, reason, null]);
    }
    const good10 = await shop.coupon({ discount_value: 12.5 });
    const asked = good(await buyer.call('GET', '/api/coupons/{key}/validate', { key: good10.code.toLowerCase(), query: { product_id: product.id, quantity: 2 } }));
    assert.deepEqual([asked.is_valid, asked.reason, asked.discount_amount], [true, null, 25]);
  });

  test('three uses and ten buyers at once: exactly three, and a clear answer for the others', async () => {
    const product = await shop.product();
    const coupon = await shop.coupon({ max_redemptions: 3 });
    const buyers = await Promise.all(Array.from({ length: 10 }, () => shop.buyer()));
    const answers = await Promise.all(buyers.map(({ call }) => order({ items: items(product), coupon_code: coupon.code }, call)));
    assert.equal(answers.filter(({ status }) => status === 201).length, 3);
    for (const answer of answers.filter(({ status }) => status !== 201)) {
      assert.deepEqual(refused(answer, 409, 'COUPON_NOT_APPLICABLE'), { reason: 'used_up' });
    }
    assert.equal(await worth(coupon), 3);
    // Given back once, and used by somebody else.
    const first = answers.findIndex(({ status }) => status === 201);
    for (let round = 0; round < 2; round += 1) good(await buyers[first].call('POST', '/api/orders/{id}/cancel', { id: answers[first].data.id, body: {} }));
    assert.equal(await worth(coupon), 2);
    good(await order({ items: items(product), coupon_code: coupon.code }), 201);
    assert.equal(await worth(coupon), 3);
  });

  test('once a person, however many at once', async () => {
    const product = await shop.product();
    const coupon = await shop.coupon({ max_per_user: 1 });
    const one = await shop.buyer();
    const answers = await Promise.all(Array.from({ length: 6 }, () => order({ items: items(product), coupon_code: coupon.code }, one.call)));
    assert.deepEqual(answers.map(({ status }) => status).sort(), [201, 409, 409, 409, 409, 409]);
    good(await order({ items: items(product), coupon_code: coupon.code }), 201);
  });
});

describe('paying', () => {
  test('many times at once is one payment', async () => {
    const made = await shop.order(buyer.call, await shop.product());
    const before = stripe.intents.size;
    const answers = await Promise.all(Array.from({ length: 8 }, () => shop.pay(buyer.call, made)));
    assert.equal(new Set(answers.map((answer) => answer.transaction_id)).size, 1);
    assert.equal(stripe.intents.size, before + 1);
    const keys = new Set(stripe.requests.filter(({ form }) => form.metadata?.order_id === made.id).map(({ headers }) => headers['idempotency-key']));
    assert.equal(keys.size, 1);
  });

  test('goes on where Stripe broke off: the answer was lost, it failed for a while, it refused', async () => {
    const product = await shop.product();
    const made = await shop.order(buyer.call, product);
    const before = stripe.intents.size;
    for (let count = 0; count < 3; count += 1) stripe.fail('payment_intents', { done: true, drop: true });
    refused(await buyer.call('POST', '/api/orders/{id}/pay', { id: made.id, body: {} }), 503, 'SERVICE_UNAVAILABLE');
    stripe.fail('payment_intents', { status: 409, body: { error: { type: 'invalid_request_error', code: 'lock_timeout' } } });
    const payment = await shop.pay(buyer.call, made);
    assert.equal(stripe.intents.size, before + 1);
    assert.equal(payment.next, 'confirm');
    const small = await shop.order(buyer.call, await shop.product({ price: 0.1 }));
    assert.deepEqual(refused(await buyer.call('POST', '/api/orders/{id}/pay', { id: small.id, body: {} }), 422, 'PAYMENT_REFUSED'), { code: 'amount_too_small' });
  });

  test('what Stripe takes no payment for is paid in another way, or given up', async () => {
    const product = await shop.product({ price: 0.3 });
    const orders = await Promise.all([1, 2].map(() => shop.order(buyer.call, product)));
    for (const { id } of orders) {
      assert.deepEqual(refused(await buyer.call('POST', '/api/orders/{id}/pay', { id, body: {} }), 422, 'PAYMENT_REFUSED'), { code: 'amount_too_small' });
    }
    const [paid, left] = orders;
    assert.equal((await shop.pay(buyer.call, paid, { gateway: 'manual' })).next, 'transfer');
    assert.equal(good(await shop.vendor.as.admin('POST', '/api/orders/{id}/settle', { id: paid.id, body: {} })).status, 'completed');
    // As if whoever was refused had died before it was noted.
    await shop.rows(`UPDATE orders SET metadata = metadata || '{"payment": {}}' WHERE id = $1`, left.id);
    assert.equal(good(await buyer.call('POST', '/api/orders/{id}/cancel', { id: left.id, body: {} })).status, 'cancelled');
  });

  test('nothing costs nothing, and is there at once', async () => {
    const made = await shop.order(buyer.call, await shop.product({ price: 10 }), { coupon_code: (await shop.coupon({ discount_value: 100 })).code });
    const asked = stripe.requests.length;
    const payment = await shop.pay(buyer.call, made);
    assert.deepEqual([payment.status, payment.next, payment.client_secret], ['completed', 'nothing', null]);
    assert.equal(stripe.requests.length, asked);
    assert.deepEqual(await shop.given(made), { licenses: 1, assets: 1, invoices: 1, credits: 0, completed: 1 });
    assert.equal((await shop.pay(buyer.call, made)).next, 'nothing');
  });

  test('by bank transfer: whoever sells says that it came', async () => {
    const made = await shop.order(buyer.call, await shop.product());
    const payment = await shop.pay(buyer.call, made, { gateway: 'manual' });
    assert.deepEqual([payment.next, payment.reference, payment.status], ['transfer', made.order_number, 'processing']);
    refused(await buyer.call('POST', '/api/orders/{id}/pay', { id: made.id, body: {} }), 409, 'PAYMENT_UNDER_WAY');
    refused(await shop.buyers.as.admin('POST', '/api/orders/{id}/settle', { id: made.id, body: {} }), 404, 'ORDER_NOT_FOUND');
    for (let round = 0; round < 2; round += 1) {
      const settled = good(await shop.vendor.as.admin('POST', '/api/orders/{id}/settle', { id: made.id, body: { reference: 'N26-1' } }));
      assert.deepEqual([settled.status, settled.gateway], ['completed', 'manual']);
    }
    assert.deepEqual(await shop.given(made), { licenses: 1, assets: 1, invoices: 1, credits: 0, completed: 1 });
    const [{ user_id: by }] = await shop.rows("SELECT user_id FROM audit_logs WHERE resource_id = $1 AND event = 'order.completed' LIMIT 1", made.id);
    assert.equal(by, shop.vendor.users.admin);
    await shop.balanced();
  });
});

test('a transfer is settled once the buyer chose one: else what is missing is said', async () => {
  const settle = (id) => shop.vendor.as.admin('POST', '/api/orders/{id}/settle', { id, body: {} });
  const made = await shop.order(buyer.call, await shop.product());
  assert.deepEqual(refused(await settle(made.id), 409, 'TRANSFER_NOT_BEGUN'), { gateway: null });
  const { transaction_id: id } = await shop.pay(buyer.call, made);
  assert.deepEqual(refused(await settle(made.id), 409, 'TRANSFER_NOT_BEGUN'), { gateway: 'stripe' });
  await stripe.confirm(id);
  refused(await settle(made.id), 409, 'ORDER_PAID');
  const given = await shop.order(buyer.call, await shop.product());
  good(await buyer.call('POST', '/api/orders/{id}/cancel', { id: given.id, body: {} }));
  refused(await settle(given.id), 409, 'ORDER_CANCELLED');
});

test('a product whose currency is none is not sold', async () => {
  const product = await shop.product({ currency: 'ZZZ' });
  refusedFields(await buyer.call('POST', '/api/orders', { body: { items: [{ product_id: product.id }] } }), 'items');
});

describe('giving up', () => {
  test('ends the payment at Stripe too; what was paid a moment ago is paid', async () => {
    const product = await shop.product();
    const made = await shop.order(buyer.call, product);
    const { transaction_id: id } = await shop.pay(buyer.call, made);
    assert.equal(good(await buyer.call('POST', '/api/orders/{id}/cancel', { id: made.id, body: {} })).status, 'cancelled');
    assert.equal(stripe.intents.get(id).status, 'canceled');
    refused(await buyer.call('POST', '/api/orders/{id}/pay', { id: made.id, body: {} }), 409, 'ORDER_CANCELLED');
    const late = await shop.order(buyer.call, product);
    const paid = await shop.pay(buyer.call, late);
    Object.assign(stripe.intents.get(paid.transaction_id), { status: 'succeeded', amount_received: 10_000 });
    refused(await buyer.call('POST', '/api/orders/{id}/cancel', { id: late.id, body: {} }), 409, 'ORDER_PAID');
    assert.equal((await shop.row(late)).status, 'completed');
  });

  test('whoever died between asking and noting leaves no payment behind', async () => {
    const made = await shop.order(buyer.call, await shop.product());
    const { transaction_id: id } = await shop.pay(buyer.call, made);
    await shop.rows('UPDATE orders SET gateway_transaction_id = NULL WHERE id = $1', made.id);
    good(await buyer.call('POST', '/api/orders/{id}/cancel', { id: made.id, body: {} }));
    assert.equal(stripe.intents.get(id).status, 'canceled');
  });

  test('by itself after a day, with its coupon given back', async () => {
    const coupon = await shop.coupon();
    const made = await shop.order(buyer.call, await shop.product(), { coupon_code: coupon.code });
    const { transaction_id: id } = await shop.pay(buyer.call, made);
    const open = new Date(made.expires_at) - new Date(made.created_at);
    assert.ok(Math.abs(open - 86_400_000) < 60_000);
    await shop.rows("UPDATE orders SET expires_at = now() - interval '1 second' WHERE id = $1", made.id);
    refused(await buyer.call('POST', '/api/orders/{id}/pay', { id: made.id, body: {} }), 409, 'ORDER_CANCELLED');
    await shop.job(JOBS.payments, async () => assert.equal((await shop.row(made)).status, 'cancelled'));
    assert.equal(stripe.intents.get(id).status, 'canceled');
    assert.equal(await worth(coupon), 0);
    await shop.balanced();
  });

  test('by itself also behind hundreds whose payment a bank takes days for, or that Stripe does not know', async () => {
    const made = await shop.order(buyer.call, await shop.product());
    const { transaction_id: id } = await shop.pay(buyer.call, made);
    const copies = await shop.rows(
      `INSERT INTO orders (organization_id, user_id, seller_id, kind, status, currency, subtotal, total, gateway_id, gateway_transaction_id,
         payments_begun, metadata, billing_name, billing_address, expires_at)
       SELECT organization_id, user_id, seller_id, kind, status, currency, subtotal, total, gateway_id, 'pi_slow' || n, payments_begun,
         metadata, billing_name, billing_address, now() - interval '1 hour'
       FROM orders, generate_series(1, 200) n WHERE id = $1 RETURNING id, gateway_transaction_id AS intent`, made.id);
    for (const { intent } of copies.filter((_, n) => n % 2)) stripe.intents.set(intent, { ...stripe.intents.get(id), id: intent, status: 'processing' });
    await shop.rows("UPDATE orders SET expires_at = now() - interval '1 second' WHERE id = $1", made.id);
    await eventuallyHolds(async () => {
      await shop.stack.triggerCron(JOBS.payments);
      assert.equal((await shop.row(made)).status, 'cancelled');
    });
    for (const copy of copies.slice(0, 2)) {
      const { status, expires_at: until } = await shop.row(copy);
      assert.equal(status, 'processing');
      assert.ok(until > new Date());
    }
    await shop.rows("UPDATE orders SET status = 'cancelled', gateway_transaction_id = NULL WHERE gateway_transaction_id LIKE 'pi_slow%'");
  });
});
