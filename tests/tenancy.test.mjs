// The second line of defence, alone: what the run-time role sees and may touch of every table and view
// when a statement forgets its WHERE, when a transaction forgets its settings, and on connections that
// others have used before.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import pg from 'pg';
import { startStack } from './harness/client.mjs';
import { transaction } from './schema/database.mjs';
import { furnishedOrganization } from './support/tenants.mjs';

// How a table is kept apart. Of a tenant: what makes a row somebody's, for the role client, which sees
// only its own; a column, or a parent that decides.
const tenants = { kind: 'tenant' };
const owned = (column) => ({ kind: 'tenant', column });
const inside = (parent, column) => ({ kind: 'tenant', parent, column });
// Of nobody, and read by everybody, by whoever has said who it is, or by the system alone.
const everybodys = { kind: 'catalogue', readers: ['nobody', 'tenant'] };
const members = { kind: 'catalogue', readers: ['tenant'] };
const systems = { kind: 'catalogue', readers: [] };
// Not for the run-time role at all.
const unreachable = { kind: 'unreachable' };

const MODULES = {
  users: { users_profile: owned('id'), user_sessions: owned('user_id'), user_api_keys: owned('user_id') },
  organizations: { organizations: tenants, organization_usage: tenants, subscription_plans: everybodys },
  licenses: {
    licenses: owned('owner_id'),
    license_ip_bindings: inside('licenses', 'license_id'),
    license_validations: inside('licenses', 'license_id'),
    license_collisions: inside('licenses', 'license_id'),
    license_usage_log: inside('licenses', 'license_id'),
    license_usage_counts: inside('licenses', 'license_id'),
    license_key_spending: inside('licenses', 'license_id'),
    v_active_licenses: owned('owner_id'),
  },
  settings: { system_config: everybodys },
  feature_flags: { feature_flags: members },
  webhooks: { webhooks: owned('user_id'), webhook_deliveries: inside('webhooks', 'webhook_id') },
  audit: { audit_logs: owned('user_id'), audit_seals: tenants },
  telemetry: { telemetry_events: owned('user_id'), system_events: systems },
  ai: {
    ai_models: everybodys, ai_api_pool: tenants, v_api_pool_status: systems, ai_key_imports: systems,
    prompts_master: tenants, task_batches: owned('user_id'), processed_tasks: owned('user_id'),
    ai_task_queue: owned('user_id'), ai_task_turns: tenants, v_daily_task_metrics: tenants,
    roi_metrics: tenants,
  },
  analytics: {
    analytics_marks: tenants, subscription_movements: tenants, rollup_sales: tenants, rollup_subscriptions: tenants, rollup_ai: owned('user_id'),
    rollup_validations: tenants, rollup_collisions: tenants, rollup_people: owned('user_id'), roi_due: tenants,
    roi_metrics_parts: owned('user_id'), rollup_horizon: everybodys,
  },
  marketplace: {
    product_categories: everybodys, products: tenants, v_products_published: tenants, product_releases: tenants,
    product_reviews: owned('user_id'), customer_assets: owned('user_id'), asset_downloads: owned('user_id'),
    product_review_votes: owned('user_id'), product_review_replies: tenants,
    catalogue_products: everybodys, catalogue_slugs: everybodys, catalogue_reviews: everybodys, catalogue_releases: everybodys,
  },
  billing: {
    payment_gateways: everybodys, tax_rates: everybodys, coupons: tenants, payment_methods: owned('user_id'),
    orders: owned('user_id'), order_items: inside('orders', 'order_id'), invoices: owned('user_id'),
    v_sales_dashboard: tenants, payment_events: systems, invoice_counters: unreachable, invoice_series: unreachable,
    gateway_customers: owned('user_id'), coupon_redemptions: owned('user_id'), subscriptions: owned('user_id'),
    order_grants: inside('orders', 'order_id'), refunds: inside('orders', 'order_id'), disputes: inside('orders', 'order_id'),
    payment_differences: systems,
  },
  system: { dead_letters: systems, job_runs: systems, retentions: systems },
  platform: { outbox_messages: tenants, idempotency_keys: tenants, refinery_schema_history: unreachable },
};

