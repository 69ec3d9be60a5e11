// npm run db:migrate | db:seed | db:reset: the local database without the worker.
// db:seed takes --catalogue for the second seed file. With DATABASE_URL set, db:migrate
// migrates that database instead.

import { join } from 'node:path';
import { bootstrap } from './lib/bootstrap.mjs';
import { STATE } from './lib/paths.mjs';
import { commandOf } from './lib/processes.mjs';
import { readState } from './lib/state.mjs';
import { Problem, steps } from './lib/terminal.mjs';

const COMMANDS = {
  migrate: ['migrate'],
  seed: ['migrate', 'seed'],
  reset: ['remove', 'migrate', 'seed'],
};

/** Throws while `npm start` runs: its database cannot be taken away. */
function refuseWhileRunning() {
  const pid = readState(join(STATE, 'run.json'))?.pid;
  if (commandOf(pid)?.includes('start.mjs')) {
    throw new Problem(`npm start is running here (process ${pid}): stop it with Ctrl-C before the database is reset.`);
  }
}

await bootstrap(async () => {
  const { migrateLocal, removeLocalData, seedLocal, startLocalServer } = await import('./lib/local-database.mjs');
  const { checkRust } = await import('./lib/rust.mjs');
  const parts = COMMANDS[process.argv[2]];
  if (!parts) throw new Problem('usage: npm run db:migrate | db:seed [-- --catalogue] | db:reset [-- --catalogue]');
  checkRust();
  if (process.env.DATABASE_URL && process.argv[2] === 'migrate') {
    const { migrate } = await import('./lib/database.mjs');
    await steps(1)('schema of DATABASE_URL', async (note) => {
      const lines = await migrate(process.env.DATABASE_URL, note);
      lines.forEach((line) => note(line));
    });
    return;
  }
  const catalogue = process.argv.includes('--catalogue');
  const step = steps(parts.length + 1);
  if (parts.includes('remove')) {
    refuseWhileRunning();
    await step('local data removed', removeLocalData);
  }
  let server;
  try {
    await step('PostgreSQL 18', async () => {
      server = await startLocalServer({ share: true });
      return `port ${server.cluster.port}`;
    });
    await step('schema', (note) => migrateLocal(server, note));
    if (parts.includes('seed')) {
      await step('sample data', () => seedLocal(server, { catalogue, again: true }));
    }
  } finally {
    await server?.stop();
  }
});
