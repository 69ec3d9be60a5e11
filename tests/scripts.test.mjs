// What the commands are made of, where it has rules of its own.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { isDue } from '../scripts/lib/clock.mjs';
import { run } from '../scripts/lib/processes.mjs';
import { readState, writeState } from '../scripts/lib/state.mjs';
import { openTurnstile } from '../scripts/lib/turnstile.mjs';

describe('the clock', () => {
  const cases = [
    ['* * * * *', '2026-03-01T00:00Z', true],
    ['*/5 * * * *', '2026-03-01T10:15Z', true],
    ['*/5 * * * *', '2026-03-01T10:16Z', false],
    ['2-57/5 * * * *', '2026-03-01T10:02Z', true],
    ['2-57/5 * * * *', '2026-03-01T10:57Z', true],
    ['2-57/5 * * * *', '2026-03-01T10:00Z', false],
    ['17 * * * *', '2026-03-01T23:17Z', true],
    ['37 2 * * *', '2026-03-01T02:37Z', true],
    ['37 2 * * *', '2026-03-01T14:37Z', false],
    ['0 0 1,15 * *', '2026-03-15T00:00Z', true],
    ['0 0 1,15 * *', '2026-03-16T00:00Z', false],
    ['0 0 * 3 *', '2026-04-01T00:00Z', false],
    // A Sunday.
    ['0 0 * * 1', '2026-03-01T00:00Z', true],
    ['0 0 2 * 1', '2026-03-01T00:00Z', true],
    ['0 0 2 * 3', '2026-03-01T00:00Z', false],
  ];
  for (const [expression, time, due] of cases) {
    test(`${expression} at ${time}: ${due ? 'due' : 'not due'}`, () => assert.equal(isDue(expression, new Date(time)), due));
  }
});

describe('the turnstile', () => {
  test('500 come at once, 10 are in at a time, and all are served', async () => {
    let inside = 0;
    let most = 0;
    const server = net.createServer((socket) => {
      inside += 1;
      most = Math.max(most, inside);
      socket.on('data', (data) => setTimeout(() => socket.end(data), 2)).on('close', () => { inside -= 1; });
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    const door = await openTurnstile(server.address().port, 10);
    const call = (text) => new Promise((resolve, reject) => {
      let answer = '';
      const socket = net.connect(door.port, '127.0.0.1', () => socket.write(text));
      socket.on('data', (data) => { answer += data; }).on('end', () => resolve(answer)).on('error', reject);
    });
    const texts = Array.from({ length: 500 }, (_, index) => `call ${index}`);
    assert.deepEqual(await Promise.all(texts.map(call)), texts);
    // The server may hear of an end after the next one has come.
    assert.ok(most <= 20, `${most} at a time`);
    door.close();
    server.close();
  });

  test('who leaves, waiting or inside, takes no place with it', async () => {
    const server = net.createServer((socket) => socket.on('data', (data) => socket.end(data)).on('error', () => {}));
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    const door = await openTurnstile(server.address().port, 2);
    const idle = Array.from({ length: 6 }, () => net.connect(door.port, '127.0.0.1').on('error', () => {}));
    await new Promise((resolve) => setTimeout(resolve, 50));
    idle.forEach((socket) => socket.destroy());
    const answer = await new Promise((resolve, reject) => {
      const socket = net.connect(door.port, '127.0.0.1', () => socket.write('still here'));
      socket.on('data', (data) => resolve(String(data))).on('error', reject);
    });
    assert.equal(answer, 'still here');
    door.close();
    server.close();
  });
});

describe('what a command leaves for the next', () => {
  test('half a file is none', () => {
    const folder = mkdtempSync(join(tmpdir(), 'celaest-state-'));
    const file = join(folder, 'inner/run.json');
    assert.equal(readState(file), null);
    writeState(file, { pid: 1 });
    assert.deepEqual(readState(file), { pid: 1 });
    for (const text of ['', '{"pid":']) {
      writeFileSync(file, text);
      assert.equal(readState(file), null);
    }
    rmSync(folder, { recursive: true });
  });
});

describe('a program that fails', () => {
  test('says all it has to say, without its progress and its backtrace', async () => {
    const script = `
      for (let n = 0; n < 80; n += 1) console.error('error: number ' + n);
      console.error('   Compiling something v1.0.0');
      console.error('Stack backtrace:');
      console.error('   0: main');
      process.exit(3);`;
    await assert.rejects(run(process.execPath, ['-e', script], { failure: 'It failed.' }), (error) => {
      const lines = error.message.split('\n');
      assert.equal(lines[0], 'error: number 0');
      assert.equal(lines[79], 'error: number 79');
      assert.deepEqual(lines.slice(80), ['', 'It failed.']);
      return true;
    });
  });
});
