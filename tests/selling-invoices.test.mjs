// Invoices and credit notes: numbers without gaps for each seller, the text of the PDF, its bytes, its e-mail.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { good, refused } from './support/api.mjs';
import { eventually } from './support/eventually.mjs';
import { Shop } from './support/shop.mjs';
import { createOrganization, createProduct } from './support/world.mjs';

let shop;
let provider;
let buyer;
const letters = [];
before(async () => {
  provider = createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request) text += chunk;
    letters.push({ ...JSON.parse(text), once: request.headers['idempotency-key'] });
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
  });
  await new Promise((resolve) => provider.listen(0, '127.0.0.1', resolve));
  shop = await Shop.open({
    EMAIL_API_URL: `http://127.0.0.1:${provider.address().port}/emails`, EMAIL_API_KEY: 're_x', EMAIL_FROM: 'a@b.example', DASHBOARD_URL: 'https://dash.example',
  });
  buyer = await shop.buyer();
});
after(async () => {
  await shop?.close();
  provider?.closeAllConnections();
  provider?.close();
});

const folder = mkdtempSync(join(tmpdir(), 'celaest-pdf-'));
after(() => rmSync(folder, { recursive: true, force: true }));

async function pdf(id, lang) {
  const response = await fetch(`${shop.stack.url}/api/invoices/${id}/pdf${lang ? `?lang=${lang}` : ''}`, { headers: { authorization: `Bearer ${buyer.token}` } });
  assert.equal(response.status, 200);
  assert.equal(response.headers.get('content-type'), 'application/pdf');
  return { bytes: Buffer.from(await response.arrayBuffer()), name: response.headers.get('content-disposition') };
}

/** The texts of a PDF in the order in which they are drawn, from its own operators: nothing else need be installed. */
function drawn(bytes) {
  const text = bytes.toString('latin1');
  const found = [];
  for (const { index } of text.matchAll(/\s?Tj\b/g)) found.push(endingAt(text, index));
  return found.map((one) => new TextDecoder('windows-1252').decode(Buffer.from(one, 'latin1')));
}

/** The string that ends at a place: `<hex>`, or `(text)` with parentheses in it. */
function endingAt(text, end) {
  if (text[end - 1] === '>') return Buffer.from(text.slice(text.lastIndexOf('<', end) + 1, end - 1), 'hex').toString('latin1');
  const line = text.slice(text.lastIndexOf('\n', end - 1) + 1, end);
  const inner = line.slice(line.indexOf('(') + 1, line.lastIndexOf(')'));
  return inner.replace(/\\([0-7]{3})/g, (_, octal) => String.fromCharCode(parseInt(octal, 8))).replace(/\\(.)/g, '$1');
}

/** The same as a reader shows it, where one is installed. */
function shown(bytes) {
  if (!['/usr/bin/pdftotext', '/usr/local/bin/pdftotext', '/opt/homebrew/bin/pdftotext'].some(existsSync)) return null;
  const file = join(folder, 'x.pdf');
  writeFileSync(file, bytes);
  return execFileSync('pdftotext', ['-layout', file, '-'], { encoding: 'utf8' });
}

