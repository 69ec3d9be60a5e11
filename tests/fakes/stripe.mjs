// A stand-in for Stripe's API, for what is sold here: it checks what it is sent as Stripe does, keeps what it was
// told, and tells of it by signed events, twice and in any order where a test wants that. It can be told to fail.

import { createHash, createHmac, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';

/** The API version that the worker must name. */
export const VERSION = '2026-07-29.dahlia';

const id = (kind) => `${kind}_${randomBytes(12).toString('hex')}`;
const now = () => Math.floor(Date.now() / 1000);

/** `a[b][c]=1` as objects, as Stripe reads forms; anything else is a mistake of the caller's. */
export function parseForm(text) {
  const whole = {};
  for (const pair of text.split('&').filter(Boolean)) {
    const [name, value = ''] = pair.split('=').map((part) => decodeURIComponent(part.replaceAll('+', ' ')));
    const [, first, rest] = name.match(/^([a-z_]+)((?:\[[a-z0-9_]*\])*)$/i) ?? [];
    if (!first) throw new Refusal(400, { type: 'invalid_request_error', message: `Received unknown parameter: ${name}` });
    const keys = [first, ...[...rest.matchAll(/\[([a-z0-9_]*)\]/gi)].map(([, key]) => key)];
    let place = whole;
    for (const key of keys.slice(0, -1)) place = place[key] ??= {};
    const last = keys.at(-1);
    if (last === '') place[Object.keys(place).length] = value;
    else place[last] = value;
  }
  return whole;
}

class Refusal extends Error {
  constructor(status, error, headers = {}) {
    super(error.message);
    Object.assign(this, { status, error, headers });
  }
}

const refuse = (code, message, more = {}) => new Refusal(400, { type: 'invalid_request_error', code, message, ...more });

/** What a card does when it is charged, by the id of its payment method. */
const DECLINES = {
  pm_declined: { code: 'card_declined', decline_code: 'generic_decline' },
  pm_poor: { code: 'card_declined', decline_code: 'insufficient_funds' },
  pm_stolen: { code: 'card_declined', decline_code: 'stolen_card', advice_code: 'do_not_try_again' },
  pm_authenticate: { code: 'authentication_required', decline_code: 'authentication_required' },
};

/**
 * Starts a fake. `key` is the secret key that callers must have.
 *
 * @returns `{ url, key, requests, intents, refunds, … }` and the functions below
 */
export async function startStripe({ key = `sk_test_${randomBytes(8).toString('hex')}`, port = 0 } = {}) {
  const intents = new Map();
  const setups = new Map();
  const refunds = new Map();
  const disputes = new Map();
  const customers = new Map();
  const methods = new Map();
  const answered = new Map();
  const events = [];

  const stripe = {
    key,
    intents,
    refunds,
    disputes,
    methods,
    customers,
    /** Every request: `{ method, path, form, headers }`. */
    requests: [],
    /** Every event, as it was made. */
    events,
    /** Where events go: `{ url, secret }`; none: nowhere, a test sends them itself. */
    webhook: undefined,
    /** How events are delivered: `{ copies, shuffle }`. */
    delivery: { copies: 1, shuffle: false },
    /** What cards do: `stripe.cards.set('pm_…', 'pm_declined')`. */
    cards: new Map(),
    /** How long a refund takes: `succeeded` at once, or `pending`. */
    refundStatus: 'succeeded',
    /** Answers in the place of the next ones to a path: `{ path, status, body, headers, done, drop }`. */
    trouble: [],
  };

  /** Makes the next request to `path` fail; `done`: after it was carried out. */
  stripe.fail = (path, how = {}) => stripe.trouble.push({ path, status: 500, done: false, ...how });

  /** Days go by: what was asked with an idempotency key is not known any more. */
  stripe.forget = () => answered.clear();

  /** An event as Stripe sends it. */
  stripe.event = (type, object, more = {}) => {
    const event = {
      id: id('evt'), object: 'event', api_version: VERSION, created: now(), livemode: false, type,
      data: { object: structuredClone(object) }, pending_webhooks: 1, request: { id: null, idempotency_key: null }, ...more,
    };
    events.push(event);
    return event;
  };

  /** The `Stripe-Signature` of a body. */
  stripe.sign = (body, { secret = stripe.webhook?.secret, time = now() } = {}) =>
    `t=${time},v1=${createHmac('sha256', secret).update(`${time}.${body}`).digest('hex')}`;

  /** Sends an event once; the answer's `{ status, body }`. */
  stripe.send = async (event, more = {}) => {
    const body = more.text ?? JSON.stringify(event);
    const response = await fetch(`${stripe.webhook.url}/api/webhooks/stripe`, {
      method: 'POST',
      headers: { 'content-type': 'application/json; charset=utf-8', 'stripe-signature': more.signature ?? stripe.sign(body, more) },
      body,
    }).catch((error) => {
      // Who refuses a body unread may hang up before all of it was sent.
      if (body.length > 1024 * 1024 && ['UND_ERR_SOCKET', 'EPIPE', 'ECONNRESET'].includes(error.cause?.code)) return undefined;
      throw error;
    });
    if (!response) return { status: 413 };
    return { status: response.status, body: await response.json() };
  };

  /** Tells of something, as the delivery says. */
  stripe.tell = async (...told) => {
    if (!stripe.webhook) return [];
    const all = told.flatMap((event) => Array.from({ length: stripe.delivery.copies }, () => event));
    if (stripe.delivery.shuffle) all.sort(() => Math.random() - 0.5);
    const answers = [];
    for (const event of all) answers.push(await stripe.send(event));
    return answers;
  };

  /** Tells of something while the answer is on its way: nobody waits for it. */
  const later = (...told) => void stripe.tell(...told).catch(() => {});

  const charge = (intent, method) => {
    const decline = DECLINES[stripe.cards.get(method) ?? method];
    if (decline) {
      intent.status = 'requires_payment_method';
      intent.last_payment_error = { type: 'card_error', ...decline, message: 'Declined.', payment_method: { id: method } };
      return decline;
    }
    intent.status = 'succeeded';
    intent.last_payment_error = null;
    intent.amount_received = intent.amount;
    intent.payment_method = method;
    intent.latest_charge = id('ch');
    return undefined;
  };

  /** The buyer confirms a payment in the browser; tells of what comes of it. */
  stripe.confirm = async (intentId, method = 'pm_visa') => {
    const intent = intents.get(intentId);
    const declined = charge(intent, method);
    if (!declined && intent.setup_future_usage && intent.customer) {
      const card = makeMethod(method === 'pm_visa' ? id('pm') : method, intent.customer);
      intent.payment_method = card.id;
      return stripe.tell(
        stripe.event('payment_method.attached', card),
        stripe.event('payment_intent.succeeded', intent),
      );
    }
    return stripe.tell(stripe.event(declined ? 'payment_intent.payment_failed' : 'payment_intent.succeeded', intent));
  };

  const makeMethod = (methodId, customer) => {
    const method = {
      id: methodId, object: 'payment_method', type: 'card', customer, livemode: false,
      card: { brand: 'visa', last4: '4242', exp_month: 12, exp_year: new Date().getFullYear() + 3 },
    };
    methods.set(methodId, method);
    return method;
  };

  /** The buyer confirms that a card is kept; returns its id. */
  stripe.confirmSetup = async (setupId, methodId = id('pm')) => {
    const setup = setups.get(setupId);
    const method = makeMethod(methodId, setup.customer);
    Object.assign(setup, { status: 'succeeded', payment_method: methodId });
    await stripe.tell(stripe.event('payment_method.attached', method), stripe.event('setup_intent.succeeded', setup));
    return methodId;
  };

  /** A refund gets another status; tells of it. */
  stripe.settleRefund = async (refundId, status, failure) => {
    const refund = refunds.get(refundId);
    Object.assign(refund, { status, failure_reason: failure ?? null });
    return stripe.tell(stripe.event(status === 'failed' ? 'refund.failed' : 'refund.updated', refund));
  };

  /** A buyer disputes a payment, or a dispute gets another status; tells of it. */
  stripe.dispute = async (intentId, status, disputeId = id('dp')) => {
    const { amount, currency, latest_charge: charged } = intents.get(intentId);
    const closed = ['won', 'lost', 'warning_closed'].includes(status);
    const dispute = { id: disputeId, object: 'dispute', amount, currency, charge: charged, payment_intent: intentId, reason: 'fraudulent', status };
    disputes.set(disputeId, dispute);
    await stripe.tell(stripe.event(`charge.dispute.${closed ? 'closed' : 'created'}`, dispute));
    return disputeId;
  };

  const list = (data) => ({ object: 'list', data, has_more: false });

  const found = (map, wanted) => {
    const one = map.get(wanted);
    if (!one) throw new Refusal(404, { type: 'invalid_request_error', code: 'resource_missing', message: 'No such object' });
    return one;
  };

  const wholeNumber = (text, name) => {
    if (!/^[1-9]\d*$/.test(text ?? '')) throw refuse('parameter_invalid_integer', `Invalid integer: ${text}`, { param: name });
    return Number(text);
  };

  const declineOf = (intent, decline) => new Refusal(402, {
    type: 'card_error', message: 'Your card was declined.', ...decline, payment_intent: structuredClone(intent),
  });

  const answers = {
    'POST /v1/payment_intents': (form) => {
      const amount = wholeNumber(form.amount, 'amount');
      if (!/^[a-z]{3}$/.test(form.currency ?? '')) throw refuse('parameter_invalid', 'Invalid currency', { param: 'currency' });
      if (amount < 50 && form.currency === 'usd') throw refuse('amount_too_small', 'Amount must be at least $0.50 usd');
      if (form.customer) found(customers, form.customer);
      if (form.off_session === 'true' && form.confirm !== 'true') throw refuse('parameter_invalid', 'off_session needs confirm');
      const intent = {
        id: id('pi'), object: 'payment_intent', amount, amount_received: 0, currency: form.currency, livemode: false,
        customer: form.customer ?? null, metadata: form.metadata ?? {}, status: 'requires_payment_method', last_payment_error: null,
        setup_future_usage: form.setup_future_usage ?? null, latest_charge: null, created: now(),
      };
      intent.client_secret = `${intent.id}_secret_${randomBytes(12).toString('hex')}`;
      intents.set(intent.id, intent);
      if (form.confirm === 'true') {
        const decline = charge(intent, form.payment_method);
        later(stripe.event(decline ? 'payment_intent.payment_failed' : 'payment_intent.succeeded', intent));
        if (decline) throw declineOf(intent, decline);
      }
      return intent;
    },
    'GET /v1/payment_intents/:id': (_, wanted) => found(intents, wanted),
    'POST /v1/payment_intents/:id/confirm': (form, wanted) => {
      const intent = found(intents, wanted);
      if (!['requires_payment_method', 'requires_confirmation', 'requires_action'].includes(intent.status)) {
        throw refuse('payment_intent_unexpected_state', `This PaymentIntent is ${intent.status}`);
      }
      const decline = charge(intent, form.payment_method);
      later(stripe.event(decline ? 'payment_intent.payment_failed' : 'payment_intent.succeeded', intent));
      if (decline) throw declineOf(intent, decline);
      return intent;
    },
    'POST /v1/payment_intents/:id/cancel': (form, wanted) => {
      const intent = found(intents, wanted);
      if (!['requires_payment_method', 'requires_confirmation', 'requires_action', 'requires_capture'].includes(intent.status)) {
        throw refuse('payment_intent_unexpected_state', `This PaymentIntent is ${intent.status}`);
      }
      intent.status = 'canceled';
      later(stripe.event('payment_intent.canceled', intent));
      return intent;
    },
    'POST /v1/refunds': (form) => {
      const intent = found(intents, form.payment_intent);
      const before = [...refunds.values()].filter((one) => one.payment_intent === intent.id && one.status !== 'failed');
      const left = intent.amount_received - before.reduce((sum, one) => sum + one.amount, 0);
      const amount = form.amount === undefined ? left : wholeNumber(form.amount, 'amount');
      if (amount > left || left === 0) throw refuse('charge_already_refunded', 'Refund amount is greater than unrefunded amount on charge');
      const refund = {
        id: id('re'), object: 'refund', amount, currency: intent.currency, payment_intent: intent.id, charge: intent.latest_charge,
        status: stripe.refundStatus, metadata: form.metadata ?? {}, failure_reason: null, reason: form.reason ?? null,
      };
      refunds.set(refund.id, refund);
      later(stripe.event('refund.created', refund));
      return refund;
    },
    'GET /v1/refunds': ({ payment_intent: of }) => list([...refunds.values()].filter((one) => one.payment_intent === of)),
    'GET /v1/disputes': ({ payment_intent: of }) => list([...disputes.values()].filter((one) => one.payment_intent === of)),
    'POST /v1/customers': (form) => {
      const customer = { id: id('cus'), object: 'customer', email: form.email ?? null, metadata: form.metadata ?? {} };
      customers.set(customer.id, customer);
      return customer;
    },
    'POST /v1/setup_intents': (form) => {
      found(customers, form.customer);
      const setup = { id: id('seti'), object: 'setup_intent', customer: form.customer, usage: form.usage, status: 'requires_payment_method', payment_method: null };
      setup.client_secret = `${setup.id}_secret_${randomBytes(12).toString('hex')}`;
      setups.set(setup.id, setup);
      return setup;
    },
    'GET /v1/setup_intents/:id': (form, wanted) => {
      const setup = found(setups, wanted);
      const expand = Object.values(form.expand ?? {}).includes('payment_method');
      return { ...setup, payment_method: expand ? methods.get(setup.payment_method) ?? null : setup.payment_method };
    },
    'POST /v1/payment_methods/:id/detach': (_, wanted) => {
      const method = found(methods, wanted);
      method.customer = null;
      later(stripe.event('payment_method.detached', method));
      return method;
    },
  };

  function carryOut(method, path, form) {
    const parts = path.split('/');
    const pattern = parts.length > 3 && !(path in answers) ? [...parts.slice(0, 3), ':id', ...parts.slice(4)].join('/') : path;
    const answer = answers[`${method} ${pattern}`];
    if (!answer) throw new Refusal(404, { type: 'invalid_request_error', message: `Unrecognized request URL (${method}: ${path})` });
    return answer(form, parts[3]);
  }

  /** What Stripe refuses of any request. */
  function check(method, headers, body) {
    if (headers.authorization !== `Bearer ${key}`) throw new Refusal(401, { type: 'invalid_request_error', message: 'Invalid API Key provided' });
    if (headers['stripe-version'] !== VERSION) throw refuse('api_version_invalid', `Invalid API version ${headers['stripe-version']}`);
    if (method !== 'POST') return;
    if (body && !headers['content-type']?.startsWith('application/x-www-form-urlencoded')) {
      throw refuse('parameter_invalid', 'Invalid request content type');
    }
    const once = headers['idempotency-key'];
    if (!once || once.length > 255) throw refuse('parameter_invalid', 'An idempotency key of 1 to 255 characters');
  }

  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const { pathname, search } = new URL(request.url, 'http://stripe');
    const requestId = id('req');
    const reply = (status, content, headers = {}) => {
      response.writeHead(status, { 'content-type': 'application/json', 'request-id': requestId, ...headers });
      response.end(JSON.stringify(content));
    };
    const once = request.method === 'POST' ? request.headers['idempotency-key'] : undefined;
    try {
      const form = parseForm(request.method === 'GET' ? search.slice(1) : body);
      stripe.requests.push({ method: request.method, path: pathname, form, headers: request.headers });
      check(request.method, request.headers, body);
      const hash = createHash('sha256').update(`${pathname}?${body}`).digest('hex');
      const before = once && answered.get(once);
      if (before && before.hash !== hash) {
        throw new Refusal(400, { type: 'idempotency_error', message: 'Keys for idempotent requests can only be used with the same parameters they were first used with.' });
      }
      const place = stripe.trouble.findIndex((one) => pathname.startsWith(`/v1/${one.path}`));
      const [trouble] = place < 0 ? [] : stripe.trouble.splice(place, 1);
      if (trouble && !trouble.done) {
        if (trouble.drop) return response.destroy();
        return reply(trouble.status, trouble.body ?? { error: { type: 'api_error', message: 'Trouble' } }, trouble.headers);
      }
      let status = 200;
      let content;
      if (before) {
        ({ status, content } = before);
      } else {
        try {
          content = structuredClone(carryOut(request.method, pathname, form));
        } catch (error) {
          if (!(error instanceof Refusal)) throw error;
          ({ status } = error);
          content = { error: error.error };
        }
        if (once) answered.set(once, { hash, status, content });
      }
      if (trouble?.drop) return response.destroy();
      if (trouble) return reply(trouble.status, trouble.body ?? { error: { type: 'api_error', message: 'Trouble' } }, trouble.headers);
      return reply(status, content, before ? { 'idempotent-replayed': 'true' } : {});
    } catch (error) {
      if (error instanceof Refusal) return reply(error.status, { error: error.error }, error.headers);
      return reply(500, { error: { type: 'api_error', message: error.message } });
    }
  });
  await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
  stripe.url = `http://127.0.0.1:${server.address().port}`;
  /** The worker's variables. */
  stripe.vars = (secret = `whsec_${randomBytes(16).toString('hex')}`) => {
    stripe.webhook = { url: undefined, secret };
    return { STRIPE_API_URL: stripe.url, STRIPE_SECRET_KEY: key, STRIPE_WEBHOOK_SECRET: secret };
  };
  stripe.close = () => {
    server.closeAllConnections();
    server.close();
  };
  return stripe;
}
