// Before the worker: the files of `public/`, as the platform serves them, and everything else to the worker. The
// address of a client is the one that the proxy before this names.

const TYPES = { html: 'text/html; charset=utf-8', json: 'application/json', css: 'text/css', js: 'text/javascript', map: 'application/json' };

/** Headers of all files, as in `public/_headers`. */
const filesHeaders = (env) => Object.fromEntries(env.HEADERS);

/** The file that a path names, or null. */
async function fileOf(path, env) {
  const name = /\.\w+$/.test(path) ? path : `${path}.html`;
  const response = await env.PUBLIC.fetch(`http://public${name}`);
  if (!response.ok) return null;
  const headers = { ...filesHeaders(env), 'content-type': TYPES[name.split('.').at(-1)] ?? 'application/octet-stream', etag: `"${env.RELEASE}"` };
  return new Response(response.body, { headers });
}

let started = false;

export default {
  async fetch(request, env, context) {
    if (!started) {
      started = true;
      context.waitUntil(env.BROKER.fetch('http://broker/start').catch(() => { started = false; }));
    }
    const { pathname } = new URL(request.url);
    if (request.method === 'GET' && env.FILES.includes(pathname)) {
      const file = await fileOf(pathname, env);
      if (file) return file;
    }
    return env.CORE.fetch(request);
  },
};
