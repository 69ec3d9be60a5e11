// The far end of webhooks: an HTTP server that keeps what it is sent and checks it with the public
// library of Standard Webhooks.

import assert from 'node:assert/strict';
import http from 'node:http';
import { Webhook } from 'standardwebhooks';
import { good } from './api.mjs';
import { isPromisedEvent } from './openapi.mjs';

/**
 * Starts a receiver. `answer(request, earlier)` gives `{status, headers, body, delay}` or a function that
 * is handed the response; `earlier` are the requests for the same event before this one.
 *
 * @returns `{url, requests, close()}`; a request is `{id, timestamp, headers, text, at, method}`
 */
export async function startReceiver(answer = () => ({ status: 204 })) {
  const requests = [];
  const byId = new Map();
  const server = http.createServer(async (incoming, response) => {
    let text = '';
    for await (const chunk of incoming) text += chunk;
    const request = {
      method: incoming.method, path: incoming.url, headers: incoming.headers, text, at: Date.now(),
      id: incoming.headers['webhook-id'], timestamp: Number(incoming.headers['webhook-timestamp']),
    };
    const earlier = byId.get(request.id) ?? [];
    byId.set(request.id, [...earlier, request]);
    requests.push(request);
    const reply = receiver.answer(request, earlier);
    if (typeof reply === 'function') {
      reply(response);
      return;
    }
    const { status = 200, headers = {}, body = '', delay = 0 } = reply;
    if (delay) await new Promise((resolve) => setTimeout(resolve, delay));
    request.answered = status;
    response.writeHead(status, headers).end(body);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const receiver = {
    url: `http://127.0.0.1:${server.address().port}/hook`,
    requests,
    byId,
    answer,
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
  return receiver;
}

/** An address where nobody listens. */
export async function deadUrl() {
  const receiver = await startReceiver();
  await receiver.close();
  return receiver.url;
}

/** Asserts that a request is one of ours, signed with the secret, and returns what it says. */
export function verified(request, secret) {
  assert.equal(request.method, 'POST');
  assert.equal(request.headers['content-type'], 'application/json');
  assert.equal(request.headers['user-agent'], 'CELAEST-Webhooks/1.0');
  const said = new Webhook(secret).verify(request.text, request.headers);
  assert.deepEqual(Object.keys(said).sort(), ['data', 'timestamp', 'type']);
  assert.ok(!Number.isNaN(Date.parse(said.timestamp)));
  isPromisedEvent(said);
  return said;
}

/** Makes a webhook through the API and returns it with its secret. */
export async function makeWebhook(as, url, events = ['*'], more = {}) {
  const { webhook, secret } = good(await as('POST', '/api/webhooks', {
    body: { name: 'Receiver', url, events, ...more },
  }), 201);
  return { ...webhook, secret };
}

/** The log of a webhook's attempts, oldest first. */
export async function attempts(as, id, query = {}) {
  const answer = await as('GET', '/api/webhooks/{id}/deliveries', { id, query: { per_page: '100', ...query } });
  return good(answer).reverse();
}
