// Subscriptions: the next period ordered and charged by itself, what happens when it is not paid, and changes.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { caller, good, refused } from './support/api.mjs';
import { about, sameMoment } from './support/calendar.mjs';
import { eventually, eventuallyHolds } from './support/eventually.mjs';
import { JOBS, Shop } from './support/shop.mjs';
import { PLANS, createOrganization, createProduct } from './support/world.mjs';

const DAY = 86_400_000;
const PLATFORM = '10000000-0000-4000-8000-000000000001';

let shop;
let stripe;
before(async () => {
  shop = await Shop.open({ PLATFORM_ORGANIZATION_ID: PLATFORM });
  ({ stripe } = shop);
});
after(() => shop?.close());

/** A subscription that was just bought, with its license and saved card. */
async function subscribed(more = {}) {
  const buyer = await shop.buyer();
  const product = await shop.product({ is_subscription: true, billing_cycle: 'monthly', price: 49 });
  const order = await shop.buy(buyer.call, product, more);
  const [subscription] = good(await buyer.call('GET', '/api/subscriptions'));
  const [card] = good(await buyer.call('GET', '/api/payment-methods'));
  return { buyer, order, id: subscription.id, subscription, card };
}

const of = (one) => shop.subscription(one);
const license = (one) => shop.licenseOf(one);
const renewals = (one) => shop.renewals(one);
const passes = (one, days) => shop.passes(one, days);

/** Runs the job until it has done what is due. */
async function renew(one, holds) {
  await shop.stack.triggerCron(JOBS.renewals);
  return eventuallyHolds(holds);
}

/** A subscription whose next period Stripe took the money for, and of which nobody heard. */
async function unheard() {
  const one = await subscribed();
  await passes(one, 30);
  const { webhook } = stripe;
  stripe.webhook = undefined;
  for (let count = 0; count < 3; count += 1) stripe.fail('payment_intents', { done: true, drop: true });
  await renew(one, async () => about((await of(one)).next_attempt_at, new Date(Date.now() + 15 * 60_000), 60));
  stripe.webhook = webhook;
  return one;
}

