// npm run self-host: builds the worker and puts all that it needs without Cloudflare into `build/self-host/`.

import { join } from 'node:path';
import { bootstrap } from './lib/bootstrap.mjs';
import { BUILD, ROOT } from './lib/paths.mjs';

await bootstrap(async () => {
  const { prepareBuild } = await import('./lib/build.mjs');
  const { readWorker } = await import('./lib/worker.mjs');
  const { assemble } = await import('./lib/self-host.mjs');
  const note = (line) => process.stdout.write(`${line}\n`);
  const folder = join(BUILD, 'self-host');
  if (!process.argv.includes('--built')) note(await prepareBuild(note));
  await assemble(folder, await readWorker(ROOT));
  note(`written: ${folder}`);
});
