// Facts of a business, made by dice: each is written into its table and noted here, so that a test can add up by
// hand what the worker adds up.

const DAY = 86_400_000;
const QUARTER = 900_000;

/** Numbers that only look random: the same for the same seed. */
export function dice(seed) {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const int = (low, high) => low + Math.floor(next() * (high - low + 1));
  return {
    int,
    chance: (part) => next() < part,
    pick: (list) => list[int(0, list.length - 1)],
    uuid: () => Array.from({ length: 32 }, () => int(0, 15).toString(16)).join('')
      .replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12})$/, '$1-$2-4$3-8$4-$5'),
    shuffled: (list) => list.map((one) => [next(), one]).sort(([a], [b]) => a - b).map(([, one]) => one),
  };
}

/** A vendor with what it sells, and who buys it. */
export async function vendor(pg, roll) {
  const id = () => roll.uuid();
  const it = {
    pg,
    // Programs' events are kept for 90 days: what is nearly as old is not added up any more.
    peopleSince: Number((await pg.query("SELECT extract(epoch FROM analytics_floor('people')) * 1000 AS at")).rows[0].at),
    seller: id(), buyer: id(), people: [id(), id(), id()], customer: id(), products: [id(), id(), id()], plans: [id(), id()],
    coupon: id(), licenses: [], models: [id(), id()], prompts: [id(), id()], keys: [id()],
  };
  const rows = async (table, list) => {
    const columns = Object.keys(list[0]).join(', ');
    await pg.query(`INSERT INTO ${table} (${columns}) SELECT ${columns} FROM jsonb_populate_recordset(NULL::${table}, $1)`, [JSON.stringify(list)]);
  };
  it.rows = rows;
  const slug = it.seller.slice(0, 8);
  await rows('organizations', [it.seller, it.buyer].map((one, n) => ({ id: one, name: `Org ${n}`, slug: `org-${n}-${one.slice(0, 8)}` })));
  await rows('users_profile', [...it.people.map((one) => [one, it.seller]), [it.customer, it.buyer]]
    .map(([one, organization_id]) => ({ id: one, organization_id, email: `${one}@example.test` })));
  await rows('subscription_plans', it.plans.map((one, n) => ({ id: one, code: `plan-${n}-${slug}`, name: `Plan ${n}` })));
  await rows('products', it.products.map((one, n) => ({ id: one, organization_id: it.seller, code: `P${n}${slug.slice(0, 4).toUpperCase()}`, name: `Product ${n}`, slug: `p-${n}-${slug}` })));
  await rows('coupons', [{ id: it.coupon, organization_id: it.seller, code: `C${slug}`, discount_type: 'percentage', discount_value: 10 }]);
  it.licenses = it.products.map((product_id) => ({ id: id(), organization_id: it.seller, plan_id: it.plans[0], product_id, license_key: id(), owner_id: it.people[0] }));
  await rows('licenses', it.licenses);
  await rows('ai_models', it.models.map((one, n) => ({ id: one, provider: ['openai', 'groq'][n], model_id: `m-${one}`, display_name: `Model ${n}` })));
  await rows('prompts_master', it.prompts.map((one, n) => ({ id: one, organization_id: it.seller, slug: `s-${n}-${slug}`, name: 'x', category: 'x', system_prompt: 'x' })));
  await rows('ai_api_pool', it.keys.map((one) => ({ id: one, provider: 'openai', key_name: one, key_value_encrypted: '\\x00' })));
  // Something paid every month, for movements to be of.
  const [order, item] = [id(), id()];
  it.subscription = id();
  await pg.query(`INSERT INTO orders (id, organization_id, user_id, seller_id, subtotal, total) VALUES ($1, $2, $3, $4, 10, 10)`, [order, it.buyer, it.customer, it.seller]);
  await pg.query(`INSERT INTO order_items (id, order_id, organization_id, product_id, name, unit_price, total) VALUES ($1, $2, $3, $4, 'x', 10, 10)`, [item, order, it.buyer, it.products[0]]);
  await pg.query(`INSERT INTO subscriptions (id, organization_id, user_id, seller_id, order_item_id, product_id, plan_id, name, quantity, unit_price, currency, billing_cycle, current_period_start, current_period_end)
    VALUES ($1, $2, $3, $4, $5, $6, $7, 'x', 2, 30, 'USD', 'quarterly', now(), now() + interval '3 months')`, [it.subscription, it.buyer, it.customer, it.seller, item, it.products[0], it.plans[0]]);
  return it;
}