describe('a subscription', () => {
  test('begins with the first payment, and is charged a day before its period ends', async () => {
    const one = await subscribed({ quantity: 2 });
    const { subscription } = one;
    assert.deepEqual([subscription.status, subscription.quantity, subscription.unit_price], ['active', 2, 49]);
    sameMoment(subscription.next_attempt_at, new Date(new Date(subscription.current_period_end) - DAY));
    assert.deepEqual([one.card.card_brand, one.card.card_last4, one.card.is_default], ['visa', '4242', true]);
    const first = await license(one);
    sameMoment(first.expires_at, subscription.current_period_end);

    await passes(one, 25);
    await shop.stack.triggerCron(JOBS.renewals);
    assert.equal((await renewals(one)).length, 0, 'nothing is due yet');
    await passes(one, 5);
    const old = await of(one);
    await renew(one, async () => assert.ok((await of(one)).current_period_end > old.current_period_end));
    const [renewal] = await renewals(one);
    assert.deepEqual([renewal.status, Number(renewal.total)], ['completed', 98]);
    const now = await of(one);
    sameMoment(now.current_period_start, old.current_period_end);
    sameMoment((await license(one)).expires_at, now.current_period_end);
    assert.equal((await license(one)).status, 'active');
    assert.equal((await shop.given(renewal)).invoices, 1);
    // Once, however often the job runs.
    await shop.stack.triggerCron(JOBS.renewals);
    assert.equal((await renewals(one)).length, 1);
    const { form } = stripe.requests.findLast(({ form }) => form.metadata?.order_id === renewal.id);
    assert.deepEqual([form.off_session, form.confirm, form.payment_method], ['true', 'true', await shop.cardOf(one)]);
    await shop.balanced();
  });

  test('of a product without a plan: what it gave can be used as long as it is paid', async () => {
    const buyer = await shop.buyer();
    const product = await shop.product({ is_subscription: true, billing_cycle: 'monthly', price: 49, plan_id: null });
    const order = await shop.buy(buyer.call, product, { quantity: 2 });
    const [{ id }] = good(await buyer.call('GET', '/api/subscriptions'));
    const [card] = good(await buyer.call('GET', '/api/payment-methods'));
    const one = { buyer, order, id, card };
    const assets = await shop.rows('SELECT asset_id AS id FROM order_grants WHERE order_id = $1', order.id);
    const allEnd = async (at, status) => {
      for (const asset of assets) {
        const now = good(await buyer.call('GET', '/api/my/assets/{id}', asset));
        sameMoment(now.expires_at, at);
        assert.equal(now.status, status);
      }
    };
    await allEnd((await of(one)).current_period_end, 'active');

    await passes(one, 30);
    const old = await of(one);
    await renew(one, async () => assert.ok((await of(one)).current_period_end > old.current_period_end));
    await allEnd((await of(one)).current_period_end, 'active');
    const [written] = await shop.rows("SELECT changes FROM audit_logs WHERE resource_id = $1 AND event = 'asset.updated'", assets[0].id);
    sameMoment(written.changes.after.expires_at, (await of(one)).current_period_end);

    // While a payment is tried again it works on, as a license does.
    stripe.cards.set(await shop.cardOf(one), 'pm_stolen');
    await passes(one, 30);
    await renew(one, async () => assert.equal((await of(one)).status, 'past_due'));
    const due = await of(one);
    await allEnd(new Date(Math.max(due.current_period_end, due.first_failed_at.getTime() + 8 * DAY)), 'active');
    good(await buyer.call('POST', '/api/subscriptions/{id}/cancel', { id, body: {} }));
    await passes(one, 2);
    await renew(one, async () => assert.equal((await of(one)).status, 'ended'));
    await allEnd((await of(one)).current_period_end, 'expired');
  });

  test('of a product without a plan: paid in the days of grace, what it gave ends with the period that is paid', async () => {
    const buyer = await shop.buyer();
    const order = await shop.buy(buyer.call, await shop.product({ is_subscription: true, billing_cycle: 'monthly', price: 49, plan_id: null }));
    const [{ id }] = good(await buyer.call('GET', '/api/subscriptions'));
    const [card] = good(await buyer.call('GET', '/api/payment-methods'));
    const [asset] = await shop.rows('SELECT asset_id AS id FROM order_grants WHERE order_id = $1', order.id);
    const one = { buyer, order, id, card };
    stripe.cards.set(await shop.cardOf(one), 'pm_stolen');
    await passes(one, 30);
    await renew(one, async () => assert.equal((await of(one)).status, 'past_due'));
    // It has no plan, and so none to change.
    refused(await buyer.call('POST', '/api/subscriptions/{id}/change-plan', { id, body: { plan_id: PLANS.professional } }), 409, 'SUBSCRIPTION_CONFLICT');
    const [open] = await renewals(one);
    await stripe.confirm((await shop.pay(buyer.call, open)).transaction_id);
    const paid = await of(one);
    assert.equal(paid.status, 'active');
    sameMoment(good(await buyer.call('GET', '/api/my/assets/{id}', asset)).expires_at, paid.current_period_end);
  });

  test('that is not paid is tried four more times in a week, works meanwhile, stops, and works again when it is paid', async () => {
    const one = await subscribed();
    stripe.cards.set(await shop.cardOf(one), 'pm_poor');
    await passes(one, 30);
    const tried = shop.charges();
    await renew(one, async () => assert.equal((await of(one)).status, 'past_due'));
    const until = await of(one);
    about((await license(one)).expires_at, new Date(Math.max(until.current_period_end, until.first_failed_at.getTime() + 8 * DAY)), 60);
    let days = 0;
    for (const day of [1, 3, 5, 7]) {
      about((await of(one)).next_attempt_at, new Date((await of(one)).first_failed_at.getTime() + day * DAY), 5);
      await passes(one, day - days);
      days = day;
      const before = shop.charges();
      await renew(one, async () => assert.ok(shop.charges() > before));
      await eventually(async () => (await of(one)).next_attempt_at > new Date());
    }
    assert.equal(shop.charges() - tried, 5);
    const suspended = await of(one);
    assert.equal(suspended.status, 'suspended');
    assert.deepEqual([(await license(one)).status, (await license(one)).suspension_reason], ['suspended', 'subscription unpaid']);
    const [open] = await renewals(one);
    assert.equal(open.status, 'failed');
    assert.equal(new Set(stripe.requests.filter(({ form }) => form.metadata?.order_id === open.id).map(({ headers }) => headers['idempotency-key'])).size, 1, 'one payment');
    const mails = (await shop.rows("SELECT payload->>'template' AS template FROM outbox_messages WHERE payload->'data'->>'order_number' = $1", open.order_number)).map(({ template }) => template);
    assert.deepEqual(mails.sort(), ['payment_failed', 'payment_failed', 'payment_failed', 'payment_failed', 'subscription_suspended']);

    // Paid by the buyer in person.
    const payment = await shop.pay(one.buyer.call, open);
    await stripe.confirm(payment.transaction_id);
    assert.deepEqual([(await of(one)).status, (await license(one)).status], ['active', 'active']);
    about((await of(one)).current_period_start, new Date(), 60);
    await shop.balanced();
  });

  test('whose card can never work is not tried again; without a card neither', async () => {
    for (const [card, error] of [['pm_stolen', 'stolen_card'], ['pm_authenticate', 'authentication_required'], [null, 'no_payment_method']]) {
      const one = await subscribed();
      if (card) stripe.cards.set(await shop.cardOf(one), card);
      else good(await one.buyer.call('DELETE', '/api/payment-methods/{id}', { id: one.card.id }), 204);
      await passes(one, 30);
      await renew(one, async () => assert.equal((await of(one)).status, 'past_due'));
      about((await of(one)).next_attempt_at, new Date((await of(one)).first_failed_at.getTime() + 8 * DAY), 5);
      assert.equal((await renewals(one))[0].payment_error, error);
      await passes(one, 8);
      await renew(one, async () => assert.equal((await of(one)).status, 'suspended'));
      await passes(one, 30);
      await renew(one, async () => assert.equal((await of(one)).status, 'ended'));
      await eventuallyHolds(async () => assert.equal((await renewals(one))[0].status, 'cancelled'));
    }
  });

  test('Stripe is away: nothing is lost and nothing twice', async () => {
    const one = await unheard();
    await shop.rows('UPDATE subscriptions SET next_attempt_at = now() WHERE id = $1', one.id);
    await renew(one, async () => assert.equal((await renewals(one))[0].status, 'completed'));
    const [renewal] = await renewals(one);
    assert.equal([...stripe.intents.values()].filter(({ metadata }) => metadata.order_id === renewal.id).length, 1);
  });
});

