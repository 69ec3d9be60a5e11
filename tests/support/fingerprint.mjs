// The state of the database as a test sees it: two equal fingerprints mean that nothing was written.

// Columns that are written after an answer, whatever the answer was: that somebody was seen, that a
// message was sent.
const WRITTEN_BEHIND = {
  user_sessions: ['last_seen_at', 'ip_address', 'user_agent', 'device_info', 'updated_at'],
  user_api_keys: ['usage_count', 'last_used_at', 'updated_at'],
  outbox_messages: ['available_at', 'attempts', 'sent_at', 'processed_at', 'last_error'],
  webhooks: ['consecutive_failures', 'last_delivery_at', 'updated_at'],
  prompts_master: ['usage_count', 'success_count', 'response_ms_total', 'success_rate', 'avg_response_time_ms', 'updated_at'],
  licenses: ['ai_requests_used', 'ai_cost_used', 'ai_tokens_input_used', 'ai_tokens_output_used', 'updated_at'],
};

// Tables that only consumers and jobs write, at a time of their own.
const CONSUMERS_ONLY = ['license_usage_log', 'license_key_spending', 'organization_usage', 'telemetry_events', 'webhook_deliveries',
  'system_events', 'job_runs', 'refinery_schema_history', 'analytics_marks',
  'rollup_ai', 'rollup_collisions', 'rollup_people', 'rollup_sales', 'rollup_subscriptions', 'rollup_validations'];

// Rows that come from a queue, after an answer.
const QUEUED = { processed_tasks: "t.input_type IN ('chat', 'completion', 'process')" };

/** Every table, without its partitions, and whether its rows name an organization. */
export async function allTables(pg) {
  const { rows } = await pg.query(
    `SELECT c.relname AS name, bool_or(a.attname = 'organization_id') AS is_tenants
     FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
     WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
     GROUP BY 1 ORDER BY 1`);
  return rows;
}

const digest = (name, condition, without = []) => `
  (SELECT md5(string_agg(row, '|' ORDER BY row))
   FROM (SELECT (to_jsonb(t) - '{${without}}'::text[])::text AS row FROM ${name} t WHERE ${condition}) AS r) AS ${name}`;

/** Makes a function that digests every row of some organizations, and every row that has none. */
export async function fingerprints(pg, organizations) {
  const tables = (await allTables(pg)).filter(({ name }) => !CONSUMERS_ONLY.includes(name));
  const digests = tables.map(({ name, is_tenants: isTenants }) =>
    digest(name, `${isTenants ? 't.organization_id = ANY ($1::uuid[])' : 'true'} AND (${QUEUED[name] ?? 'false'}) IS NOT TRUE`, WRITTEN_BEHIND[name]));
  // Named, so that a connection plans it once.
  const query = { name: 'fingerprint', text: `SELECT ${digests} WHERE $1::uuid[] IS NOT NULL`, values: [organizations] };
  return async () => (await pg.query(query)).rows[0];
}

/** Makes a function that digests, on a connection, all that belongs to one organization. */
export async function belongings(pg, organization) {
  const digests = (await allTables(pg)).filter(({ name, is_tenants: isTenants }) => isTenants || name === 'organizations')
    .map(({ name }) => digest(name, `t.${name === 'organizations' ? 'id' : 'organization_id'} = '${organization}'`));
  return async (client) => (await client.query(`SELECT ${digests}`)).rows[0];
}
