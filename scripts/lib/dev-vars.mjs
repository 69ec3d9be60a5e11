// `.dev.vars`, the variables of the local worker: made from its example, with secrets.

import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DEV_VARS, ROOT } from './paths.mjs';

/** In the example, stands for a secret that is different on every machine. */
const GENERATED = 'generated-on-first-start';

/** Reads `NAME=value` lines; quotes around a value are not part of it. */
export function parseVars(text) {
  const pairs = text.split('\n')
    .map((line) => line.match(/^\s*([A-Z][A-Z0-9_]*)\s*=\s*(.*?)\s*$/))
    .filter(Boolean)
    .map(([, name, value]) => [name, value.replace(/^(["'])(.*)\1$/, '$2')]);
  return Object.fromEntries(pairs);
}

const fill = (text) => text.replaceAll(GENERATED, () => randomBytes(32).toString('base64url'));
const example = () => readFileSync(join(ROOT, '.dev.vars.example'), 'utf8');

/** The example's variables with fresh secrets. */
export const freshVars = () => parseVars(fill(example()));

/**
 * Makes `.dev.vars` if it is missing, adds variables that the example has gained since,
 * and returns all of them.
 */
export function ensureDevVars() {
  if (!existsSync(DEV_VARS)) writeFileSync(DEV_VARS, fill(example()), { mode: 0o600 });
  const present = parseVars(readFileSync(DEV_VARS, 'utf8'));
  const missing = Object.entries(parseVars(example())).filter(([name]) => !(name in present));
  if (missing.length) {
    const added = missing.map(([name, value]) => `${name}=${fill(value)}\n`).join('');
    writeFileSync(DEV_VARS, `${readFileSync(DEV_VARS, 'utf8').trimEnd()}\n\n# Added from .dev.vars.example\n${added}`);
  }
  return parseVars(readFileSync(DEV_VARS, 'utf8'));
}
