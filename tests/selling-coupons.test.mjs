// Coupons as they are made: what is none is refused by its field, and one for some products is for those alone.

import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';
import { sharedStack } from './harness/client.mjs';
import { good, refused, refusedFields } from './support/api.mjs';
import { createOrganization, createProduct } from './support/world.mjs';

const code = () => `C${randomBytes(4).toString('hex').toUpperCase()}`;

describe('a coupon', async () => {
  const stack = await sharedStack();
  const vendor = await createOrganization(stack, { roles: ['admin'] });
  const other = await createOrganization(stack, { roles: ['admin'] });
  const make = (more) => vendor.as.admin('POST', '/api/coupons', { body: { code: code(), discount_type: 'percentage', discount_value: 10, ...more } });
  const fixed = (discount_value, currency) => make({ discount_type: 'fixed_amount', discount_value, currency });

  for (const [what, wanted, field] of [
    ['takes something off', { discount_value: 0 }, 'discount_value'],
    ['takes no more than everything off', { discount_value: 100.01 }, 'discount_value'],
    ['has a currency by its three letters', { currency: 'usd' }, 'currency'],
    ['has a currency that there is', { currency: 'XXQ' }, 'currency'],
    ['has a least order of its currency', { currency: 'JPY', min_order_amount: 10.5 }, 'min_order_amount'],
    ['ends after it begins', { valid_from: '2026-05-01T00:00:00Z', valid_until: '2026-05-01T00:00:00Z' }, 'valid_until'],
    ['does not end before now, when it begins', { valid_until: '2020-01-01T00:00:00Z' }, 'valid_until'],
    ['can be used at least once', { max_redemptions: 0 }, 'max_redemptions'],
    ['is for products that there are', { product_ids: [randomUUID()] }, 'product_ids'],
    ['is for products of its own organization', { product_ids: [other.product.id] }, 'product_ids'],
  ]) test(what, async () => refusedFields(await make(wanted), field));

  test('takes an amount off that its currency has', async () => {
    for (const [value, currency] of [[0, 'USD'], [0.5, 'JPY']]) refusedFields(await fixed(value, currency), 'discount_value');
    for (const [value, currency] of [[0.01, 'USD'], [500, 'JPY'], [12.5, 'EUR']]) {
      const made = good(await fixed(value, currency), 201);
      assert.deepEqual([made.discount_value, made.currency], [value, currency]);
    }
  });

  test('has a code that no other has', async () => {
    const taken = code();
    good(await make({ code: taken }), 201);
    refused(await make({ code: taken }), 409, 'COUPON_CODE_TAKEN');
  });

  test('for some products counts for those alone', async () => {
    const elsewhere = await createProduct(stack, vendor.id);
    const made = good(await make({ product_ids: [vendor.product.id] }), 201);
    assert.deepEqual(made.product_ids, [vendor.product.id]);
    const look = (product) => vendor.as.admin('GET', '/api/coupons/{key}/validate', { key: made.code, query: { product_id: product } }).then(good);
    assert.equal((await look(vendor.product.id)).is_valid, true);
    const not = await look(elsewhere.id);
    assert.deepEqual([not.is_valid, typeof not.reason], [false, 'string']);
  });

  test('is looked at for as many as an order takes', async () => {
    const made = good(await make({}), 201);
    const look = (quantity) => vendor.as.admin('GET', '/api/coupons/{key}/validate', { key: made.code, query: { product_id: vendor.product.id, quantity } });
    assert.equal(good(await look(100)).is_valid, true);
    refusedFields(await look(101), 'quantity');
  });
});
