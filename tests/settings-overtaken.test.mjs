// Two changes of a setting, of which the second is answered before the first: the way to the database between them
// holds back what the server says of one commit.

import assert from 'node:assert/strict';
import { connect, createServer } from 'node:net';
import { after, before, test } from 'node:test';
import { eventually, good } from './support/api.mjs';
import { startStack } from './harness/client.mjs';
import { createOrganization } from './support/world.mjs';

let stack;
let home;
let way;
before(async () => {
  stack = await startStack();
  home = await createOrganization(stack, { roles: ['super_admin', 'viewer'] });
  way = await wayTo(stack.poolerUrl);
  await stack.restart({ databaseUrl: way.url });
});
after(async () => {
  await stack?.stop();
  way?.close();
});

/** A way to a database. What is answered to the commit of a connection that sent `marker` is held back until `release`. */
async function wayTo(address) {
  const target = new URL(address);
  const held = { marker: undefined, is: false, release: () => {} };
  const sockets = new Set();
  const server = createServer((client) => {
    const upstream = connect(Number(target.port), target.hostname);
    let isMarked = false;
    client.on('data', (bytes) => {
      isMarked ||= held.marker !== undefined && bytes.includes(held.marker);
      if (isMarked && bytes.includes('COMMIT')) {
        upstream.pause();
        held.is = true;
        held.release = () => upstream.resume();
      }
      upstream.write(bytes);
    });
    upstream.on('data', (bytes) => client.write(bytes));
    for (const [one, other] of [[client, upstream], [upstream, client]]) {
      sockets.add(one);
      one.on('close', () => other.destroy()).on('error', () => other.destroy());
    }
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = new URL(address);
  url.port = server.address().port;
  url.hostname = '127.0.0.1';
  const close = () => {
    sockets.forEach((socket) => socket.destroy());
    server.close();
  };
  return { url: url.href, held, close };
}

test('the later of two changes stays, although the earlier one is answered last', async () => {
  const KEY = 'api.rate_limit_per_min';
  const change = async (value) => good(await home.as.super_admin('PATCH', '/api/settings', { body: { [KEY]: value } }));
  const limit = async () => Number((await home.as.viewer('GET', '/api/licenses')).headers.get('ratelimit-limit'));
  const stored = async () => (await stack.pg.query('SELECT value FROM system_config WHERE key = $1', [KEY])).rows[0]?.value;
  await change(54_320);
  assert.equal(await limit(), 54_320);
  way.held.marker = '54321';
  const first = change(54_321);
  await eventually(async () => way.held.is && await stored() === 54_321);
  way.held.marker = undefined;
  await change(54_322);
  assert.equal(await limit(), 54_322);
  way.held.release();
  await first;
  assert.equal(await stored(), 54_322);
  assert.equal(await limit(), 54_322);
});
