// What becomes of a subscription whose plan is to change, and of one whose payment takes another way than it was to take.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { good, refused } from './support/api.mjs';
import { about, sameMoment } from './support/calendar.mjs';
import { eventually, eventuallyHolds } from './support/eventually.mjs';
import { JOBS, Shop } from './support/shop.mjs';
import { PLANS } from './support/world.mjs';

const DAY = 86_400_000;
const PLATFORM = '10000000-0000-4000-8000-000000000001';

let shop;
let stripe;
let names;
before(async () => {
  shop = await Shop.open({ PLATFORM_ORGANIZATION_ID: PLATFORM });
  ({ stripe } = shop);
  await shop.place(PLATFORM, { country_code: 'ES' });
  const price = (plan, amount) => shop.rows("UPDATE subscription_plans SET price_monthly = $2, currency = 'USD', is_public = true WHERE id = $1 RETURNING name", plan, amount);
  names = { starter: (await price(PLANS.starter, 30))[0].name, professional: (await price(PLANS.professional, 90))[0].name };
  await price(PLANS.enterprise, 300);
});
after(() => shop?.close());

/** A subscription to a plan, just bought. */
async function on(plan) {
  const buyer = await shop.buyer();
  const order = good(await buyer.call('POST', '/api/orders', { body: { items: [{ plan_id: plan }] } }), 201);
  const { transaction_id: intent } = await shop.pay(buyer.call, order);
  await stripe.confirm(intent);
  const [{ id }] = good(await buyer.call('GET', '/api/subscriptions'));
  const [card] = good(await buyer.call('GET', '/api/payment-methods'));
  return { buyer, order, id, card, intent };
}

const of = (one) => shop.subscription(one);
const license = (one) => shop.licenseOf(one);
const renewals = (one) => shop.renewals(one);
const passes = (one, days) => shop.passes(one, days);
const ask = (one, plan) => one.buyer.call('POST', '/api/subscriptions/{id}/change-plan', { id: one.id, body: { plan_id: plan } });
const cancel = (one) => one.buyer.call('POST', '/api/subscriptions/{id}/cancel', { id: one.id, body: {} });

/** Runs the job until it has done what is due. */
const renew = (holds) => eventuallyHolds(async () => {
  await shop.stack.triggerCron(JOBS.renewals);
  await holds();
});

/** Its card is refused when the period ends. */
async function isRefused(one) {
  stripe.cards.set(await shop.cardOf(one), 'pm_poor');
  await passes(one, 31);
  await renew(async () => assert.equal((await of(one)).status, 'past_due'));
  return (await renewals(one))[0];
}