describe('a payment of the next period that was begun', () => {
  test('and of which nobody knows is asked for in the same words, whichever card came since', async () => {
    const one = await unheard();
    const { setup_id: setup } = good(await one.buyer.call('POST', '/api/payment-methods', { body: {} }), 201);
    await stripe.confirmSetup(setup);
    good(await one.buyer.call('DELETE', '/api/payment-methods/{id}', { id: one.card.id }), 204);
    const [open] = await renewals(one);
    // Whoever pays in person waits: it may be paid.
    refused(await one.buyer.call('POST', '/api/orders/{id}/pay', { id: open.id, body: {} }), 409, 'PAYMENT_UNDER_WAY');
    await shop.rows('UPDATE subscriptions SET next_attempt_at = now() WHERE id = $1', one.id);
    await renew(one, async () => assert.equal((await renewals(one))[0].status, 'completed'));
    assert.equal([...stripe.intents.values()].filter(({ metadata }) => metadata.order_id === open.id).length, 1);
    await shop.balanced();
  });

  test('but that the gateway takes from nobody can be paid in another way', async () => {
    const one = await subscribed();
    await passes(one, 30);
    stripe.fail('payment_intents', { status: 400, body: { error: { type: 'invalid_request_error', code: 'resource_missing' } } });
    await renew(one, async () => assert.equal((await of(one)).status, 'past_due'));
    const [open] = await renewals(one);
    assert.deepEqual([open.status, open.payment_error], ['failed', 'resource_missing']);
    assert.equal((await shop.pay(one.buyer.call, open, { gateway: 'manual' })).next, 'transfer');
    good(await shop.vendor.as.admin('POST', '/api/orders/{id}/settle', { id: open.id, body: {} }));
    assert.equal((await of(one)).status, 'active');
  });
});

