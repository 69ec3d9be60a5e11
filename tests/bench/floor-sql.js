// What the platform and PostgreSQL themselves cost: the object hop of `floor.js`, then one query for 20
// rows through the same pooler, with the same role and password, by the driver that JavaScript workers use.

import postgres from 'postgres';

export { FloorObject } from './floor.js';

export default {
  async fetch(request, env, context) {
    const url = new URL(request.url);
    const object = env.OBJECT.get(env.OBJECT.idFromName(url.pathname));
    await (await object.fetch('https://object/', { method: 'POST', body: url.search })).text();
    // One connection a request, as the platform wants it; the driver's own two look-ups left out.
    const sql = postgres(env.HYPERDRIVE.connectionString, { max: 1, prepare: false, fetch_types: false });
    const rows = await sql`
      SELECT * FROM bench_licenses WHERE organization_id = ${url.searchParams.get('organization')}
      ORDER BY created_at DESC, id DESC LIMIT 20`;
    context.waitUntil(sql.end());
    return Response.json({ success: true, data: rows, meta: { per_page: rows.length } });
  },
};
