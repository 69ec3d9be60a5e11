// Which card is charged: everybody who has cards has one default, for each organization that they buy for.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { good } from './support/api.mjs';
import { eventuallyHolds } from './support/eventually.mjs';
import { Shop } from './support/shop.mjs';
import { insert } from './support/world.mjs';

let shop;
let stripe;
before(async () => {
  shop = await Shop.open();
  ({ stripe } = shop);
});
after(() => shop?.close());

const cards = async ({ call }) => good(await call('GET', '/api/payment-methods'));
const preferred = async (buyer) => (await cards(buyer)).filter((card) => card.is_default).map(({ id }) => id);
const prefer = ({ call }, id) => call('POST', '/api/payment-methods/{id}/default', { id, body: {} });
const remove = ({ call }, id) => call('DELETE', '/api/payment-methods/{id}', { id });
/** Saves a card; returns it. */
async function save({ call }) {
  const { setup_id: setup } = good(await call('POST', '/api/payment-methods', { body: {} }), 201);
  await stripe.confirmSetup(setup);
  return good(await call('POST', '/api/payment-methods', { body: { setup_id: setup } }), 201).payment_method;
}
/** A buyer with so many cards, the first of which is the default. */
async function withCards(count) {
  const buyer = await shop.buyer();
  const ids = [];
  for (let n = 0; n < count; n += 1) ids.push((await save(buyer)).id);
  return { ...buyer, ids };
}

test('where the default is removed the card that was saved last comes in its place, one that has not expired first', async () => {
  const buyer = await withCards(4);
  const [first, second, third, fourth] = buyer.ids;
  await shop.rows('UPDATE payment_methods SET card_exp_month = 1, card_exp_year = 2020 WHERE id = $1', fourth);
  good(await remove(buyer, first), 204);
  assert.deepEqual(await preferred(buyer), [third]);
  const logged = await shop.rows("SELECT changes FROM audit_logs WHERE resource_id = $1 AND event = 'payment_method.preferred'", third);
  assert.deepEqual(logged.map(({ changes }) => changes.after), [{ is_default: true }]);
  // At the gateway itself it is the same.
  const [{ gateway_method_id: theirs }] = await shop.rows('SELECT gateway_method_id FROM payment_methods WHERE id = $1', third);
  await stripe.tell(stripe.event('payment_method.detached', { ...stripe.methods.get(theirs), customer: null }));
  await eventuallyHolds(async () => assert.deepEqual(await preferred(buyer), [second]));
  good(await remove(buyer, second), 204);
  assert.deepEqual(await preferred(buyer), [fourth]);
  good(await remove(buyer, fourth), 204);
  assert.deepEqual(await cards(buyer), []);
  assert.equal((await save(buyer)).is_default, true);
});

test('one that is no default is removed without a change of the others', async () => {
  const buyer = await withCards(3);
  good(await remove(buyer, buyer.ids[2]), 204);
  assert.deepEqual(await preferred(buyer), [buyer.ids[0]]);
});

test('cards that are preferred and removed at once leave one default', async () => {
  const buyer = await withCards(6);
  const answers = await Promise.all([
    ...buyer.ids.slice(0, 4).map((id) => remove(buyer, id)), ...Array.from({ length: 20 }, (_, n) => prefer(buyer, buyer.ids[n % 6])),
  ]);
  for (const { status } of answers) assert.ok([200, 204, 404].includes(status), String(status));
  assert.equal((await cards(buyer)).length, 2);
  assert.equal((await preferred(buyer)).length, 1);
});

test('somebody who bought for another organization before has a default here too', async () => {
  const buyer = await shop.buyer();
  await insert(shop.stack, 'payment_methods', { organization_id: shop.vendor.id, user_id: buyer.id, is_default: true, gateway_method_id: `pm_${randomUUID()}` });
  const first = await save(buyer);
  assert.equal(first.is_default, true);
  const second = await save(buyer);
  assert.equal(good(await prefer(buyer, second.id)).is_default, true);
  assert.deepEqual(await preferred(buyer), [second.id]);
});
