// What the schema does by itself: the append-only audit log, the partitions, the
// numbers without gaps, the aggregates, the functions.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { buildMigrator, createDatabase, migrate, rows, seed, transaction } from './schema/database.mjs';

const ACME = '10000000-0000-4000-8000-000000000001';
const GLOBEX = '10000000-0000-4000-8000-000000000002';
const [ADMIN, DEVELOPER, MANAGER] = [2, 3, 4].map((n) => `20000000-0000-4000-8000-00000000000${n}`);
const PRODUCT = '50000000-0000-4000-8000-000000000001';
const LICENSE = '40000000-0000-4000-8000-000000000001';
const acme = { access: 'tenant', organization_id: ACME };
const globex = { access: 'tenant', organization_id: GLOBEX };

let database;
let owner;
let app;

before(async () => {
  const program = await buildMigrator();
  database = await createDatabase('behaviour');
  const run = await migrate(program, database.url);
  assert.equal(run.code, 0, run.stderr);
  owner = await database.asOwner();
  app = await database.asApp();
  await seed(owner, 'seed_data.sql');
});
after(async () => database?.drop());

const audit = (client, at = 'now()') => client.query(`
  INSERT INTO audit_logs (organization_id, user_id, action, event, resource_type, created_at)
  VALUES ($1, $2, 'create', 'license.created', 'license', ${at})`, [ACME, ADMIN]);

describe('the audit log', () => {
  test('is refused to celaest_app for anything but adding and reading', async () => {
    await transaction(app, acme, () => audit(app));
    for (const sql of ['UPDATE audit_logs SET success = false', 'DELETE FROM audit_logs', 'TRUNCATE audit_logs']) {
      await assert.rejects(transaction(app, { access: 'system' }, () => app.query(sql)), { code: '42501' }, sql);
    }
  });

  test('is refused to everybody but the owner, in its partitions too', async () => {
    const auditor = `celaest_auditor_${process.pid}`;
    await owner.query(`CREATE ROLE ${auditor} SUPERUSER`);
    const tables = await rows(owner, `
      SELECT relid::text FROM pg_partition_tree('audit_logs')`);
    assert.ok(tables.length >= 6);
    try {
      await owner.query(`SET ROLE ${auditor}`);
      const [current] = await rows(owner, `SELECT tableoid::regclass::text FROM audit_logs`);
      for (const table of ['audit_logs', current]) {
        for (const sql of [`UPDATE ${table} SET success = false`, `DELETE FROM ${table}`]) {
          await assert.rejects(owner.query(sql), /audit_logs is append-only/, sql);
        }
      }
      for (const table of tables) {
        await assert.rejects(owner.query(`TRUNCATE ${table}`), /audit_logs is append-only/, table);
      }
    } finally {
      await owner.query(`RESET ROLE`);
      await owner.query(`DROP ROLE ${auditor}`);
    }
    assert.deepEqual(await rows(owner, 'SELECT success FROM audit_logs'), [true]);
  });

  test('log_audit fills in who and what, and knows its tenant', async () => {
    const [id] = await transaction(app, acme, () => rows(app, `
      SELECT log_audit($1, $2, 'update', 'license', $3, 'Suspended', '{"before": {}, "after": {}}'::jsonb)`,
    [ADMIN, ACME, LICENSE]));
    await transaction(app, acme, () => app.query(`
      SELECT log_audit($1, $2, 'update', 'license', $3, NULL, NULL, 'license.revoked', 'req-1', '192.0.2.1', 'agent', $4)`,
    [ADMIN, ACME, LICENSE, PRODUCT]));
    const [first, second] = await rows(owner, `
      SELECT id, event, actor_kind, ip_address, request_id FROM audit_logs
      WHERE resource_id = $1 ORDER BY sequence`, [LICENSE]);
    assert.deepEqual(first, { id, event: 'license.update', actor_kind: 'user', ip_address: null, request_id: null });
    assert.equal(second.event, 'license.revoked');
    assert.equal(second.actor_kind, 'api_key');
    assert.equal(second.ip_address, '192.0.2.1');
    await assert.rejects(transaction(app, acme, () =>
      app.query(`SELECT log_audit($1, $2, 'read', 'license', NULL, NULL, NULL)`, [ADMIN, GLOBEX])), /row-level security/);
  });
});