describe('what the customer decides', () => {
  test('it ends with its period, unless it is to go on after all', async () => {
    const one = await subscribed();
    assert.equal(good(await one.buyer.call('POST', '/api/subscriptions/{id}/cancel', { id: one.id, body: {} })).cancel_at_period_end, true);
    assert.equal(good(await one.buyer.call('POST', '/api/subscriptions/{id}/resume', { id: one.id, body: {} })).cancel_at_period_end, false);
    good(await one.buyer.call('POST', '/api/subscriptions/{id}/cancel', { id: one.id, body: {} }));
    await passes(one, 30);
    await shop.stack.triggerCron(JOBS.renewals);
    assert.equal((await license(one)).status, 'active');
    await passes(one, 2);
    await renew(one, async () => assert.equal((await of(one)).status, 'ended'));
    assert.equal((await renewals(one)).length, 0);
    const code = good(await caller(shop.stack)('POST', '/api/licenses/validate', { body: { license_key: (await license(one)).license_key, ip_address: '192.0.2.9' } })).code;
    assert.equal(code, 'EXPIRED');
    refused(await one.buyer.call('POST', '/api/subscriptions/{id}/resume', { id: one.id, body: {} }), 409, 'SUBSCRIPTION_ENDED');
  });

  test('a dearer plan costs the difference for the rest of the period; a cheaper one begins with the next', async () => {
    await shop.place(PLATFORM, { country_code: 'ES' });
    await shop.rows('UPDATE subscription_plans SET price_monthly = 30, currency = $2, is_public = true WHERE id = $1', PLANS.starter, 'USD');
    await shop.rows('UPDATE subscription_plans SET price_monthly = 90, currency = $2, is_public = true WHERE id = $1', PLANS.professional, 'USD');
    const buyer = await shop.buyer();
    const made = good(await buyer.call('POST', '/api/orders', { body: { items: [{ plan_id: PLANS.starter }] } }), 201);
    assert.deepEqual([made.total, made.seller_id], [30, PLATFORM]);
    const { transaction_id: id } = await shop.pay(buyer.call, made);
    await stripe.confirm(id);
    const [subscription] = good(await buyer.call('GET', '/api/subscriptions'));
    const one = { buyer, order: made, id: subscription.id };
    const half = (new Date(subscription.current_period_end) - new Date(subscription.current_period_start)) / 2 / DAY;
    await shop.rows('UPDATE subscriptions SET current_period_start = now() - make_interval(secs => $2), current_period_end = now() + make_interval(secs => $2) WHERE id = $1', one.id, half * 86_400);
    const changed = good(await buyer.call('POST', '/api/subscriptions/{id}/change-plan', { id: one.id, body: { plan_id: PLANS.professional } }));
    assert.ok(Math.abs(changed.order.total - 30) < 0.02, changed.order.total);
    assert.equal(changed.subscription.plan_id, PLANS.starter);
    refused(await buyer.call('POST', '/api/subscriptions/{id}/change-plan', { id: one.id, body: { plan_id: PLANS.professional } }), 409, 'SUBSCRIPTION_CONFLICT');
    const payment = await shop.pay(buyer.call, changed.order);
    await stripe.confirm(payment.transaction_id);
    assert.deepEqual([(await of(one)).plan_id, Number((await of(one)).unit_price), (await license(one)).plan_id], [PLANS.professional, 90, PLANS.professional]);
    const down = good(await buyer.call('POST', '/api/subscriptions/{id}/change-plan', { id: one.id, body: { plan_id: PLANS.starter } }));
    assert.deepEqual([down.order, down.subscription.plan_id, down.subscription.next_plan_id], [null, PLANS.professional, PLANS.starter]);
    await passes(one, 30);
    await renew(one, async () => assert.equal((await of(one)).plan_id, PLANS.starter));
    assert.equal(Number((await renewals(one))[0].total), 30);
    assert.equal((await license(one)).plan_id, PLANS.starter);
    // A change that nobody pays for does not come.
    const again = good(await buyer.call('POST', '/api/subscriptions/{id}/change-plan', { id: one.id, body: { plan_id: PLANS.professional } }));
    good(await buyer.call('POST', '/api/orders/{id}/cancel', { id: again.order.id, body: {} }));
    assert.equal((await of(one)).next_plan_id, null);
    await shop.balanced();
  });
});

