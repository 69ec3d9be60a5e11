// The images that the Dockerfile and compose.yaml begin with. Where none can be pulled they are made of Debian's
// packages, under the same names: PostgreSQL is then the version that Debian has.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import yaml from 'js-yaml';
import { ROOT } from '../../scripts/lib/paths.mjs';

/** How long a registry may take, in ms. */
const PATIENCE = 120_000;

const docker = (args, options) => spawnSync('docker', args, { encoding: 'utf8', ...options });
const isThere = (image) => docker(['image', 'inspect', image]).status === 0;
const pulled = (image) => isThere(image) || docker(['pull', image], { timeout: PATIENCE }).status === 0;

function done(what, { status, stderr, error }) {
  if (status !== 0) throw new Error(`${what}: ${error?.message ?? stderr.slice(-2000)}`);
}

/** Debian itself, from where this machine has its packages. */
function makeDebian(image) {
  const folder = mkdtempSync(join(tmpdir(), 'debian-'));
  try {
    const sources = ['/etc/apt/sources.list.d/debian.sources', '/etc/apt/sources.list'].find(existsSync);
    const tar = join(folder, 'base.tar');
    done('mmdebstrap', spawnSync('mmdebstrap', ['--variant=minbase', '--include=ca-certificates', 'bookworm', tar, sources], { encoding: 'utf8' }));
    done('docker import', docker(['import', tar, image]));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Sees to it that the images are there that the others begin with. */
export function makeBases() {
  const debian = readFileSync(join(ROOT, 'Dockerfile'), 'utf8').match(/^ARG DEBIAN=(.+)$/m)[1];
  const postgres = yaml.load(readFileSync(join(ROOT, 'compose.yaml'), 'utf8')).services.postgres.image;
  if (!pulled(debian)) makeDebian(debian);
  if (!pulled(postgres)) {
    done('docker build', docker(['build', '--network=host', `--build-arg=DEBIAN=${debian}`, `--tag=${postgres}`, join(import.meta.dirname, 'postgres-image')], {
      env: { ...process.env, DOCKER_BUILDKIT: '1' },
    }));
  }
}