describe('the horizon of the audit log', () => {
  const horizon = (client) => rows(client, 'SELECT audit_horizon()').then(([last]) => Number(last));
  const newest = () => rows(owner, 'SELECT max(sequence) FROM audit_logs').then(([last]) => Number(last));

  test('is the last number drawn, and waits for whoever drew an earlier one', async () => {
    assert.ok(await horizon(app) >= await newest());
    const [early, late] = await Promise.all([database.asApp(), database.asApp()]);
    await early.query('BEGIN');
    await early.query(`SELECT set_config('celaest.access', 'system', true)`);
    await audit(early);
    await transaction(late, acme, () => audit(late));
    const asked = horizon(app);
    await transaction(late, acme, () => audit(late));
    await early.query('COMMIT');
    const seen = await asked;
    const numbers = await rows(owner, 'SELECT sequence::int FROM audit_logs ORDER BY 1 DESC LIMIT 3');
    assert.ok(seen === numbers[0] || seen === numbers[1], `${seen} of ${numbers}`);
    // Each place is taken after another was drawn.
    assert.equal(numbers[0] - numbers[2], 4);
  });

  test('is refused while a writer does not end, and makes nobody wait', async () => {
    const [slow, other] = await Promise.all([database.asApp(), database.asApp()]);
    await slow.query('BEGIN');
    await slow.query(`SELECT set_config('celaest.access', 'system', true)`);
    await audit(slow);
    const before = await newest();
    const refused = assert.rejects(horizon(app), { code: '55P03' });
    await transaction(other, acme, () => audit(other));
    assert.ok(await newest() > before);
    await refused;
    await slow.query('ROLLBACK');
    assert.ok(await horizon(app) >= await newest());
  });

  test('of one tenant waits for nobody who writes to another', async () => {
    const of = (client, tenant) => rows(client, 'SELECT audit_horizon($1::uuid)', [tenant]).then(([last]) => last && Number(last));
    const [slow, other] = await Promise.all([database.asApp(), database.asApp()]);
    await slow.query('BEGIN');
    await slow.query(`SELECT set_config('celaest.access', 'system', true)`);
    await audit(slow);
    const [mine] = await rows(slow, 'SELECT organization_id::text FROM audit_logs ORDER BY sequence DESC LIMIT 1');
    const others = mine === ACME ? GLOBEX : ACME;
    // Whoever waits in vain is told nothing.
    assert.ok(await of(app, others) >= await newest());
    assert.ok(await of(app, null) >= await newest());
    assert.equal(await of(app, mine), null);
    const asked = of(app, mine);
    await transaction(other, acme, () => audit(other));
    await slow.query('COMMIT');
    assert.ok(await asked >= 1);
    assert.ok(await of(app, mine) >= await newest());
  });

  test('a place is taken after the tenant is named, and whoever restores a log gives the places', async () => {
    await transaction(app, acme, () => audit(app));
    const [last] = await rows(owner, 'SELECT max(sequence) FROM audit_logs');
    const [{ given }] = (await owner.query(`
      INSERT INTO audit_logs (sequence, action, event, resource_type) OVERRIDING SYSTEM VALUE
      VALUES ($1, 'read', 'test.restored', 'test') RETURNING sequence AS given`, [Number(last) + 1000])).rows;
    assert.equal(Number(given), Number(last) + 1000);
    await owner.query("SELECT setval('audit_logs_sequence_seq', $1)", [Number(given)]);
  });

  test('changes are shown by field', async () => {
    const shown = async (changes) => (await rows(app, 'SELECT audit_changes($1::jsonb)', [changes && JSON.stringify(changes)]))[0];
    assert.deepEqual(
      await shown({ before: { status: 'active', notes: null }, after: { status: 'expired', plan: [1] } }),
      { status: ['active', 'expired'], notes: [null, null], plan: [null, [1]] },
    );
    assert.deepEqual(await shown({ before: {}, after: { a: 1 } }), { a: [null, 1] });
    assert.deepEqual(await shown({ rows: 3 }), { rows: [null, 3] });
    assert.deepEqual(await shown({ before: 1, after: { a: 1 } }), { a: [null, 1] });
    for (const nothing of [null, 'text', [1], { before: {}, after: {} }]) assert.deepEqual(await shown(nothing), {});
  });
});