test('what was paid back is not charged again, and does not go on', async () => {
  const one = await subscribed();
  good(await shop.vendor.as.admin('POST', '/api/orders/{id}/refund', { id: one.order.id, body: {} }), 201);
  await eventuallyHolds(async () => assert.equal((await license(one)).suspension_reason, 'order refunded'));
  assert.equal((await of(one)).cancel_at_period_end, true);
  assert.deepEqual(refused(await one.buyer.call('POST', '/api/subscriptions/{id}/resume', { id: one.id, body: {} }), 409, 'SUBSCRIPTION_CONFLICT'), { reason: 'order refunded' });
  await passes(one, 31);
  await renew(one, async () => assert.equal((await of(one)).status, 'ended'));
  assert.deepEqual(await renewals(one), []);
});

describe('access follows the period that is paid now', () => {
  const refund = async (order, as = shop.vendor.as.admin) => good(await as('POST', '/api/orders/{id}/refund', { id: order.id, body: {} }), 201);
  const resume = ({ buyer, id }) => buyer.call('POST', '/api/subscriptions/{id}/resume', { id, body: {} });
  /** What became of all that the first order gave, line by line. */
  const access = (one) => shop.rows(
    `SELECT l.status AS license, l.suspension_reason AS why, a.status AS asset, a.status_reason AS as_well
     FROM order_grants g JOIN order_items i ON i.id = g.order_item_id JOIN licenses l ON l.id = g.license_id
     JOIN customer_assets a ON a.id = g.asset_id WHERE g.order_id = $1 ORDER BY i.position, g.position`, one.order.id);
  const GOOD = { license: 'active', why: null, asset: 'active', as_well: null };
  const stopped = (why, asset) => ({ license: 'suspended', why, asset, as_well: why });
  const PAID_BACK = stopped('order refunded', 'revoked');
  /** The next period is there, and paid. */
  async function goesOn(one) {
    await passes(one, 30);
    const { current_period_end: end } = await of(one);
    await renew(one, async () => assert.ok((await of(one)).current_period_end > end));
    return (await renewals(one)).at(-1);
  }

  /** Its card is refused when the period ends. */
  async function isRefused(one, card) {
    stripe.cards.set(await shop.cardOf(one), card);
    await passes(one, 30);
    await renew(one, async () => assert.equal((await of(one)).status, 'past_due'));
  }
  /** The renewal that is open is paid by its buyer. */
  async function paysByHand(one) {
    const [open] = await renewals(one);
    await stripe.confirm((await shop.pay(one.buyer.call, open)).transaction_id);
  }

  test('an old one that was paid back ends nothing; the one in force ends all, and gives it back', async () => {
    const one = await subscribed({ quantity: 2 });
    const second = await goesOn(one);
    const third = await goesOn(one);
    for (const old of [one.order, second]) {
      await refund(old);
      assert.equal((await shop.row(old)).status, 'refunded');
      assert.deepEqual(await access(one), [GOOD, GOOD]);
      // It is not charged again by itself, and whoever has it says otherwise.
      assert.equal((await of(one)).cancel_at_period_end, true);
      assert.equal(good(await resume(one)).cancel_at_period_end, false);
    }
    const [license_key, call] = [(await license(one)).license_key, caller(shop.stack)];
    const verdict = async () => good(await call('POST', '/api/licenses/validate', { body: { license_key, ip_address: '192.0.2.9' } })).code;
    assert.equal(await verdict(), 'VALID');

    await refund(third);
    assert.deepEqual(await access(one), [PAID_BACK, PAID_BACK]);
    assert.equal(await verdict(), 'SUSPENDED');
    assert.deepEqual(refused(await resume(one), 409, 'SUBSCRIPTION_CONFLICT'), { reason: 'order refunded' });
    const back = [...stripe.refunds.values()].at(-1);
    await stripe.settleRefund(back.id, 'failed', 'expired_or_canceled_card');
    assert.deepEqual(await access(one), [GOOD, GOOD]);
    assert.equal(await verdict(), 'VALID');
    await shop.balanced();
  });

  test('the first one was paid back and the next is paid: access begins with it', async () => {
    const one = await subscribed();
    await isRefused(one, 'pm_poor');
    await refund(one.order);
    assert.deepEqual(await access(one), [PAID_BACK]);
    await paysByHand(one);
    assert.deepEqual(await access(one), [GOOD]);
    await shop.balanced();
  });

  test('of an order of several things each has its own: what was bought once ends with it', async () => {
    const buyer = await shop.buyer();
    const products = [await shop.product({ is_subscription: true, billing_cycle: 'monthly', price: 49 }), await shop.product()];
    const order = good(await buyer.call('POST', '/api/orders', { body: { items: products.map(({ id }) => ({ product_id: id })) } }), 201);
    await stripe.confirm((await shop.pay(buyer.call, order)).transaction_id);
    const [{ id }] = good(await buyer.call('GET', '/api/subscriptions'));
    const one = { buyer, order, id };
    // An amount is of no line.
    good(await shop.vendor.as.admin('POST', '/api/orders/{id}/refund', { id: order.id, body: { amount: 100 } }), 201);
    assert.deepEqual(await access(one), [GOOD, GOOD]);
    const renewal = await goesOn(one);
    await refund(order);
    assert.deepEqual(await access(one), [GOOD, PAID_BACK]);
    await refund(renewal);
    assert.deepEqual(await access(one), [PAID_BACK, PAID_BACK]);
    await shop.balanced();
  });

  test('one that is not paid stops what it gave alone', async () => {
    const one = await subscribed();
    await isRefused(one, 'pm_stolen');
    await passes(one, 8);
    await renew(one, async () => assert.equal((await of(one)).status, 'suspended'));
    assert.deepEqual(await access(one), [stopped('subscription unpaid', 'suspended')]);
    await paysByHand(one);
    assert.deepEqual(await access(one), [GOOD]);
  });
});