const TABLES = Object.assign({}, ...Object.values(MODULES));

// What only the system sees, and so has no row unless somebody puts one there.
const SYSTEM_ROWS = `
  INSERT INTO dead_letters (queue, body, body_hash, reason, queued_at) VALUES ('celaest-events', '{}', 'x', 'test', now());
  INSERT INTO job_runs (name, started_at, finished_at) VALUES ('test', now(), now());
  INSERT INTO ai_api_pool (provider, key_name, key_value_encrypted) VALUES ('groq', 'test', '\\x00');
  INSERT INTO ai_key_imports (key_fingerprint, variable) VALUES ('x', 'test');
  INSERT INTO payment_events (provider, event_id, type, payload) VALUES ('test', 'test', 'test', '{}');
  INSERT INTO payment_differences (order_id, kind) SELECT id, 'test' FROM orders LIMIT 1;
  INSERT INTO system_events (event_type, source, message) VALUES ('test', 'test', 'test');
  INSERT INTO feature_flags (flag_key, name) VALUES ('test', 'Test');
  INSERT INTO product_categories (name, slug) VALUES ('Test', 'test');
  INSERT INTO payment_gateways (name, code, provider) VALUES ('Test', 'test', 'test');
  INSERT INTO tax_rates (name, code, rate, country_code) VALUES ('Test', 'test', 1, 'ES');
  INSERT INTO ai_models (provider, model_id, display_name) VALUES ('groq', 'test', 'Test')`;

const NOT_ALLOWED = '42501';

let stack;
let a;
let b;
let app;
let catalogue;

before(async () => {
  stack = await startStack();
  [a, b] = [await furnishedOrganization(stack), await furnishedOrganization(stack)];
  await stack.pg.query(SYSTEM_ROWS);
  const { rows } = await stack.pg.query(`
    SELECT c.relname AS name, c.relkind = 'v' AS is_view, c.relispartition AS is_partition,
      array_agg(a.attname::text ORDER BY a.attnum) AS columns,
      array_agg(a.attname::text) FILTER (WHERE a.attgenerated = '' AND a.attidentity <> 'a') AS writable
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
    GROUP BY c.oid ORDER BY 1`);
  catalogue = new Map(rows.map((row) => [row.name, row]));
  app = await connect();
});

after(async () => {
  await app?.end();
  await stack?.stop();
});

/** A connection of the run-time role, through the pooler as the worker's. */
async function connect() {
  const client = new pg.Client({ connectionString: stack.poolerUrl });
  await client.connect();
  return client;
}

const tenant = ({ id }, more = {}) => ({ access: 'tenant', organization_id: id, ...more });
const keyOf = (table) => (table === 'organizations' ? 'id' : 'organization_id');

/** A transaction of the run-time role that leaves nothing. */
async function trial(settings, work) {
  await app.query('BEGIN');
  try {
    for (const [name, value] of Object.entries(settings)) {
      await app.query('SELECT set_config($1, $2, true)', [`celaest.${name}`, value]);
    }
    return await work();
  } finally {
    await app.query('ROLLBACK');
  }
}

/** Every row that a transaction with these settings reads of a table, as sorted JSON texts. */
const seen = (table, settings) => trial(settings, () => lines(app, table));

/** The rows that there are, as a superuser reads them. */
const real = (table, where = 'true', values = []) => lines(stack.pg, table, where, values);

async function lines(client, table, where = 'true', values = []) {
  const { rows } = await client.query(`SELECT to_jsonb(t)::text AS line FROM ${table} t WHERE ${where}`, values);
  return rows.map(({ line }) => line).sort();
}

/** How many rows a statement touches; none when the role may not run it. Rolled back. */
async function touched(settings, sql, values) {
  try {
    return (await trial(settings, () => app.query(sql, values))).rowCount;
  } catch (error) {
    assert.equal(error.code, NOT_ALLOWED, `${sql}: ${error.message}`);
    return 0;
  }
}

/** An INSERT of a row that is there already: refused for its own sake, or else for being there. */
async function insertCopy(table, settings, line) {
  const { writable } = catalogue.get(table);
  return trial(settings, () => app.query(
    `INSERT INTO ${table} (${writable}) SELECT ${writable} FROM jsonb_populate_record(NULL::${table}, $1)`, [line]));
}