describe('telemetry', () => {
  test('goes when its time is over: whole months at once, the rest in steps', async () => {
    const add = (ages) => owner.query(`
      INSERT INTO telemetry_events (organization_id, event_type, event_name, created_at)
      SELECT $1, 'page', 'opened', now() - make_interval(days => age) FROM unnest($2::int[]) AS age`, [ACME, ages]);
    const left = () => rows(owner, 'SELECT count(*)::int FROM telemetry_events').then(([count]) => count);
    const now = new Date();
    const month = (offset) => new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - offset, 1)).toISOString();
    const name = (offset) => `telemetry_events_y${month(offset).slice(0, 4)}m${month(offset).slice(5, 7)}`;
    for (const offset of [6, 7]) {
      await owner.query(`CREATE TABLE ${name(offset)} PARTITION OF telemetry_events
        FOR VALUES FROM ('${month(offset)}') TO ('${month(offset - 1)}')`);
    }
    await add([...Array(10).keys()]);
    await add([100, 101, 102, 103, 104]);
    const ages = [6, 7].map((offset) => Math.ceil((now - new Date(month(offset))) / 86_400_000) - 2);
    await add(ages);
    assert.equal(await left(), 17);
    const prune = (days, batch) => rows(app, "SELECT prune_growing('telemetry_events', $1, $2)::int", [days, batch]).then(([count]) => count);
    assert.equal(await prune(400, 100), 0);
    assert.equal(await left(), 17);
    // The border lies in the newer one of the two months.
    const border = Math.ceil((now - new Date(month(6))) / 86_400_000) - 10;
    assert.equal(await prune(border, 100), 1);
    assert.equal(await left(), 15);
    assert.deepEqual(await rows(owner, 'SELECT to_regclass($1) IS NULL', [name(7)]), [true]);
    assert.deepEqual(await rows(owner, 'SELECT to_regclass($1) IS NULL', [name(6)]), [false]);
    assert.deepEqual([await prune(30, 3), await prune(30, 3), await prune(30, 3)], [3, 2, 0]);
    assert.equal(await left(), 10);
    for (const [days, batch] of [[0, 1], [1, 0], [null, 1], [-5, 10]]) {
      await assert.rejects(prune(days, batch), /must be between/);
    }
    assert.deepEqual(await rows(app, 'SELECT app_access()'), [null]);
  });
});

