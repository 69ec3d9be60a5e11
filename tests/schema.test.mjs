// The schema as the documents describe it, and the promises it keeps by itself:
// tenants apart, an audit log that only grows, numbers without gaps.

import assert from 'node:assert/strict';
import { appendFileSync, cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { buildMigrator, createDatabase, migrate, root, rows, seed, transaction } from './schema/database.mjs';

const dictionary = JSON.parse(readFileSync(new URL('./schema/dictionary.json', import.meta.url), 'utf8'));
const fixtures = readFileSync(new URL('./schema/fixtures.sql', import.meta.url), 'utf8');

const ACME = '10000000-0000-4000-8000-000000000001';
const GLOBEX = '10000000-0000-4000-8000-000000000002';
const [ADMIN, MANAGER, CLIENT] = [2, 4, 5].map((n) => `20000000-0000-4000-8000-00000000000${n}`);
const acme = { access: 'tenant', organization_id: ACME };
const globex = { access: 'tenant', organization_id: GLOBEX };

let program;
let database;
let owner;
let app;

before(async () => {
  program = await buildMigrator();
  database = await createDatabase('main');
  const first = await migrate(program, database.url);
  assert.equal(first.code, 0, first.stderr);
  owner = await database.asOwner();
  app = await database.asApp();
});
after(async () => database?.drop());

// A default as the catalogue shows it, without the casts it adds.
const plain = (expression) => expression?.replace(/::[a-z_ ]+(\([\d,]+\))?(\[\])?/g, '') ?? null;

describe('the dictionary', () => {
  test('every table and column exists with its type, nullability and default', async () => {
    const found = await rows(owner, `
      SELECT c.relname AS "table", a.attname AS "column", format_type(a.atttypid, a.atttypmod) AS type,
             NOT a.attnotnull AS nullable, a.attgenerated <> '' AS generated,
             a.attidentity <> '' AS identity,
             pg_get_expr(d.adbin, d.adrelid) AS "default"
      FROM pg_attribute a
      JOIN pg_class c ON c.oid = a.attrelid AND c.relnamespace = 'public'::regnamespace
      LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
      WHERE c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped`);
    const live = new Map(found.map((row) => [`${row.table}.${row.column}`, row]));
    const wrong = [];
    for (const [table, columns] of Object.entries(dictionary.tables)) {
      for (const [column, wanted] of Object.entries(columns)) {
        const name = `${table}.${column}`;
        const is = live.get(name);
        if (!is) {
          wrong.push(`${name} is missing`);
          continue;
        }
        const value = is.generated ? null : plain(is.default);
        if (is.type !== wanted.type) wrong.push(`${name} is ${is.type}, not ${wanted.type}`);
        if (is.nullable !== wanted.nullable) wrong.push(`${name}: nullable is ${is.nullable}`);
        if (is.generated !== Boolean(wanted.generated)) wrong.push(`${name}: generated is ${is.generated}`);
        if (is.identity !== Boolean(wanted.identity)) wrong.push(`${name}: identity is ${is.identity}`);
        if (wanted.default === 'any' ? value === null : value !== (wanted.default ?? null)) {
          wrong.push(`${name}: default is ${value}, not ${wanted.default ?? null}`);
        }
      }
    }
    assert.deepEqual(wrong, []);
    assert.equal(Object.keys(dictionary.tables).length, 40);
  });

  test('enum types have the documented values in their order', async () => {
    const found = await rows(owner, `
      SELECT t.typname AS name, array_agg(e.enumlabel::text ORDER BY e.enumsortorder) AS labels
      FROM pg_enum e JOIN pg_type t ON t.oid = e.enumtypid GROUP BY t.typname`);
    const live = Object.fromEntries(found.map(({ name, labels }) => [name, labels]));
    for (const [name, values] of Object.entries(dictionary.enums)) {
      assert.deepEqual(live[name], values, name);
    }
  });

  test('named indexes and unique rules exist', async () => {
    const found = await rows(owner, `
      SELECT i.relname AS name, t.relname AS "table", x.indisunique AS "unique",
             x.indpred IS NOT NULL AS partial,
             (SELECT array_agg(pg_get_indexdef(x.indexrelid, n, true) ORDER BY n)
              FROM generate_series(1, x.indnkeyatts) n) AS columns
      FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid
      WHERE t.relnamespace = 'public'::regnamespace`);
    for (const [name, wanted] of Object.entries(dictionary.indexes)) {
      const is = found.find((index) => index.name === name);
      assert.deepEqual(
        is && { table: is.table, columns: is.columns, unique: is.unique, partial: is.partial },
        { unique: false, partial: false, ...wanted },
        name,
      );
    }
    for (const [table, ...columns] of dictionary.unique) {
      const is = found.some(
        (index) => index.table === table && index.unique && !index.partial
          && index.columns.join() === columns.join(),
      );
      assert.ok(is, `${table} (${columns}) is unique`);
    }
  });

  test('foreign keys exist and every one is indexed', async () => {
    const found = await rows(owner, `
      SELECT f.conrelid::regclass::text AS "table", f.confrelid::regclass::text AS references,
             f.conname AS name,
             (SELECT array_agg(attname::text ORDER BY k.n) FROM unnest(f.conkey) WITH ORDINALITY k (num, n)
              JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.num) AS columns,
             -- A composite key is served by an index on its first column, the selective one.
             EXISTS (SELECT FROM pg_index x WHERE x.indrelid = f.conrelid AND x.indkey[0] = f.conkey[1]
                     AND (x.indpred IS NULL
                          OR pg_get_expr(x.indpred, x.indrelid) ~ '^\\(\\w+ IS NOT NULL\\)$')) AS indexed
      FROM pg_constraint f
      WHERE f.contype = 'f' AND f.conparentid = 0 AND f.connamespace = 'public'::regnamespace`);
    for (const { table, column, references } of dictionary.foreign_keys) {
      const is = found.some(
        (key) => key.table === table && key.columns[0] === column && key.references === references,
      );
      assert.ok(is, `${table}.${column} references ${references}`);
    }
    assert.deepEqual(found.filter((key) => !key.indexed).map((key) => `${key.table}: ${key.name}`), []);
  });

  test('views read with the rights of whoever asks, and functions exist', async () => {
    const views = await rows(owner, `
      SELECT relname FROM pg_class WHERE relkind = 'v' AND relnamespace = 'public'::regnamespace
      AND 'security_invoker=true' = ANY (reloptions)`);
    assert.deepEqual(views.toSorted(), dictionary.views.toSorted());
    for (const view of views) await app.query(`SELECT * FROM ${view}`);
    const functions = await rows(owner, `SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace`);
    assert.deepEqual(dictionary.functions.filter((name) => !functions.includes(name)), []);
  });

  test('every table with updated_at keeps it by a trigger', async () => {
    const without = await rows(owner, `
      SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
      WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND a.attname = 'updated_at'
        AND NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname = 'set_updated_at')`);
    assert.deepEqual(without, []);
  });
});

describe('migrating', () => {
  const copy = () => {
    const folder = mkdtempSync(join(tmpdir(), 'celaest-migrations-'));
    // Dereferenced: a link would be copied as one, and the files changed below be the real ones.
    cpSync(`${root}/migrations`, `${folder}/migrations`, { recursive: true, dereference: true });
    return folder;
  };
  const catalogue = () => rows(owner, `
    SELECT md5(string_agg(line, E'\\n' ORDER BY line)) FROM (
      SELECT format('%s %s %s', attrelid::regclass, attname, atttypid::regtype) AS line
      FROM pg_attribute JOIN pg_class c ON c.oid = attrelid WHERE relnamespace = 'public'::regnamespace
      UNION ALL SELECT format('%s %s', version, checksum) FROM refinery_schema_history
      UNION ALL SELECT format('%s %s', key, updated_at) FROM system_config) AS lines`);

  test('a second time changes nothing', async () => {
    const state = await catalogue();
    const again = await migrate(program, database.url);
    assert.equal(again.code, 0);
    assert.match(again.stdout, /^nothing to do/);
    assert.deepEqual(await catalogue(), state);
  });

  test('two migrators at once queue up', async (t) => {
    const other = await createDatabase('queue');
    t.after(() => other.drop());
    const both = await Promise.all([migrate(program, other.url), migrate(program, other.url)]);
    assert.deepEqual(both.map((run) => run.code), [0, 0], both.map((run) => run.stderr).join());
    const applied = both.map((run) => run.stdout.match(/^applied/gm)?.length ?? 0);
    assert.ok(applied.includes(0) && Math.max(...applied) >= 10, `applied ${applied}`);
  });

  test('a changed, a missing and a failing file are refused in one sentence', async (t) => {
    const folder = copy();
    t.after(() => rmSync(folder, { recursive: true }));
    const state = await catalogue();
    const refused = async (pattern) => {
      const run = await migrate(program, database.url, folder);
      assert.equal(run.code, 1);
      assert.match(run.stderr, pattern);
      assert.equal(run.stderr.trim().split('\n').length, 1, run.stderr);
      assert.deepEqual(await catalogue(), state);
    };
    writeFileSync(`${folder}/migrations/V900__broken.sql`, 'CREATE TABLE half (id int); SELECT 1 / 0;');
    await refused(/V900__broken.*division by zero/);
    rmSync(`${folder}/migrations/V900__broken.sql`);
    appendFileSync(`${folder}/migrations/V003__licensing.sql`, '\n-- changed');
    await refused(/V003__licensing\.sql was changed after it was applied/);
    rmSync(`${folder}/migrations/V003__licensing.sql`);
    await refused(/V003__licensing\.sql was applied and its file is gone/);
  });
});

describe('seeds', () => {
  const counts = () => owner.query(`
    SELECT (SELECT count(*) FROM organizations)::int AS organizations,
           (SELECT count(*) FROM users_profile)::int AS users,
           (SELECT count(DISTINCT role) FROM users_profile)::int AS roles,
           (SELECT count(*) FROM subscription_plans)::int AS plans,
           (SELECT count(*) FROM licenses)::int AS licenses,
           (SELECT count(*) FROM products)::int AS products`).then((result) => result.rows[0]);

  test('hold exactly the documented counts, and run twice', async () => {
    const wanted = { organizations: 3, users: 5, roles: 5, plans: 4, licenses: 3, products: 3 };
    await seed(owner, 'seed_data.sql');
    assert.deepEqual(await counts(), wanted);
    await seed(owner, 'seed_data.sql');
    assert.deepEqual(await counts(), wanted);
    await seed(owner, 'catalogue.sql');
    await seed(owner, 'catalogue.sql');
    assert.deepEqual(await counts(), { ...wanted, products: 10 });
    const prices = await rows(owner, `
      SELECT price::int FROM products WHERE category_id IS NOT NULL AND organization_id = $1 ORDER BY price`, [ACME]);
    assert.deepEqual(prices, [99, 150, 1200, 2100, 4500, 8900, 12000]);
  });
});

describe('row-level security', () => {
  let tenantTables;

  before(async () => {
    for (const [organization, user] of [[ACME, ADMIN], [GLOBEX, MANAGER]]) {
      await owner.query(fixtures.replaceAll('$ORG', `'${organization}'`).replaceAll('$USER', `'${user}'`));
    }
    tenantTables = await rows(owner, `
      SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
      WHERE a.attname = 'organization_id' AND NOT a.attisdropped AND c.relkind IN ('r', 'p')
        AND NOT c.relispartition AND c.relnamespace = 'public'::regnamespace ORDER BY 1`);
    tenantTables.push('organizations');
  });
  const key = (table) => (table === 'organizations' ? 'id' : 'organization_id');
  const seen = (table) => rows(app, `SELECT DISTINCT ${key(table)}::text FROM ${table} ORDER BY 1`);

  test('is enabled and forced on every tenant table and every partition', async () => {
    const open = await rows(owner, `
      SELECT c.relname FROM pg_class c
      WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace
        AND NOT (c.relrowsecurity AND c.relforcerowsecurity)`);
    assert.deepEqual(open.toSorted(), ['invoice_counters', 'invoice_series', 'refinery_schema_history']);
    assert.ok(tenantTables.length >= 29, `${tenantTables.length} tenant tables`);
  });

  test('asks once per statement who is asking, not once per row', async () => {
    const { rows } = await owner.query(`
      SELECT p.polname AS name, p.polrelid::regclass::text AS relation FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
      WHERE c.relnamespace = 'public'::regnamespace AND NOT c.relispartition
        AND (pg_get_expr(p.polqual, p.polrelid) <> asked_once(pg_get_expr(p.polqual, p.polrelid))
          OR pg_get_expr(p.polwithcheck, p.polrelid) <> asked_once(pg_get_expr(p.polwithcheck, p.polrelid)))`);
    assert.deepEqual(rows, [], 'a migration that makes policies ends with SELECT policies_ask_once()');
  });

  test('shows nothing without settings, with half of them, or with strange ones', async () => {
    for (const settings of [
      {}, { access: '' }, { access: 'other', organization_id: ACME }, { organization_id: ACME },
      { access: 'tenant' }, { access: 'tenant', organization_id: '' },
      { access: 'tenant', organization_id: '10000000-0000-4000-8000-00000000000f' },
    ]) {
      await transaction(app, settings, async () => {
        for (const table of tenantTables) {
          assert.deepEqual(await seen(table), [], `${table} with ${JSON.stringify(settings)}`);
        }
      });
    }
    await assert.rejects(
      transaction(app, { access: 'tenant', organization_id: 'x' }, () => seen('licenses')),
      /invalid input syntax for type uuid/,
    );
  });

  test('shows a tenant its own rows and the system all', async () => {
    await transaction(app, acme, async () => {
      for (const table of tenantTables) assert.deepEqual(await seen(table), [ACME], table);
    });
    await transaction(app, { access: 'system' }, async () => {
      for (const table of tenantTables) {
        const all = await seen(table);
        assert.ok(all.includes(ACME) && all.includes(GLOBEX), table);
      }
    });
  });

  test('refuses to write into another tenant', async () => {
    const grants = await rows(owner, `
      SELECT table_name AS name, array_agg(privilege_type::text) AS allowed
      FROM information_schema.role_table_grants
      WHERE grantee = 'celaest_app' AND table_schema = 'public' GROUP BY 1`);
    const allowed = Object.fromEntries(grants.map((row) => [row.name, row.allowed]));
    for (const table of tenantTables) {
      if (allowed[table].includes('UPDATE')) {
        const { rowCount } = await transaction(app, acme, () =>
          app.query(`UPDATE ${table} SET ${key(table)} = ${key(table)} WHERE ${key(table)} = $1`, [GLOBEX]));
        assert.equal(rowCount, 0, table);
        await assert.rejects(transaction(app, acme, () =>
          app.query(`UPDATE ${table} SET ${key(table)} = $1`, [GLOBEX])), /row-level security/, table);
      }
    }
    await assert.rejects(transaction(app, acme, () => app.query(
      `INSERT INTO outbox_messages (organization_id, topic, payload) VALUES ($1, 't', '{}')`, [GLOBEX],
    )), /row-level security/);
    assert.ok(!grants.some((row) => row.allowed.includes('TRUNCATE')));
  });

  test('shows a client only what it owns', async () => {
    await transaction(app, { ...acme, owner_id: CLIENT }, async () => {
      assert.deepEqual(await rows(app, 'SELECT owner_id::text FROM licenses'), [CLIENT]);
      assert.deepEqual(await rows(app, 'SELECT id::text FROM users_profile'), [CLIENT]);
      for (const table of ['license_ip_bindings', 'license_validations', 'license_collisions', 'license_usage_log']) {
        assert.deepEqual(
          await rows(app, `SELECT license_id::text FROM ${table}`), ['40000000-0000-4000-8000-000000000002'], table);
      }
      for (const table of ['orders', 'order_items', 'invoices', 'webhooks', 'webhook_deliveries',
        'processed_tasks', 'task_batches', 'customer_assets', 'user_api_keys', 'user_sessions', 'audit_logs']) {
        assert.deepEqual(await seen(table), [], table);
      }
      await app.query(`SELECT log_audit($1, $2, 'read', 'license', NULL, NULL, NULL)`, [CLIENT, ACME]);
      assert.deepEqual(await rows(app, 'SELECT event FROM audit_logs'), ['license.read']);
    });
  });

  test('catalogues: everybody reads, only the system writes, secrets stay with the system', async () => {
    await owner.query(`
      INSERT INTO system_config (key, value, is_sensitive) VALUES ('test.secret', '{"version": 1, "sealed": "x"}', true);
      INSERT INTO ai_api_pool (provider, key_name, key_value_encrypted) VALUES ('groq', 'k', '\\x00')`);
    assert.equal((await rows(app, 'SELECT code FROM subscription_plans')).length, 4);
    await transaction(app, acme, async () => {
      assert.deepEqual(await rows(app, `SELECT key FROM system_config WHERE is_sensitive`), []);
      assert.deepEqual(
        await rows(app, `SELECT value FROM system_config WHERE key LIKE 'license.%' ORDER BY key`), [false, 10]);
      assert.deepEqual(await rows(app, 'SELECT id FROM ai_api_pool WHERE organization_id IS NULL'), []);
      assert.equal((await app.query(`UPDATE subscription_plans SET name = 'x'`)).rowCount, 0);
    });
    await transaction(app, { access: 'system' }, async () => {
      assert.equal((await app.query(`UPDATE subscription_plans SET name = name`)).rowCount, 4);
      assert.equal((await rows(app, 'SELECT id FROM ai_api_pool WHERE organization_id IS NULL')).length, 1);
    });
  });

  test('celaest_app owns nothing and has no way around', async () => {
    const [role] = await rows(owner, `
      SELECT rolsuper, rolbypassrls, rolcreatedb, rolcreaterole,
             (SELECT count(*)::int FROM pg_class WHERE relowner = r.oid) AS classes,
             (SELECT count(*)::int FROM pg_proc WHERE proowner = r.oid) AS functions,
             has_schema_privilege(r.oid, 'public', 'CREATE') AS creates
      FROM pg_roles r WHERE rolname = 'celaest_app'`);
    assert.deepEqual(role, {
      rolsuper: false, rolbypassrls: false, rolcreatedb: false, rolcreaterole: false,
      classes: 0, functions: 0, creates: false,
    });
    const definers = await rows(owner, `
      SELECT proname FROM pg_proc WHERE prosecdef AND pronamespace = 'public'::regnamespace
        AND has_function_privilege('celaest_app', oid, 'EXECUTE')`);
    assert.deepEqual(definers.toSorted(), [
      'analytics_aggregate', 'analytics_ai_quarter', 'analytics_collisions_quarter', 'analytics_people_quarter', 'analytics_sales_quarter',
      'analytics_subscriptions_quarter', 'analytics_validations_quarter', 'audit_horizon', 'audit_horizon', 'coupon_by_code', 'download_by_link', 'ensure_partitions', 'ensure_partitions_of', 'generate_invoice_number',
      'generate_order_number', 'increment_api_key_usage', 'next_invoice_number', 'prune_growing', 'redeem_coupon', 'release_coupon',
      'seller_details', 'sold_licenses']);
  });
});
