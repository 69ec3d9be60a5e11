// A worker of a test's own, without database: what stands in `contents`, bundled and served by workerd.

import { build } from 'esbuild';
import { Miniflare, convertV4MiniflareOptions } from 'miniflare';

/**
 * @param {object} options
 * @param {string} options.contents the entry module
 * @param {Record<string, string>} options.objects classes of Durable Objects, by their bindings
 * @param {import('esbuild').Plugin[]} [options.plugins] for what it imports
 * @returns {Promise<{url: URL, stop: () => Promise<void>}>}
 */
export async function startSmallWorker({ contents, objects, plugins }) {
  const bundled = await build({
    stdin: { contents, resolveDir: '/', loader: 'js' }, bundle: true, write: false, format: 'esm', external: ['cloudflare:*'], plugins,
  });
  const classes = Object.entries(objects).map(([binding, className]) => [binding, { className, useSQLite: true }]);
  const miniflare = new Miniflare(convertV4MiniflareOptions({
    modules: [{ type: 'ESModule', path: 'worker.js', contents: bundled.outputFiles[0].text }],
    compatibilityDate: '2026-10-20', compatibilityFlags: ['enable_request_signal'],
    durableObjects: Object.fromEntries(classes),
  }));
  return { url: await miniflare.ready, stop: () => miniflare.dispose() };
}
