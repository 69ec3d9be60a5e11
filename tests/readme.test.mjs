// The five requests of the README, pasted into a shell as they stand there.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { ROOT } from '../scripts/lib/paths.mjs';
import { ids, startStack } from './harness/client.mjs';
import { token } from './support/tokens.mjs';

const USUAL = 'http://127.0.0.1:8787';
const read = (path) => readFileSync(join(ROOT, path), 'utf8');
const examples = [...read('README.md').matchAll(/```sh\n(curl [\s\S]+?)\n```/g)].map(([, command]) => command);
const pathOf = (command) => new URL(command.match(/http:[^\s"?]+/)[0]).pathname;

/** What each of them is answered with, by its path. */
const ANSWERS = {
  '/api/licenses/validate': (data) => assert.equal(data.valid, true),
  '/api/ai/chat': (data) => assert.equal(data.message.content, 'You said: Hello'),
  '/api/orders': (data) => assert.ok(data.total > 0),
  '/api/webhooks': (data) => assert.match(data.secret, /^whsec_/),
  '/api/analytics/dashboard': (data) => assert.ok(data),
};

describe('the README', async () => {
  // With the stand-in for models that npm start has too.
  const stack = await startStack({ ai: true });
  after(() => stack.stop());

  test('has the five requests of its tour', () => assert.deepEqual(examples.map(pathOf), Object.keys(ANSWERS)));

  for (const command of examples) {
    const path = pathOf(command);
    test(path, async () => {
      const { stdout } = await promisify(execFile)('bash', ['-c', command.replaceAll(USUAL, stack.url)], {
        env: { ...process.env, TOKEN: await token(stack.vars, ids.users.admin) },
      });
      const answer = JSON.parse(stdout);
      assert.equal(answer.success, true, stdout);
      ANSWERS[path](answer.data);
    });
  }

  test('and the longer texts lead to files that are there', () => {
    const texts = ['README.md', ...[...read('README.md').matchAll(/\]\((docs\/[\w-]+\.md)\)/g)].map(([, path]) => path)];
    for (const text of new Set(texts)) {
      for (const [, path] of read(text).matchAll(/\]\((?!https?:|#)([^)#]+)/g)) {
        assert.ok(existsSync(join(ROOT, dirname(text), path)), `${text}: ${path}`);
      }
    }
  });
});
