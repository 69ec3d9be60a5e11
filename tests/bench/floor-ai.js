// What the platform itself costs of an AI call: a worker that asks three Durable Objects side by side, by RPC, and then
// the provider, and hands its answer on. The objects count, so that they are no constants; nothing is written down.

import { DurableObject } from 'cloudflare:workers';

export class FloorObject extends DurableObject {
  #calls = 0;

  ask(text) {
    this.#calls += 1;
    return `${this.#calls} ${text.length}`;
  }
}

export default {
  async fetch(request, env) {
    const body = await request.text();
    const ask = (name) => env.OBJECT.getByName(name).ask(body);
    await Promise.all([ask('caller'), ask('license'), ask('pool')]);
    const headers = { authorization: 'Bearer bench-key', 'content-type': 'application/json' };
    const answer = await fetch(env.PROVIDER, { method: 'POST', headers, body });
    return new Response(answer.body, { headers: { 'content-type': answer.headers.get('content-type') } });
  },
};