const refused = (attempt, what) => assert.rejects(attempt, { code: NOT_ALLOWED }, what);

/** No way of writing into a table without a WHERE changes a row. */
async function untouchable(table, settings, line) {
  const [column] = catalogue.get(table).columns;
  assert.equal(await touched(settings, `UPDATE ${table} SET ${column} = ${column}`), 0);
  assert.equal(await touched(settings, `DELETE FROM ${table}`), 0);
  await refused(insertCopy(table, settings, line), `INSERT INTO ${table}`);
  await refused(trial(settings, () => app.query(`TRUNCATE ${table} CASCADE`)), `TRUNCATE ${table}`);
}

/** The rows of an organization that are this person's, as a condition on `t`. */
function ownRows(table, user) {
  const { parent, column } = TABLES[table];
  return parent ? `t.${column} IN (SELECT t.id FROM ${parent} t WHERE ${ownRows(parent, user)})` : `t.${column} = '${user}'`;
}

test('every table and view is in exactly one module', () => {
  const listed = Object.values(MODULES).flatMap(Object.keys);
  const there = [...catalogue.values()].filter((one) => !one.is_partition).map(({ name }) => name);
  assert.deepEqual(listed.toSorted(), there.toSorted());
  // Whatever names an organization is a tenant's.
  for (const name of there) {
    const isTenants = catalogue.get(name).columns.includes(keyOf(name));
    if (isTenants) assert.equal(TABLES[name].kind, 'tenant', name);
  }
});

test('there is something to hide in every table', async () => {
  for (const [table, { kind }] of Object.entries(TABLES)) {
    if (kind === 'tenant') {
      for (const { id } of [a, b]) assert.ok((await real(table, `${keyOf(table)} = $1`, [id])).length > 0, table);
    } else {
      assert.ok((await real(table)).length > 0 || kind === 'unreachable', table);
    }
  }
});

test('a partition is not reached past its table', async () => {
  const partitions = [...catalogue.values()].filter((one) => one.is_partition);
  assert.ok(partitions.length > 5);
  for (const { name } of partitions) {
    await refused(trial({ access: 'system' }, () => app.query(`SELECT FROM ${name}`)), name);
  }
});

for (const [module, tables] of Object.entries(MODULES)) {
  describe(module, () => {
    for (const [table, rule] of Object.entries(tables)) {
      describe(table, () => ({ tenant: tenantTable, catalogue: catalogueTable, unreachable: unreachableTable })[rule.kind](table, rule));
    }
  });
}

function tenantTable(table, rule) {
  const key = keyOf(table);
  const isView = table.startsWith('v_');

  test('without settings: nothing is seen and nothing touched', async () => {
    const [line] = await real(table, `${key} = $1`, [a.id]);
    for (const settings of [{}, { access: 'tenant' }, { organization_id: a.id }, { access: 'other', organization_id: a.id }]) {
      assert.deepEqual(await seen(table, settings), []);
      if (!isView) await untouchable(table, settings, line);
    }
  });

  test('without a WHERE: a tenant sees all of its own and nothing else', async () => {
    for (const { id } of [a, b]) {
      assert.deepEqual(await seen(table, tenant({ id })), await real(table, `${key} = $1`, [id]));
    }
  });

  if (!isView) {
    test('without a WHERE: a tenant touches nothing of others', async () => {
      const [line] = await real(table, `${key} = $1`, [b.id]);
      const own = (await real(table, `${key} = $1`, [a.id])).length;
      for (const sql of [`UPDATE ${table} SET ${key} = ${key}`, `DELETE FROM ${table}`]) {
        const count = await touched(tenant(a), sql);
        assert.ok(count === own || count === 0, `${sql}: ${count} of ${own}`);
        assert.equal(await touched(tenant(a), `${sql} WHERE ${key} = $1`, [b.id]), 0);
      }
      assert.equal(await touched(tenant(a), `UPDATE ${table} SET ${key} = $1 WHERE ${key} = $2`, [b.id, a.id]), 0);
      await refused(insertCopy(table, tenant(a), line), "another tenant's row is inserted");
    });
  }

  if (rule.column) {
    test('a client: only what it owns', async () => {
      const all = await real(table, `t.${key} = $1`, [a.id]);
      const counts = [];
      for (const owner of [a.users.client, a.users.admin, b.users.client, b.users.admin]) {
        const own = await real(table, `t.${key} = $1 AND ${ownRows(table, owner)}`, [a.id]);
        assert.deepEqual(await seen(table, tenant(a, { owner_id: owner })), own);
        if (!isView) {
          const count = await touched(tenant(a, { owner_id: owner }), `UPDATE ${table} SET ${key} = ${key}`);
          assert.ok(count === own.length || count === 0, `${count} of ${own.length}`);
        }
        counts.push(own.length);
      }
      // Somebody owns something, and somebody not all of it.
      assert.ok(Math.max(...counts) > 0 && Math.min(...counts) < all.length);
    });
  }
}

