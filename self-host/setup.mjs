// What a new version or a new database needs, as one-shot services of compose.yaml:
//
//   migrate   the schema, and the run-time role's password
//   seed      the catalogue of AI models; with SAMPLE_DATA=true the sample organizations, people and licenses too
//
//   POSTGRES_URL          postgresql://owner@host:port/database, without the password
//   OWNER_PASSWORD_FILE   the owner's password
//   APP_PASSWORD_FILE     the one that the run-time role is given
//   LICENSE_KEY_SECRET_FILE  what sample license keys are made with

import { readFileSync } from 'node:fs';
import { SEEDS, seed, setAppPassword } from '../scripts/lib/database.mjs';
import { ROOT } from '../scripts/lib/paths.mjs';
import { run } from '../scripts/lib/processes.mjs';

const secret = (name) => readFileSync(process.env[`${name}_FILE`], 'utf8').trim();
const print = (line) => process.stdout.write(`${line}\n`);

const url = new URL(process.env.POSTGRES_URL);
url.password = encodeURIComponent(secret('OWNER_PASSWORD'));

const COMMANDS = {
  async migrate() {
    print(await run('celaest-migrate', ['migrate'], { cwd: ROOT, env: { ...process.env, DATABASE_URL: url.href } }));
    await setAppPassword(url.href, secret('APP_PASSWORD'));
  },
  async seed() {
    const files = process.env.SAMPLE_DATA === 'true' ? [SEEDS.sample, SEEDS.models] : [SEEDS.models];
    for (const file of files) await seed(url.href, file, secret('LICENSE_KEY_SECRET'));
    print(`${files.join(' and ')} are there`);
  },
};

try {
  await COMMANDS[process.argv[2]]();
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