describe('another plan', () => {
  test('that is cheaper is taken back by choosing the one there is', async () => {
    const one = await on(PLANS.professional);
    refused(await ask(one, PLANS.professional), 409, 'SUBSCRIPTION_CONFLICT');
    assert.equal(good(await ask(one, PLANS.starter)).subscription.next_plan_id, PLANS.starter);
    const { order, subscription } = good(await ask(one, PLANS.professional));
    assert.deepEqual([order, subscription.next_plan_id, subscription.next_unit_price], [null, null, null]);
    await passes(one, 30);
    await renew(async () => assert.equal(Number((await renewals(one))[0]?.total), 90));
    assert.equal((await license(one)).plan_id, PLANS.professional);
  });

  test('is called by its name, by the subscription and on the invoice', async () => {
    const one = await on(PLANS.professional);
    good(await ask(one, PLANS.starter));
    await passes(one, 30);
    await renew(async () => assert.equal((await of(one)).plan_id, PLANS.starter));
    assert.equal((await of(one)).name, names.starter);
    const [{ document }] = await shop.rows('SELECT document FROM invoices WHERE order_id = $1', (await renewals(one))[0].id);
    assert.deepEqual(document.lines.map(({ description }) => description), [names.starter]);
  });

  test('that nobody has paid for when the period is over does not keep the next one from being paid', async () => {
    const one = await on(PLANS.starter);
    const { order } = good(await ask(one, PLANS.professional));
    // Money on its way, for which there is time: two weeks.
    good(await one.buyer.call('POST', '/api/orders/{id}/pay', { id: order.id, body: { gateway: 'manual' } }));
    about(good(await one.buyer.call('GET', '/api/orders/{id}', { id: order.id })).expires_at, new Date(Date.now() + 14 * DAY), 60);
    await passes(one, 29);
    const { current_period_end: end } = await of(one);
    await shop.stack.triggerCron(JOBS.renewals);
    await eventually(async () => (await of(one)).next_attempt_at > new Date());
    assert.deepEqual([(await shop.row(order)).status, await renewals(one)], ['processing', []]);
    await shop.rows("UPDATE subscriptions SET current_period_end = now() + interval '30 minutes', next_attempt_at = now() WHERE id = $1", one.id);
    await renew(async () => assert.ok((await of(one)).current_period_end > end));
    assert.deepEqual([(await shop.row(order)).status, Number((await renewals(one))[0].total)], ['cancelled', 30]);
    const now = await of(one);
    assert.deepEqual([now.plan_id, now.next_plan_id], [PLANS.starter, null]);
    sameMoment((await license(one)).expires_at, now.current_period_end);
    await shop.balanced();
  });

  test('can be paid while there is a rest of the period, and says until when', async () => {
    const one = await on(PLANS.starter);
    await passes(one, 20);
    const last = new Date((await of(one)).current_period_end.getTime() - 3_600_000);
    const { order } = good(await ask(one, PLANS.professional));
    const until = async () => good(await one.buyer.call('GET', '/api/orders/{id}', { id: order.id })).expires_at;
    good(await one.buyer.call('POST', '/api/orders/{id}/pay', { id: order.id, body: { gateway: 'manual' } }));
    sameMoment(await until(), last);
    good(await one.buyer.call('POST', '/api/orders/{id}/cancel', { id: order.id, body: {} }));
    await shop.rows("UPDATE subscriptions SET current_period_end = now() + interval '5 hours', next_attempt_at = now() + interval '4 hours' WHERE id = $1", one.id);
    about(good(await ask(one, PLANS.professional)).order.expires_at, new Date(Date.now() + 4 * 3_600_000), 60);
  });

  test('that is given up is in the log, and told', async () => {
    const one = await on(PLANS.starter);
    const { order } = good(await ask(one, PLANS.professional));
    good(await one.buyer.call('POST', '/api/orders/{id}/cancel', { id: order.id, body: {} }));
    const logged = await shop.rows(
      "SELECT changes FROM audit_logs WHERE resource_id = $1 AND organization_id = $2 AND event = 'subscription.changed' ORDER BY sequence", one.id, shop.buyers.id);
    assert.deepEqual(logged.map(({ changes }) => changes.after.next_plan_id), [PLANS.professional, null]);
    const told = await shop.rows("SELECT 1 FROM outbox_messages WHERE topic = 'subscription.changed' AND organization_id = $2 AND payload->'subscription'->>'id' = $1", one.id, shop.buyers.id);
    assert.equal(told.length, 2);
  });

  test('that nobody pays for leaves what was chosen for the next period before it', async () => {
    const one = await on(PLANS.professional);
    assert.equal(good(await ask(one, PLANS.starter)).subscription.next_plan_id, PLANS.starter);
    for (const gives of [
      (order) => one.buyer.call('POST', '/api/orders/{id}/cancel', { id: order.id, body: {} }),
      async (order) => {
        await shop.rows("UPDATE orders SET expires_at = now() - interval '1 minute' WHERE id = $1", order.id);
        await shop.job(JOBS.payments, async () => assert.equal((await shop.row(order)).status, 'cancelled'));
      },
    ]) {
      const { order, subscription } = good(await ask(one, PLANS.enterprise));
      assert.equal(subscription.next_plan_id, PLANS.enterprise);
      await shop.pay(one.buyer.call, order);
      await gives(order);
      const { next_plan_id: next, next_unit_price: price } = await of(one);
      assert.deepEqual([next, Number(price)], [PLANS.starter, 30]);
    }
    await passes(one, 30);
    await renew(async () => assert.equal((await of(one)).plan_id, PLANS.starter));
    assert.deepEqual((await renewals(one)).map(({ total }) => Number(total)), [30]);
    await shop.balanced();
  });

  test('that is paid for comes in the place of what was chosen before it', async () => {
    const one = await on(PLANS.professional);
    good(await ask(one, PLANS.starter));
    const { order } = good(await ask(one, PLANS.enterprise));
    await stripe.confirm((await shop.pay(one.buyer.call, order)).transaction_id);
    const { plan_id: plan, next_plan_id: next, next_unit_price: price } = await of(one);
    assert.deepEqual([plan, next, price], [PLANS.enterprise, null, null]);
    await shop.balanced();
  });

  test('is not paid for where the subscription is over', async () => {
    const one = await on(PLANS.starter);
    const { order } = good(await ask(one, PLANS.professional));
    good(await cancel(one));
    await passes(one, 31);
    await renew(async () => assert.equal((await shop.row(order)).status, 'cancelled'));
    assert.equal((await of(one)).status, 'ended');
    refused(await one.buyer.call('POST', '/api/orders/{id}/pay', { id: order.id, body: {} }), 409, 'ORDER_CANCELLED');
  });
});