function catalogueTable(table, { readers }) {
  for (const [who, settings] of [['nobody', () => ({})], ['tenant', () => tenant(a)]]) {
    test(`${who === 'nobody' ? 'without settings' : 'as a tenant'}: ${readers.includes(who) ? 'only read' : 'nothing'}`, async () => {
      const [line] = await real(table);
      const count = (await seen(table, settings())).length;
      assert.equal(count, readers.includes(who) ? (await real(table)).length : 0);
      if (!table.startsWith('v_')) await untouchable(table, settings(), line);
    });
  }
}

function unreachableTable(table) {
  test('is not for the run-time role', async () => {
    for (const settings of [{}, tenant(a), { access: 'system' }]) {
      await refused(seen(table, settings), table);
      assert.equal(await touched(settings, `DELETE FROM ${table}`), 0);
    }
  });
}

describe('a connection that others use too', () => {
  const SEES = `SELECT pg_backend_pid() AS pid, count(*)::int AS licenses, current_setting('celaest.organization_id', true) AS organization
    FROM licenses`;
  const look = async (client) => (await client.query(SEES)).rows[0];

  // Until the pooler gave the same server connection to the other client.
  async function afterwards(end) {
    const other = await connect();
    try {
      for (let attempt = 0; attempt < 50; attempt += 1) {
        await app.query('BEGIN');
        await app.query(`SELECT set_config('celaest.access', 'tenant', true), set_config('celaest.organization_id', $1, true),
          set_config('celaest.owner_id', $2, true), set_config('celaest.user_id', $2, true)`, [a.id, a.users.client]);
        const inside = await look(app);
        assert.deepEqual([inside.licenses, inside.organization], [1, a.id]);
        await end();
        const next = await look(other);
        assert.equal(next.licenses, 0);
        assert.ok(!next.organization, next.organization);
        if (next.pid === inside.pid) return;
      }
      assert.fail('the pooler never gave the same connection twice');
    } finally {
      await other.end();
    }
  }

  test('after COMMIT nothing is left', () => afterwards(() => app.query('COMMIT')));
  test('after ROLLBACK nothing is left', () => afterwards(() => app.query('ROLLBACK')));
  test('after a failure nothing is left', () => afterwards(async () => {
    await assert.rejects(app.query('SELECT 1 / 0'), /division by zero/);
    await app.query('COMMIT');
  }));

  test('the owner of one transaction does not narrow the next', async () => {
    await transaction(app, tenant(a, { owner_id: a.users.client }), async () => assert.equal((await look(app)).licenses, 1));
    await transaction(app, tenant(a), async () => assert.equal((await look(app)).licenses, 2));
  });

  test('two tenants at once, over few connections: each sees its own', async () => {
    const clients = await Promise.all(Array.from({ length: 40 }, connect));
    try {
      await Promise.all(clients.map(async (client, index) => {
        const mine = [a, b][index % 2];
        for (let round = 0; round < 25; round += 1) {
          await transaction(client, tenant(mine), async () => {
            const { rows } = await client.query('SELECT DISTINCT organization_id AS id FROM licenses');
            assert.deepEqual(rows, [{ id: mine.id }]);
          });
        }
      }));
    } finally {
      await Promise.all(clients.map((client) => client.end()));
    }
  });
});