describe('partitions', () => {
  const partitions = (parent) => rows(owner, `
    SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = $1::regclass ORDER BY 1`, [parent]);

  test('exist ahead, come on demand and only once', async () => {
    assert.equal((await partitions('audit_logs')).length, 5, 'four months and the default');
    const clients = await Promise.all([app, database.asApp(), database.asApp()]);
    const created = await Promise.all(clients.map((client) => rows(client, 'SELECT ensure_partitions(5)')));
    // Two more months of each of the growing tables.
    const growing = await rows(app, 'SELECT growing_tables()');
    assert.deepEqual(created.flat().toSorted((one, other) => one - other), [0, 0, 2 * growing.length]);
    assert.equal((await partitions('telemetry_events')).length, 7);
    await assert.rejects(app.query('SELECT ensure_partitions(-1)'), /between 0 and 120/);
    await assert.rejects(app.query('CREATE TABLE mine (id int)'), { code: '42501' });
  });

  test('rows written too early wait in the default and move to their month', async () => {
    const places = () => rows(owner, `
      SELECT DISTINCT tableoid::regclass::text FROM audit_logs
      WHERE created_at > date_trunc('month', now()) + interval '7 months'`);
    const later = `date_trunc('month', now()) + interval '8 months'`;
    await transaction(app, acme, () => audit(app, later));
    await transaction(app, acme, () => app.query(`
      INSERT INTO telemetry_events (organization_id, event_type, event_name, created_at)
      VALUES ($1, 'page', 'opened', ${later})`, [ACME]));
    assert.deepEqual(await places(), ['audit_logs_default']);
    const before = await rows(owner, 'SELECT id, sequence, created_at FROM audit_logs ORDER BY sequence');
    const growing = await rows(app, 'SELECT growing_tables()');
    assert.deepEqual(await rows(app, 'SELECT ensure_partitions(9)'), [4 * growing.length]);
    assert.match((await places()).join(), /^audit_logs_y\d{4}m\d{2}$/);
    assert.deepEqual(await rows(owner, 'SELECT id, sequence, created_at FROM audit_logs ORDER BY sequence'), before);
    assert.deepEqual(await rows(owner, 'SELECT id FROM telemetry_events_default'), []);
    await transaction(app, acme, () => audit(app, later));
  });

  test('leave the access of the transaction as it was', async () => {
    await transaction(app, acme, async () => {
      await app.query('SELECT ensure_partitions(0)');
      assert.deepEqual(await rows(app, 'SELECT app_access()'), ['tenant']);
    });
    assert.deepEqual(await rows(app, 'SELECT app_access()'), [null]);
  });
});

describe('numbers', () => {
  test('invoices have no gaps under 50 transactions at once, some rolled back', async () => {
    const clients = await Promise.all(Array.from({ length: 50 }, () => database.asApp()));
    const outcomes = await Promise.allSettled(clients.map((client, index) => transaction(client, acme, async () => {
      const [number] = await rows(client, `
        INSERT INTO invoices (invoice_number, organization_id, user_id, status)
        VALUES (generate_invoice_number(), $1, $2, 'issued') RETURNING invoice_number`, [ACME, ADMIN]);
      if (index % 3 === 0) throw new Error('rolled back');
      return number;
    })));
    await Promise.all(clients.map((client) => client.end()));
    const committed = outcomes.filter((outcome) => outcome.status === 'fulfilled').map((outcome) => outcome.value);
    assert.equal(committed.length, 33, outcomes.find((outcome) => outcome.reason?.code)?.reason.message);
    const year = new Date().getUTCFullYear();
    const expected = Array.from({ length: 33 }, (_, n) => `INV-${year}-${String(n + 1).padStart(6, '0')}`);
    assert.deepEqual(committed.toSorted(), expected);
    await assert.rejects(app.query('UPDATE invoice_counters SET last_number = 1'), { code: '42501' });
  });

  test('orders are numbered, past a million too', async () => {
    const [first] = await rows(app, 'SELECT generate_order_number()');
    assert.match(first, /^ORD-\d{4}-\d{6}$/);
    await owner.query(`SELECT setval('order_number_seq', 1000000)`);
    assert.match((await rows(app, 'SELECT generate_order_number()'))[0], /^ORD-\d{4}-1000001$/);
  });

  test('license keys are 64 hexadecimal characters', async () => {
    const keys = await rows(app, 'SELECT generate_license_key() FROM generate_series(1, 100)');
    assert.equal(new Set(keys).size, 100);
    assert.ok(keys.every((key) => /^[0-9a-f]{64}$/.test(key)));
  });
});

