// Saved cards: set up, preferred, warned of and removed. Everybody who has cards has one default, which is charged, for
// each organization that they buy for.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { good, refused } from './support/api.mjs';
import { eventuallyHolds } from './support/eventually.mjs';
import { JOBS, Shop } from './support/shop.mjs';
import { insert, rowOf } from './support/world.mjs';

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
/** A card expires this month. */
const expires = (id) => shop.rows('UPDATE payment_methods SET card_exp_month = extract(month FROM now()), card_exp_year = extract(year FROM now()) WHERE id = $1', id);
/** How often somebody was told that a card expires. */
const warned = async ({ id }) => (await shop.rows("SELECT id FROM outbox_messages WHERE payload->>'template' = 'card_expiring' AND payload->>'to' LIKE $1", `%${id}%`)).length;

test('cards are set up with the gateway, preferred, warned of and removed there too', async () => {
  const buyer = await shop.buyer();
  const setup = good(await buyer.call('POST', '/api/payment-methods', { body: {} }), 201);
  assert.ok(setup.client_secret.startsWith(`${setup.setup_id}_secret_`));
  refused(await buyer.call('POST', '/api/payment-methods', { body: { setup_id: setup.setup_id } }), 409, 'PAYMENT_METHOD_CONFLICT');
  const theirs = await stripe.confirmSetup(setup.setup_id);
  refused(await (await shop.buyer()).call('POST', '/api/payment-methods', { body: { setup_id: setup.setup_id } }), 404, 'PAYMENT_METHOD_NOT_FOUND');
  const kept = good(await buyer.call('POST', '/api/payment-methods', { body: { setup_id: setup.setup_id } }), 201).payment_method;
  assert.deepEqual([kept.card_brand, kept.card_last4, kept.card_exp_month, kept.is_default], ['visa', '4242', 12, true]);
  const other = good(await buyer.call('POST', '/api/payment-methods', { body: {} }), 201);
  await stripe.confirmSetup(other.setup_id);
  const cards = good(await buyer.call('GET', '/api/payment-methods'));
  assert.deepEqual(cards.map((card) => card.is_default).sort(), [false, true]);
  const second = cards.find((card) => !card.is_default);
  good(await buyer.call('POST', '/api/payment-methods/{id}/default', { id: second.id, body: {} }));
  assert.deepEqual(good(await buyer.call('GET', '/api/payment-methods')).filter((card) => card.is_default).map(({ id }) => id), [second.id]);

  // Whichever of them comes last is the default, and the others are not.
  const third = good(await buyer.call('POST', '/api/payment-methods', { body: {} }), 201);
  await stripe.confirmSetup(third.setup_id);
  const ids = good(await buyer.call('GET', '/api/payment-methods')).map(({ id }) => id);
  assert.equal(ids.length, 3);
  const prefer = (id) => buyer.call('POST', '/api/payment-methods/{id}/default', { id, body: {} });
  for (let round = 0; round < 4; round += 1) {
    const answers = await Promise.all(Array.from({ length: 30 }, (_, n) => prefer(ids[n % 3])));
    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
  }
  good(await prefer(second.id));
  assert.deepEqual(good(await buyer.call('GET', '/api/payment-methods')).filter((card) => card.is_default).map(({ id }) => id), [second.id]);

  await expires(second.id);
  for (let round = 0; round < 2; round += 1) await shop.stack.triggerCron(JOBS.cards);
  await eventuallyHolds(async () => assert.equal(await warned(buyer), 1));

  good(await buyer.call('DELETE', '/api/payment-methods/{id}', { id: kept.id }), 204);
  assert.equal(stripe.methods.get(theirs).customer, null);
  const [{ text }] = await shop.rows('SELECT string_agg(m::text, \' \') AS text FROM payment_methods m WHERE user_id = $1', buyer.id);
  assert.ok(!text.includes('_secret_'));
});

test('a card that was removed does not come back, and is warned of once, whatever is told of it late', async () => {
  const buyer = await shop.buyer();
  const setup = good(await buyer.call('POST', '/api/payment-methods', { body: {} }), 201);
  const theirs = await stripe.confirmSetup(setup.setup_id);
  const attached = structuredClone(stripe.events.find(({ type, data }) => type === 'payment_method.attached' && data.object.id === theirs).data.object);
  const again = (type) => stripe.tell(stripe.event(type, attached));
  const [card] = good(await buyer.call('GET', '/api/payment-methods'));
  await expires(card.id);
  Object.assign(attached.card, { exp_month: new Date().getUTCMonth() + 1, exp_year: new Date().getUTCFullYear() });
  await shop.job(JOBS.cards, async () => assert.equal(await warned(buyer), 1));
  await again('payment_method.updated');
  await shop.stack.triggerCron(JOBS.cards);
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  assert.equal(await warned(buyer), 1);
  Object.assign(attached.card, { exp_year: attached.card.exp_year + 3 });
  await again('payment_method.automatically_updated');
  assert.equal((await rowOf(shop.stack, 'payment_methods', card.id)).expiry_warned_at, null);

  good(await buyer.call('DELETE', '/api/payment-methods/{id}', { id: card.id }), 204);
  await again('payment_method.attached');
  assert.deepEqual(good(await buyer.call('GET', '/api/payment-methods')), []);
  refused(await buyer.call('POST', '/api/payment-methods', { body: { setup_id: setup.setup_id } }), 409, 'PAYMENT_METHOD_CONFLICT');
});

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