describe('the next period', () => {
  test('that is to be paid by transfer is not charged to a card as well', async () => {
    const one = await on(PLANS.starter);
    good(await one.buyer.call('DELETE', '/api/payment-methods/{id}', { id: one.card.id }), 204);
    await passes(one, 31);
    await renew(async () => assert.equal((await of(one)).status, 'past_due'));
    const [open] = await renewals(one);
    assert.equal(open.payment_error, 'no_payment_method');
    good(await one.buyer.call('POST', '/api/orders/{id}/pay', { id: open.id, body: { gateway: 'manual' } }));
    // And keeps a card, for later.
    const { setup_id: setup } = good(await one.buyer.call('POST', '/api/payment-methods', { body: {} }), 201);
    await stripe.confirmSetup(setup);
    const before = shop.charges();
    await passes(one, 8);
    await renew(async () => assert.equal((await of(one)).status, 'suspended'));
    assert.deepEqual([shop.charges(), (await shop.row(open)).payment_error], [before, 'transfer_awaited']);
    // The money arrives.
    good(await shop.vendor.as.super_admin('POST', '/api/orders/{id}/settle', { id: open.id, body: {} }));
    assert.deepEqual([(await of(one)).status, (await license(one)).status], ['active', 'active']);
    assert.equal(shop.charges(), before);
    await shop.balanced();
  });

  test('of what is disputed is not charged; once that is won it goes on when it is resumed', async () => {
    const [lost, won] = [await on(PLANS.starter), await on(PLANS.starter)];
    const resume = (one) => one.buyer.call('POST', '/api/subscriptions/{id}/resume', { id: one.id, body: {} });
    for (const [one, end] of [[lost, 'lost'], [won, 'won']]) {
      const dispute = await stripe.dispute(one.intent, 'needs_response');
      assert.equal((await license(one)).status, 'suspended');
      assert.equal((await of(one)).cancel_at_period_end, true);
      assert.deepEqual(refused(await resume(one), 409, 'SUBSCRIPTION_CONFLICT'), { reason: 'payment disputed' });
      await stripe.dispute(one.intent, end, dispute);
    }
    refused(await resume(lost), 409, 'SUBSCRIPTION_CONFLICT');
    assert.equal(good(await resume(won)).cancel_at_period_end, false);
    const before = shop.charges();
    for (const one of [lost, won]) await passes(one, 31);
    await renew(async () => assert.deepEqual([(await of(lost)).status, (await renewals(won)).length], ['ended', 1]));
    await eventually(async () => (await renewals(won))[0].status === 'completed');
    assert.deepEqual([await renewals(lost), shop.charges()], [[], before + 1]);
    assert.equal((await license(won)).status, 'active');
    await shop.balanced();
  });

  test('whose payment was given up at the gateway is another payment, and no refused card', async () => {
    const one = await on(PLANS.starter);
    const open = await isRefused(one);
    stripe.intents.get(open.gateway_transaction_id).status = 'canceled';
    stripe.cards.set(await shop.cardOf(one), 'pm_visa');
    await passes(one, 1);
    await renew(async () => assert.equal((await shop.row(open)).gateway_transaction_id, null));
    assert.equal((await shop.row(open)).payment_error, 'insufficient_funds');
    await shop.rows('UPDATE subscriptions SET next_attempt_at = now() WHERE id = $1', one.id);
    await renew(async () => assert.equal((await shop.row(open)).status, 'completed'));
    await shop.balanced();
  });

  test('that is given up while it is charged stays given up', async () => {
    const one = await on(PLANS.starter);
    const open = await isRefused(one);
    await passes(one, 1);
    const path = `payment_intents/${open.gateway_transaction_id}/confirm`;
    for (let count = 0; count < 2; count += 1) stripe.fail(path, { drop: true });
    const job = shop.stack.triggerCron(JOBS.renewals);
    await eventually(async () => (await shop.row(open)).payments_begun > open.payments_begun);
    good(await one.buyer.call('POST', '/api/orders/{id}/cancel', { id: open.id, body: {} }));
    await job;
    await eventually(() => stripe.requests.filter((request) => request.path.endsWith(path)).length >= 3);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    assert.equal((await shop.row(open)).status, 'cancelled');
  });

  test('whose money comes after the end goes on', async () => {
    const one = await on(PLANS.starter);
    const open = await isRefused(one);
    // The bank is at it: it cannot be given up.
    stripe.intents.get(open.gateway_transaction_id).status = 'processing';
    good(await cancel(one));
    await renew(async () => assert.equal((await of(one)).status, 'ended'));
    assert.ok((await of(one)).ended_at);
    await stripe.confirm(open.gateway_transaction_id);
    const now = good(await one.buyer.call('GET', '/api/subscriptions/{id}', { id: one.id }));
    assert.deepEqual([now.status, now.ended_at, now.cancel_at_period_end], ['active', null, true]);
    assert.equal((await license(one)).status, 'active');
    await shop.balanced();
  });
});