describe('of whoever is gone', () => {
  const close = async ({ id }) => good(await shop.vendor.as.super_admin('DELETE', '/api/organizations/{id}', { id }), 204);

  test('a card is charged no more: what is not paid otherwise stops', async () => {
    const one = await subscribed();
    good(await shop.buyers.as.admin('DELETE', '/api/users/{id}', { id: one.buyer.id }), 204);
    await shop.place(shop.buyers.id, { email: 'office@buyers.test' });
    await passes(one, 30);
    const before = shop.charges();
    await renew(one, async () => assert.equal((await of(one)).status, 'past_due'));
    const [renewal] = await renewals(one);
    assert.deepEqual([shop.charges(), renewal.payment_error], [before, 'no_payment_method']);
    // Whoever is left learns of it.
    const mails = await shop.rows("SELECT payload->>'to' AS to, payload->>'template' AS template FROM outbox_messages WHERE payload->'data'->>'order_number' = $1", renewal.order_number);
    assert.deepEqual(mails, [{ to: 'office@buyers.test', template: 'payment_failed' }]);
  });

  test('what a closed organization pays for ends, and so does what it sells', async () => {
    const [home, vendor] = await Promise.all([['client'], ['admin']].map((roles) => createOrganization(shop.stack, { roles })));
    await shop.place(home.id, { country_code: 'US', name: 'Closing, Inc.' });
    await shop.place(vendor.id, { country_code: 'ES', name: 'Cierra, S. L.' });
    const buy = async (call, product) => {
      const order = await shop.buy(call, product);
      const [{ id }] = await shop.rows('SELECT s.id FROM subscriptions s JOIN order_items i ON i.id = s.order_item_id WHERE i.order_id = $1', order.id);
      return { id, order };
    };
    const monthly = { is_subscription: true, billing_cycle: 'monthly', price: 49, plan_id: PLANS.professional };
    const bought = await buy(home.as.client, await shop.product(monthly));
    const sold = await buy((await shop.buyer()).call, await createProduct(shop.stack, vendor.id, monthly));
    await close(home);
    await close(vendor);
    const before = shop.charges();
    for (const one of [bought, sold]) {
      await passes(one, 30);
      await renew(one, async () => assert.equal((await of(one)).status, 'ended'));
      assert.deepEqual(await renewals(one), []);
    }
    assert.equal(shop.charges(), before);
    await shop.balanced();
  });
});