describe('aggregates', () => {
  const product = () => rows(owner, `
    SELECT avg_rating::float, review_count, download_count::int, updated_at FROM products WHERE id = $1`, [PRODUCT])
    .then(([row]) => row);
  const review = (client, settings, user, rating) => transaction(client, settings, () => client.query(`
    INSERT INTO product_reviews (product_id, organization_id, user_id, rating) VALUES ($1, $2, $3, $4)`,
  [PRODUCT, settings.organization_id, user, rating]));

  test('the rating follows reviews of any tenant, also when they come at once', async () => {
    const { updated_at: unchanged } = await product();
    const other = await database.asApp();
    await Promise.all([review(app, acme, ADMIN, 5), review(other, globex, MANAGER, 2)]);
    assert.deepEqual(await product(), { avg_rating: 3.5, review_count: 2, download_count: 0, updated_at: unchanged });
    await review(app, acme, DEVELOPER, 3);
    assert.equal((await product()).avg_rating, 3.33);
    await transaction(app, acme, () => app.query('UPDATE product_reviews SET rating = 1 WHERE user_id = $1', [ADMIN]));
    assert.equal((await product()).avg_rating, 2);
    await transaction(app, { access: 'system' }, () => app.query('DELETE FROM product_reviews'));
    assert.deepEqual(await product(), { avg_rating: null, review_count: 0, download_count: 0, updated_at: unchanged });
    await assert.rejects(review(app, acme, ADMIN, 6), /product_reviews_rating_check/);
  });

  test('a download counts for its release and its product', async () => {
    const [release] = await rows(owner, `
      INSERT INTO product_releases (product_id, organization_id, version, status)
      VALUES ($1, $2, '2.10.3-beta.1', 'stable') RETURNING id`, [PRODUCT, ACME]);
    const [asset] = await rows(owner, `
      INSERT INTO customer_assets (organization_id, user_id, product_id) VALUES ($1, $2, $3) RETURNING id`,
    [GLOBEX, MANAGER, PRODUCT]);
    const clients = await Promise.all(Array.from({ length: 5 }, () => database.asApp()));
    await Promise.all(clients.map((client) => transaction(client, globex, () => client.query(`
      INSERT INTO asset_downloads (asset_id, organization_id, release_id, user_id) VALUES ($1, $2, $3, $4)`,
    [asset, GLOBEX, release, MANAGER]))));
    assert.equal((await product()).download_count, 5);
    const [counted] = await rows(owner, `
      SELECT download_count::int, version_major, version_minor, version_patch, version_prerelease
      FROM product_releases WHERE id = $1`, [release]);
    assert.deepEqual(counted, {
      download_count: 5, version_major: 2, version_minor: 10, version_patch: 3, version_prerelease: 'beta.1',
    });
    await assert.rejects(owner.query(`UPDATE product_releases SET version = 'two'`), /product_releases_version_check/);
  });

  test('a provider key counts its use from a tenant that cannot see it', async () => {
    const [key] = await rows(owner, `
      INSERT INTO ai_api_pool (provider, key_name, key_value_encrypted) VALUES ('groq', 'k', '\\x00') RETURNING id`);
    await transaction(app, acme, async () => {
      assert.deepEqual(await rows(app, 'SELECT increment_api_key_usage($1, 1500)', [key]), [true]);
      assert.deepEqual(await rows(app, 'SELECT increment_api_key_usage($1, 1500)', [ACME]), [false]);
      assert.deepEqual(await rows(app, 'SELECT id FROM ai_api_pool'), []);
    });
    const [used] = await rows(owner, 'SELECT usage_count::int, tokens_used::int FROM ai_api_pool');
    assert.deepEqual(used, { usage_count: 1, tokens_used: 1500 });
  });
});

