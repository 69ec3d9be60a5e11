// npm run self-host: builds the worker and puts all that it needs without Cloudflare into `build/self-host/`. With
// --containers what the images of the Dockerfile are made of goes into `build/containers/`. --built takes the build
// that is there.

import { join } from 'node:path';
import { bootstrap } from './lib/bootstrap.mjs';
import { BUILD, ROOT } from './lib/paths.mjs';

await bootstrap(async () => {
  const { prepareBuild } = await import('./lib/build.mjs');
  const { readWorker } = await import('./lib/worker.mjs');
  const { assemble, assembleContainers } = await import('./lib/self-host.mjs');
  const note = (line) => process.stdout.write(`${line}\n`);
  if (!process.argv.includes('--built')) note(await prepareBuild(note));
  const worker = await readWorker(ROOT);
  const folder = join(BUILD, process.argv.includes('--containers') ? 'containers' : 'self-host');
  await (process.argv.includes('--containers') ? assembleContainers(folder, worker, note) : assemble(folder, worker));
  note(`written: ${folder}`);
});