const half = (x) => Math.floor(x + 0.5);
const iso = (ms) => new Date(ms).toISOString();

/**
 * Makes facts between two moments (Unix milliseconds): `steps` writes each of them, in any order; `facts(kind)`
 * gives what is to be added up, of what was written.
 */
export function business(roll, it, { from, to, orders = 0, tasks = 0, validations = 0, collisions = 0, acts = 0, movements = 0 }) {
  const moment = (first = from) => roll.int(first, to - 1);
  const steps = [];
  const noted = { sales: [], ai: [], validations: [], collisions: [], people: [], documents: [], subscriptions: [] };

  for (let n = 0; n < orders; n += 1) steps.push(...order(n));
  for (let n = 0; n < tasks; n += 1) steps.push(task());
  for (let n = 0; n < validations; n += 1) steps.push(validation());
  for (let n = 0; n < collisions; n += 1) steps.push(collision());
  for (let n = 0; n < acts; n += 1) steps.push(act());
  for (let n = 0; n < movements; n += 1) steps.push(movement());

  function order(n) {
    const [id, at, currency] = [roll.uuid(), moment(), roll.pick(['USD', 'USD', 'EUR'])];
    const coupon = roll.chance(0.3) ? it.coupon : null;
    const lines = Array.from({ length: roll.int(1, 3) }, (_, position) => {
      const [units, unit] = [roll.int(1, 4), roll.int(0, 9_999)];
      const list = units * unit;
      const discount = coupon ? half(list / 10) : 0;
      const tax = half((list - discount) * 0.16);
      return { position, product: roll.pick(it.products), plan: roll.chance(0.5) ? roll.pick(it.plans) : null, units, unit, list, discount, tax, total: list - discount + tax };
    });
    const sum = (name) => lines.reduce((all, line) => all + line[name], 0);
    const whole = { list: sum('list'), discount: sum('discount'), tax: sum('tax'), total: sum('total') };
    const money = (cents) => (cents / 100).toFixed(2);
    const events = [];
    const document = (kind, moment_, total, tax, more) => ({
      id: roll.uuid(), invoice_number: roll.uuid().slice(0, 30), organization_id: it.buyer, seller_id: it.seller, order_id: id, user_id: it.customer,
      status: 'paid', kind, currency, subtotal: money(total - tax), discount_total: 0, tax_total: money(tax), total: money(total), billing_address: {},
      lines: [], metadata: {}, issued_at: iso(moment_), created_at: iso(moment_), updated_at: iso(moment_), ...more,
    });
    const invoice = document('invoice', at, whole.total, whole.tax);
    const steps_ = [async () => {
      await it.rows('orders', [{
        id, order_number: `ORD-${id.slice(0, 20)}`, organization_id: it.buyer, seller_id: it.seller, user_id: it.customer, coupon_id: coupon, status: 'completed',
        currency, subtotal: money(whole.list), discount_total: money(whole.discount), tax_total: money(whole.tax), total: money(whole.total), refunded_total: 0,
        billing_address: {}, tax_lines: [], metadata: {}, kind: 'purchase', payments_begun: 0, created_at: iso(at), updated_at: iso(at), completed_at: iso(at),
      }]);
      await it.rows('order_items', lines.map((line) => ({
        id: roll.uuid(), order_id: id, organization_id: it.buyer, product_id: line.product, plan_id: line.plan ?? it.plans[0], name: 'x', quantity: line.units,
        unit_price: money(line.unit), total: money(line.list), metadata: {}, created_at: iso(at), billing_cycle: 'lifetime', list_total: money(line.list),
        discount_total: money(line.discount), net_total: money(line.list - line.discount), tax_total: money(line.tax), position: line.position,
      })));
      await it.rows('invoices', [invoice]);
      noted.documents.push({ at, currency, total: whole.total });
      lines.forEach((line, place) => noted.sales.push({
        at, currency, kind: 'order', product: line.product, plan: line.plan ?? it.plans[0], coupon, orders: place === 0 ? 1 : 0, lines: 1, units: line.units,
        subtotal: line.list, discount: line.discount, tax: line.tax, total: line.total,
      }));
      noted.later.push(() => refundFacts(lines, whole, events, { currency, coupon }));
    }];
    // Refunds, one after the other, most of them in another month; the last may fail after all.
    let [left, then] = [whole.total, at];
    while (left > 0 && roll.chance(0.35)) {
      const amount = roll.chance(0.4) ? left : roll.int(1, left);
      then = Math.min(then + roll.int(1, 45 * DAY), to - 1);
      const tax = half((whole.tax * amount) / whole.total);
      const refund = roll.uuid();
      const [when, note] = [then, document('credit_note', then, amount, Math.min(tax, amount), { corrects_id: invoice.id, refund_id: refund })];
      steps_.push(async () => {
        await it.rows('refunds', [{ id: refund, order_id: id, organization_id: it.buyer, seller_id: it.seller, amount: money(amount), status: 'succeeded', created_at: iso(when), updated_at: iso(when), succeeded_at: iso(when) }]);
        await it.rows('invoices', [note]);
        events.push({ at: when, sign: 1, amount, tax: Math.min(tax, amount), id: refund });
        noted.documents.push({ at: when, currency, total: -amount });
      });
      left -= amount;
      if (roll.chance(0.15)) {
        const back = Math.min(then + roll.int(1, 10 * DAY), to - 1);
        steps_.push(async () => {
          await it.pg.query("UPDATE refunds SET status = 'failed' WHERE id = $1", [refund]);
          await it.rows('invoices', [document('invoice', back, amount, Math.min(tax, amount), { corrects_id: note.id })]);
          events.push({ at: back, sign: -1, amount, tax: Math.min(tax, amount), id: refund });
          noted.documents.push({ at: back, currency, total: amount });
        });
        break;
      }
    }
    // What is of one order keeps its order.
    return [chained(steps_)].flat();
  }

  /** What refunds did to each line: shares are rounded so that the parts add up in both directions. */
  function refundFacts(lines, whole, events, { currency, coupon }) {
    const facts = [];
    let before = 0;
    for (const event of events.toSorted((a, b) => a.at - b.at || b.sign - a.sign || (a.id < b.id ? -1 : 1))) {
      const after = before + event.sign * event.amount;
      let until = 0;
      lines.forEach((line, place) => {
        const [low, high] = [until, until + line.total];
        const share = (amount, part) => Math.sign(amount) * half(Math.abs((amount * part) / whole.total));
        const total = share(after, high) - share(after, low) - share(before, high) + share(before, low);
        const tax = share(event.sign * event.tax, high) - share(event.sign * event.tax, low);
        facts.push({
          at: event.at, currency, kind: 'refund', product: line.product, plan: line.plan ?? it.plans[0], coupon, orders: place === 0 ? event.sign : 0, lines: 1,
          units: line.units * (Number(after >= whole.total) - Number(before >= whole.total)), subtotal: total - tax, discount: 0, tax, total,
        });
        until = high;
      });
      before = after;
    }
    return facts;
  }

  function task() {
    const asked = moment();
    const at = Math.min(asked + roll.int(10, 3 * 3_600_000), to - 1);
    const license = roll.pick(it.licenses);
    const fact = {
      at, model: roll.pick(it.models), prompt: roll.chance(0.5) ? roll.pick(it.prompts) : null, key: roll.chance(0.8) ? it.keys[0] : null, product: license.product_id,
      user: roll.pick(it.people), done: roll.chance(0.9), input: roll.int(0, 5_000), output: roll.int(0, 5_000), micro: roll.chance(0.1) ? null : roll.int(0, 900_000),
      ms: roll.chance(0.95) ? roll.int(1, 60_000) : null,
    };
    const row = {
      id: roll.uuid(), organization_id: it.seller, user_id: fact.user, license_id: license.id, model_id: fact.model, api_key_id: fact.key, prompt_id: fact.prompt,
      input_metadata: {}, metadata: {}, status: 'pending', retry_count: 0, tokens_input: 0, tokens_output: 0, created_at: iso(asked),
    };
    const finish = () => it.pg.query(
      `UPDATE processed_tasks SET status = $2::task_status, tokens_input = $3, tokens_output = $4, cost_usd = $5, execution_time_ms = $6, completed_at = $7 WHERE id = $1`,
      [row.id, fact.done ? 'completed' : 'failed', fact.input, fact.output, fact.micro === null ? null : fact.micro / 1e6, fact.ms, iso(at)]);
    return chained([async () => {
      await it.rows('processed_tasks', [row]);
      if (Math.floor(asked / QUARTER) * QUARTER >= it.peopleSince) noted.people.push({ at: asked, user: fact.user });
    }, async () => {
      await finish();
      noted.ai.push(fact);
    }]);
  }

  function validation() {
    const license = roll.pick(it.licenses);
    const fact = { at: moment(), verdict: roll.pick(['VALID', 'VALID', 'EXPIRED', 'IP_LIMIT_EXCEEDED']), product: license.product_id, country: roll.pick(['AR', 'ES', 'US', null]), version: roll.pick(['1.0.0', '2.1.0-beta', null]) };
    return [async () => {
      await it.rows('license_validations', [{
        id: roll.uuid(), license_id: license.id, organization_id: it.seller, ip_address: '192.0.2.1', is_valid: fact.verdict === 'VALID', failure_reason: fact.verdict === 'VALID' ? null : fact.verdict,
        device_info: fact.version ? { app_version: fact.version } : roll.pick([null, 'a text', { app_version: 'not a version!' }]), country: fact.country, created_at: iso(fact.at),
      }]);
      noted.validations.push(fact);
    }];
  }

  function collision() {
    const license = roll.pick(it.licenses);
    const fact = { at: moment(), severity: roll.pick(['low', 'high']), product: license.product_id };
    return [async () => {
      await it.rows('license_collisions', [{
        id: roll.uuid(), license_id: license.id, organization_id: it.seller, ip_address_a: '192.0.2.1', ip_address_b: '192.0.2.2', collision_type: 'concurrent_ip', severity: fact.severity,
        address_count: 2, window_seconds: 300, detected_at: iso(fact.at), suspended_license: false, auto_resolved: false, created_at: iso(fact.at),
      }]);
      noted.collisions.push(fact);
    }];
  }

  function act() {
    const fact = { at: moment(Math.max(from, Math.ceil(it.peopleSince) + QUARTER)), user: roll.pick(it.people) };
    const table = roll.pick(['audit_logs', 'telemetry_events']);
    const row = table === 'audit_logs'
      ? { id: roll.uuid(), organization_id: it.seller, user_id: fact.user, actor_kind: 'user', action: 'update', event: 'a.b', resource_type: 'x', success: true, created_at: iso(fact.at) }
      : { id: roll.uuid(), organization_id: it.seller, user_id: fact.user, event_type: 'page', event_name: 'x', properties: {}, created_at: iso(fact.at) };
    return [async () => {
      const columns = Object.keys(row).join(', ');
      await it.pg.query(`INSERT INTO ${table} (${columns}) SELECT ${columns} FROM jsonb_populate_record(NULL::${table}, $1)`, [JSON.stringify(row)]);
      noted.people.push(fact);
    }];
  }

  function movement() {
    const fact = { at: moment(), currency: roll.pick(['USD', 'EUR']), movement: roll.pick(['new', 'expansion', 'contraction', 'churn', 'reactivation']), product: roll.pick(it.products), plan: roll.pick(it.plans), micro: roll.int(-50_000_000, 50_000_000) };
    return [async () => {
      await it.pg.query(
        `INSERT INTO subscription_movements (organization_id, subscription_id, currency, product_id, plan_id, movement, mrr_delta, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
        [it.seller, it.subscription, fact.currency, fact.product, fact.plan, fact.movement, fact.micro / 1e6, iso(fact.at)]);
      noted.subscriptions.push(fact);
    }];
  }

  // Steps that need each other come one after the other, and others in between.
  function chained(list) {
    let [next] = [0];
    return list.map(() => async () => {
      const step = list[next];
      next += 1;
      await step();
    });
  }

  noted.later = [];
  return {
    steps: roll.shuffled(steps.flat()),
    documents: noted.documents,
    facts: (kind) => (kind === 'sales' ? [...noted.sales, ...noted.later.flatMap((make) => make())] : noted[kind]),
  };
}