describe('rows', () => {
  test('updated_at moves with every change', async () => {
    const read = () => rows(owner, 'SELECT updated_at FROM licenses WHERE id = $1', [LICENSE]).then(([at]) => at);
    const before = await read();
    await transaction(app, acme, () => app.query(`UPDATE licenses SET notes = 'x' WHERE id = $1`, [LICENSE]));
    assert.ok(await read() > before);
  });

  test('tokens_total is the sum, and cannot be written', async () => {
    const [total] = await rows(owner, `
      INSERT INTO processed_tasks (organization_id, user_id, tokens_input, tokens_output)
      VALUES ($1, $2, 30, 12) RETURNING tokens_total`, [ACME, ADMIN]);
    assert.equal(total, 42);
    await assert.rejects(owner.query('UPDATE processed_tasks SET tokens_total = 1'), { code: '428C9' });
  });

  test('an e-mail address names one living person who came, one of an organization, and is free after a deletion', async () => {
    const add = (id, organization, invited = null) => owner.query(
      `INSERT INTO users_profile (id, organization_id, email, invited_at) VALUES ($1, $2, 'ada@acme.test', $3)`, [id, organization, invited]);
    const ids = [1, 2, 3].map((n) => `20000000-0000-4000-8000-0000000000f${n}`);
    await add(ids[0], ACME);
    await assert.rejects(add(ids[1], ACME, new Date()), { constraint: 'idx_users_profile_organization_email' });
    await assert.rejects(add(ids[1], GLOBEX), { constraint: 'idx_users_profile_email' });
    await add(ids[1], GLOBEX, new Date());
    await assert.rejects(
      owner.query('UPDATE users_profile SET activated_at = now() WHERE id = $1', [ids[1]]), { constraint: 'idx_users_profile_email' });
    await owner.query('UPDATE users_profile SET deleted_at = now() WHERE id = $1', [ids[0]]);
    await owner.query('UPDATE users_profile SET activated_at = now() WHERE id = $1', [ids[1]]);
    await add(ids[2], ACME, new Date());
  });

  test('a binding is one IPv4 address or one IPv6 network, active once', async () => {
    const bind = (address) => rows(owner, `
      INSERT INTO license_ip_bindings (license_id, organization_id, ip_address)
      VALUES ($1, $2, $3) RETURNING ip_address::text`, [LICENSE, ACME, address]);
    assert.deepEqual(await bind('2001:db8:1:2:3:4:5:6'), ['2001:db8:1:2::/64']);
    assert.deepEqual(await bind('198.51.100.7'), ['198.51.100.7/32']);
    await assert.rejects(bind('2001:db8:1:2::ff'), { constraint: 'license_ip_bindings_active_key' });
    await owner.query('UPDATE license_ip_bindings SET is_active = false, unbound_at = now()');
    await bind('2001:db8:1:2::ff');
  });

  test('a row cannot borrow a parent of another tenant', async () => {
    for (const sql of [
      `INSERT INTO license_ip_bindings (license_id, organization_id, ip_address) VALUES ('${LICENSE}', '${GLOBEX}', '192.0.2.1')`,
      `INSERT INTO product_releases (product_id, organization_id, version) VALUES ('${PRODUCT}', '${GLOBEX}', '1.0.0')`,
    ]) {
      await assert.rejects(transaction(app, globex, () => app.query(sql)), { code: '23503' }, sql);
    }
  });

  test('views count what they say', async () => {
    await transaction(app, acme, async () => {
      const active = await rows(app, 'SELECT plan_code, ai_requests_limit::int, usage_percent::float FROM v_active_licenses ORDER BY 1');
      assert.deepEqual(active, [
        { plan_code: 'professional', ai_requests_limit: 10000, usage_percent: 0 },
        { plan_code: 'starter', ai_requests_limit: 1000, usage_percent: 0 },
      ]);
      const published = await rows(app, 'SELECT code, latest_version FROM v_products_published ORDER BY 1');
      assert.deepEqual(published, [
        { code: 'CRM', latest_version: null }, { code: 'MKT', latest_version: '2.10.3-beta.1' },
      ]);
      await app.query(`
        INSERT INTO orders (organization_id, user_id, status, subtotal, total, refunded_total, completed_at)
        VALUES ($1, $2, 'completed', 100, 100, 25, now())`, [ACME, ADMIN]);
      const [sales] = await rows(app, 'SELECT gross_revenue::float, net_revenue::float FROM v_sales_dashboard');
      assert.deepEqual(sales, { gross_revenue: 100, net_revenue: 75 });
      assert.deepEqual(await rows(app, 'SELECT tokens_total::int FROM v_daily_task_metrics'), [42]);
    });
  });
});
