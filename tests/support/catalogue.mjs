// A catalogue of so many products, made faster than the API would.

const TABLE = 'catalogue_products';

/**
 * Publishes products of a vendor, `filled-1` to `filled-<count>`, in the words that searches look for.
 *
 * @param {import('pg').Client} client a superuser's
 */
export async function fillCatalogue(client, vendor, count) {
  await client.query("SET session_replication_role = replica; SET statement_timeout = 0");
  await client.query(`
    INSERT INTO products (id, organization_id, code, name, slug, short_description, product_type, status, price, tags, download_count, published_at)
    SELECT md5('filled-' || n)::uuid, $1, 'F' || n,
      (ARRAY['Gestor', 'Panel', 'Motor', 'Suite', 'Agente', 'Monitor', 'Editor'])[1 + n % 7] || ' de '
      || (ARRAY['licencias', 'facturas', 'informes', 'almacenes', 'contratos', 'turnos', 'rutas', 'pedidos', 'correos'])[1 + n % 9] || ' ' || n,
      'filled-' || n, 'Automatización', 'software', 'published', n % 500, ARRAY['t' || n % 50], n % 1000, now() - make_interval(secs => n)
    FROM generate_series(1, $2::int) AS n`, [vendor, count]);
  await client.query('SET session_replication_role = origin');
  // Indexes are made faster than they are kept.
  const { rows } = await client.query('SELECT indexname, indexdef FROM pg_indexes WHERE tablename = $1 AND indexname LIKE \'idx_%\'', [TABLE]);
  for (const { indexname } of rows) await client.query(`DROP INDEX ${indexname}`);
  await client.query("SELECT sync_catalogue_products(array_agg(id)) FROM products WHERE code LIKE 'F%'");
  for (const { indexdef } of rows) await client.query(indexdef);
  await client.query('ANALYZE');
}
