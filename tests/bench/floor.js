// What the platform itself costs: a worker that passes a body to one Durable Object and
// the object's answer back. The object counts, so that it is no constant.

const ANSWER = JSON.stringify({ license: 'x'.repeat(500) });

export class FloorObject {
  #calls = 0;

  async fetch(request) {
    const body = await request.text();
    this.#calls += 1;
    return new Response(`{"success":true,"calls":${this.#calls},"bytes":${body.length},"data":${ANSWER}}`);
  }
}

export default {
  async fetch(request, env) {
    const body = await request.text();
    const id = env.OBJECT.idFromName(new URL(request.url).pathname);
    const answer = await env.OBJECT.get(id).fetch('https://object/', { method: 'POST', body });
    return new Response(await answer.text(), { headers: { 'content-type': 'application/json' } });
  },
};