describe('an invoice', () => {
  let invoice;
  let order;
  before(async () => {
    const { token } = await import('./support/tokens.mjs');
    buyer.token = await token(shop.stack.vars, buyer.id);
    await shop.tax('CA', 5, { name: 'GST' });
    await shop.tax('CA', 9.975, { name: 'QST', state: 'Québec' });
    order = await shop.buy(buyer.call, await shop.product({ name: 'Facturación «Ñandú» – edición 2026 (€)' }), {
      quantity: 2, coupon_code: (await shop.coupon()).code,
      billing: { name: 'Müller & Söhne', tax_id: '123456789 RT0001', address_line1: '12, rue Saint-Étienne', city: 'Montréal', postal_code: 'H2X 1Y4', state: 'Québec', country_code: 'CA' },
    });
    [invoice] = good(await buyer.call('GET', '/api/invoices', { query: { order_id: order.id } }));
  });

  test('says everything, in both languages, with its letters right', async () => {
    const lines = drawn((await pdf(invoice.id, 'es')).bytes);
    for (const text of [
      'Factura', invoice.invoice_number, order.order_number, 'Açaí Software, S. L.', 'NIF / ID fiscal: B12345674', 'C/ Ñuño 3, 2.º', '28001 Madrid', 'Müller & Söhne',
      '12, rue Saint-Étienne', 'H2X 1Y4 Montréal', 'Québec', 'CA', 'Cantidad', '2', '100.00', '20.00', '180.00', 'Subtotal', '200.00', '-20.00',
      'GST 5 % sobre 180.00', '9.00', 'QST 9.975 % sobre 180.00', '17.96', 'Total pagado (USD)', '206.96', 'Página 1 de 1',
    ]) assert.ok(lines.includes(text), `${text} is not among ${JSON.stringify(lines)}`);
    assert.ok(lines.join(' ').includes('Facturación «Ñandú» – edición 2026 (€)'), lines.join(' '));
    const english = drawn((await pdf(invoice.id, 'en')).bytes);
    for (const text of ['Invoice', 'Bill to', 'Quantity', 'GST 5 % of 180.00', 'Total paid (USD)', 'Page 1 of 1']) {
      assert.ok(english.some((line) => line.toLowerCase() === text.toLowerCase()), text);
    }
    // For the picture in docs/selling.md: pdftoppm -r 60 -png -singlefile FILE docs/invoice
    if (process.env.CELAEST_INVOICE) writeFileSync(process.env.CELAEST_INVOICE, (await pdf(invoice.id, 'es')).bytes);
    const read = shown((await pdf(invoice.id, 'es')).bytes)?.normalize().replaceAll('\u00a0', ' ');
    if (read) for (const text of ['Facturación «Ñandú»', '12, rue Saint-Étienne', 'Total pagado (USD)', '206.96']) assert.ok(read.includes(text), read);
  });

  test('has the price of one that is nearest to what all cost without a tax that prices include', async () => {
    await shop.tax('PT', 21, { is_inclusive: true });
    const made = await shop.buy(buyer.call, await shop.product({ price: 9.99 }), { quantity: 3, billing: { country_code: 'PT' } });
    const [{ document }] = good(await buyer.call('GET', '/api/invoices', { query: { order_id: made.id } }));
    assert.deepEqual([document.lines[0].unit_price, document.lines[0].amount, document.total], ['8.26', '24.77', '29.97']);
  });

  test('is the same bytes whenever it is asked for, whatever has changed since', async () => {
    const first = await pdf(invoice.id, 'es');
    await shop.place(shop.vendor.id, { name: 'Renamed' });
    const second = await pdf(invoice.id, 'es');
    await shop.place(shop.vendor.id, { name: 'Açaí Software, S. L.' });
    assert.ok(first.bytes.equals(second.bytes));
    assert.equal(first.name, `attachment; filename="${invoice.invoice_number}.pdf"`);
    const seller = await shop.vendor.as.admin('GET', '/api/invoices', { query: { side: 'sold', order_id: order.id } });
    assert.equal(good(seller)[0].id, invoice.id);
    refused(await (await shop.buyer()).call('GET', '/api/invoices/{id}', { id: invoice.id }), 404, 'INVOICE_NOT_FOUND');
  });

  test('is sent by e-mail with the file, once for a key', async () => {
    const headers = { 'idempotency-key': `send-${invoice.id}` };
    for (let round = 0; round < 3; round += 1) good(await buyer.call('POST', '/api/invoices/{id}/send', { id: invoice.id, body: {}, headers }), 202);
    const letter = await eventually(() => letters.find(({ attachments }) => attachments));
    const expected = (await pdf(invoice.id, 'es')).bytes;
    assert.equal(letter.attachments[0].filename, `${invoice.invoice_number}.pdf`);
    assert.ok(Buffer.from(letter.attachments[0].content, 'base64').equals(expected));
    assert.equal(new Set(letters.filter(({ attachments }) => attachments).map(({ once }) => once)).size, 1);
    await eventually(() => letters.some(({ subject }) => subject === `Pedido ${order.order_number} pagado`));
  });

  test('many lines take many pages', async () => {
    const products = await Promise.all(Array.from({ length: 45 }, (_, index) => shop.product({ name: `Módulo ${index} con una descripción que no cabe en una sola línea de la factura` })));
    const made = good(await buyer.call('POST', '/api/orders', { body: { items: products.map(({ id }) => ({ product_id: id })) } }), 201);
    const { transaction_id: id } = await shop.pay(buyer.call, made);
    await shop.stripe.confirm(id);
    const [long] = good(await buyer.call('GET', '/api/invoices', { query: { order_id: made.id } }));
    const lines = drawn((await pdf(long.id, 'es')).bytes);
    assert.ok(lines.includes('Página 2 de 3') && lines.includes('Página 3 de 3'), lines.filter((line) => line.startsWith('Página')).join());
    for (let index = 0; index < 45; index += 1) assert.ok(lines.some((line) => line.startsWith(`Módulo ${index} con`)), index);
  });
});

test('each seller has numbers of its own, without gaps under many payments at once', async () => {
  const other = await createOrganization(shop.stack, { roles: ['admin'] });
  const theirs = await createProduct(shop.stack, other.id);
  const ours = await shop.product();
  const pending = await Promise.all(Array.from({ length: 16 }, async (_, index) => {
    const { call } = await shop.buyer();
    const made = await shop.order(call, index % 2 ? theirs : ours);
    return (await shop.pay(call, made)).transaction_id;
  }));
  await Promise.all(pending.map((id) => shop.stripe.confirm(id)));
  const numbers = (await shop.rows("SELECT invoice_number FROM invoices WHERE seller_id = $1 ORDER BY 1", other.id)).map((row) => row.invoice_number.slice(-6));
  assert.deepEqual(numbers, Array.from({ length: 8 }, (_, index) => String(index + 1).padStart(6, '0')));
  await shop.balanced();
});
