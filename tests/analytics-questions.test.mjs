// Questions that analytics has no answer to: the field that is wrong is named, and the number that is possible.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { caller, good, refusedFields } from './support/api.mjs';
import { sharedStack } from './harness/client.mjs';
import { createOrganization } from './support/world.mjs';

const stack = await sharedStack();
const home = await createOrganization(stack);

describe('questions that have no answer', () => {
  const wrong = async (query, field, path = 'sales') => refusedFields(await home.as.admin('GET', `/api/analytics/${path}`, { query }), field);

  test('the field is named, and the number', async () => {
    await wrong({ from: '2026-03-02', to: '2026-03-01' }, 'from');
    await wrong({ from: '2026-03-01', to: '2026-03-01' }, 'from');
    // With a date and a moment only PostgreSQL knows.
    await wrong({ from: '2026-03-02', to: '2026-03-02T06:00:00Z', timezone: 'America/Los_Angeles' }, 'from');
    await wrong({ from: '2014-01-01', to: '2026-01-01' }, 'from');
    for (const text of ['yesterday', '2026-13-01', '1950-01-01', '']) await wrong({ from: text }, 'from');
    await wrong({ to: '2026-02-30' }, 'to');
    for (const zone of ['Mars/Olympus', '+05:30', 'UTC+3', "'; DROP TABLE orders --", '', 'Factory', 'europe/madrid', 'EUROPE/Madrid', 'posixrules', 'localtime',
      'right/Europe/Madrid', 'posix/Europe/Madrid', 'CET']) await wrong({ timezone: zone }, 'timezone');
    await wrong({ granularity: 'decade' }, 'granularity');
    await wrong({ compare: 'never' }, 'compare');
    await wrong({ currency: 'dollars' }, 'currency');
    await wrong({ metric: 'happiness' }, 'metric');
    await wrong({ provider: 'groq' }, 'provider');
    await wrong({ product_id: home.product.id }, 'product_id', 'users');
    const answer = await home.as.admin('GET', '/api/analytics/sales', {
      query: { from: '2016-01-01', to: '2026-01-01', granularity: 'hour' }, headers: { 'accept-language': 'es' },
    });
    assert.deepEqual(answer.body.error.details.fields, { granularity: ['da 87672 puntos, de los que son posibles como máximo 1000'] });
  });

  test('the last moment of the year 9999 ends a period', async () => {
    const { period } = good(await home.as.admin('GET', '/api/analytics/sales', { query: { from: '9999-12-01', to: '9999-12-31T23:59:59Z' } }));
    assert.equal(new Date(period.to).getTime(), Date.UTC(9999, 11, 31, 23, 45));
  });

  test('nobody', async () => {
    assert.equal((await caller(stack)('GET', '/api/analytics/dashboard')).status, 401);
  });
});
