// Numbers over time.

import { randomUUID } from 'node:crypto';
import { insert, insertLicense, PLANS } from '../support/world.mjs';

/** Something of everything that is counted, of which `owner` has what a person can have. */
const facts = async ({ stack, ours }, owner) => {
  const { id: organization, product, users } = ours;
  const at = new Date(Date.now() - 3_600_000);
  const license = await insertLicense(stack, organization, { owner_id: owner, product_id: product.id });
  await insert(stack, 'license_validations', {
    license_id: license.id, organization_id: organization, ip_address: '192.0.2.1', is_valid: true, created_at: at,
  });
  await insert(stack, 'processed_tasks', {
    organization_id: organization, user_id: owner, license_id: license.id, status: 'completed', tokens_input: 7, tokens_output: 5,
    cost_usd: 0.01, execution_time_ms: 100, created_at: at, completed_at: at,
  });
  const order = randomUUID();
  await insert(stack, 'orders', {
    id: order, organization_id: organization, user_id: users.admin, seller_id: organization, status: 'completed', currency: 'USD',
    subtotal: 30, total: 30, completed_at: at, created_at: at,
  });
  await insert(stack, 'order_items', {
    order_id: order, organization_id: organization, product_id: product.id, plan_id: PLANS.professional, name: 'Product',
    unit_price: 30, total: 30, list_total: 30, net_total: 30,
  });
  // Added up, so that what is read is what row-level security looks at.
  await stack.pg.query('SELECT analytics_aggregate(100000)');
  return {};
};

const whole = { permission: 'analytics:read', make: facts };
const own = { permission: 'analytics:own', make: facts };

export default {
  'GET /api/analytics/dashboard': { ...own, query: { compare: 'previous' } },
  'GET /api/analytics/licenses': own,
  'GET /api/analytics/licenses/validations': own,
  'GET /api/analytics/sales': whole,
  'GET /api/analytics/sales/by-product': whole,
  'GET /api/analytics/sales/by-period': whole,
  'GET /api/analytics/ai-usage': own,
  'GET /api/analytics/ai-usage/by-provider': own,
  'GET /api/analytics/ai-usage/costs': own,
  'GET /api/analytics/roi': whole,
  'GET /api/analytics/roi/by-product': whole,
  'GET /api/analytics/users': whole,
  'GET /api/analytics/users/active': whole,
  'GET /api/analytics/export': { ...own, contentType: 'text/csv', query: { report: 'dashboard' } },
};
