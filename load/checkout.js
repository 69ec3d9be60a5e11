// People who buy: an order, its payment by transfer, the seller's word that the money came, and the first start
// of what was bought.

import { arriving, call, largestPlan, oneOf, several } from './lib.js';

export const options = arriving({ share: 0.01, p95: 300 });

/** Ten characters that no product has yet. */
const code = () => `L${Math.random().toString(36).slice(2, 11).toUpperCase()}`;

export async function setup() {
  const plan = await largestPlan();
  return {
    products: await several((index) => call('POST', '/api/products', {
      body: { code: code(), name: `Load ${index}`, price: 10, status: 'published', plan_id: plan }, status: 201,
    })),
  };
}

/** @param {{ products: { id: string }[] }} data */
export default async function checkout({ products }) {
  const product = oneOf(products).id;
  const { id } = await call('POST', '/api/orders', {
    body: { items: [{ product_id: product, unit_price: 10 }], billing: { country_code: 'ES' } }, status: 201,
    looks: { 'it costs what it should': (data) => data.subtotal > 0 && data.total >= data.subtotal },
  });
  await call('POST', `/api/orders/${id}/pay`, {
    body: { gateway: 'manual' }, name: '/api/orders/{id}/pay', looks: { 'a transfer is awaited': (data) => data.next === 'transfer' },
  });
  await call('POST', `/api/orders/${id}/settle`, {
    body: { reference: 'load' }, name: '/api/orders/{id}/settle', looks: { 'it is paid': (data) => data.status === 'completed' },
  });
  const [item] = await call('GET', `/api/orders/${id}/items`, {
    name: '/api/orders/{id}/items', looks: { 'it gave one license': (data) => data[0].license_ids.length === 1 },
  });
  const license = await call('GET', `/api/licenses/${item.license_ids[0]}`, { name: '/api/licenses/{id}' });
  await call('POST', '/api/licenses/validate', {
    body: { license_key: license.license_key }, looks: { 'the bought license is valid': (data) => data.valid === true },
  });
}

/** @param {{ products: { id: string }[] }} data */
export async function teardown({ products }) {
  for (const { id } of products) {
    await call('PATCH', `/api/products/${id}`, { body: { status: 'archived' }, name: '/api/products/{id}' });
  }
}
